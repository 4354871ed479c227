package decision

// ShapeError says why a request's method, target or host is refused before any rule is asked. The texts are constants; none
// holds what was sent. It is a Cause, too.
type ShapeError string

var (
	_ error = ShapeError("")
	_ Cause = ShapeError("")
)

// Error returns the text.
func (e ShapeError) Error() string { return string(e) }

// String returns the text.
func (e ShapeError) String() string { return string(e) }

// Detail returns the text.
func (e ShapeError) Detail() string { return string(e) }

// The reasons to refuse a path.
const (
	ErrPathStart        ShapeError = "the path does not start with a slash"
	ErrPathEscape       ShapeError = "the path has bad percent-encoding: a % without two hexadecimal digits"
	ErrPathNUL          ShapeError = "the path has %00"
	ErrPathControl      ShapeError = "the path has a control byte"
	ErrPathSpace        ShapeError = "the path has a raw space, which cannot be forwarded as it was sent"
	ErrPathBackslash    ShapeError = "the path has a backslash"
	ErrPathEncodedSlash ShapeError = "the path has an encoded slash; paths.encodedSlash: Keep lets it in"
	ErrPathDelimiter    ShapeError = "the path has a raw ? or #"
	ErrPathUTF8         ShapeError = "the path is not UTF-8"
	ErrPathClimb        ShapeError = "the path climbs above the root"
	ErrPathParamClimb   ShapeError = "the path climbs above the root once path parameters (;) are cut off"
	ErrPathHiddenDots   ShapeError = "the path has a dot segment beside an encoded slash"
)

// The reasons to refuse a host.
const (
	ErrHostMissing   ShapeError = "the host is missing"
	ErrHostPort      ShapeError = "the host has a port that is no number of 1 to 65535"
	ErrHostLength    ShapeError = "the host has more than 253 bytes"
	ErrHostLabel     ShapeError = "the host has an empty label: two dots, or a dot first"
	ErrHostUser      ShapeError = "the host has user information before @"
	ErrHostCharacter ShapeError = "the host has a character that is none of letters, digits, - _ and ."
	ErrHostAddress   ShapeError = "the host has brackets that hold no IPv6 address"
)
