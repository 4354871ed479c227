package frame

import "strconv"

// Code says why a stream or a connection ends (RFC 9113 section 7). Those that the RFC does not know are carried all the same.
type Code uint32

// The codes that RFC 9113 defines.
const (
	NoError            Code = 0x0
	ProtocolError      Code = 0x1
	InternalError      Code = 0x2
	FlowControlError   Code = 0x3
	SettingsTimeout    Code = 0x4
	StreamClosed       Code = 0x5
	FrameSizeError     Code = 0x6
	RefusedStream      Code = 0x7
	Cancel             Code = 0x8
	CompressionError   Code = 0x9
	ConnectError       Code = 0xa
	EnhanceYourCalm    Code = 0xb
	InadequateSecurity Code = 0xc
	HTTP11Required     Code = 0xd
)

var codeNames = [...]string{
	"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
	"FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
	"INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
}

// String returns the RFC's name of the code, or its number.
func (c Code) String() string {
	if int(c) < len(codeNames) {
		return codeNames[c]
	}
	return "code " + strconv.FormatUint(uint64(c), 10)
}

// Error is a rule that the peer broke. There is one for each rule; it holds nothing of what the peer sent.
type Error struct {
	// Code is what the peer is told.
	Code Code
	// Section is where the rule stands, such as "RFC 9113 section 5.1.1".
	Section string
	// Text says what the peer did.
	Text string
}

// Error returns what the peer did and where it is forbidden.
func (e *Error) Error() string { return e.Text + " (" + e.Section + ")" }

// rules has all of them, for the test that each is met.
var rules []*Error

func rule(code Code, section, text string) *Error {
	e := &Error{Code: code, Section: section, Text: text}
	if section[0] != 'R' {
		e.Section = "RFC 9113 section " + section
	}
	rules = append(rules, e)
	return e
}

// Rules whose breach ends the connection.
var (
	errPreface       = rule(ProtocolError, "3.4", "the connection does not start with HTTP/2's preface")
	errNoSettings    = rule(ProtocolError, "3.4", "the first frame is not SETTINGS")
	errFrameSize     = rule(FrameSizeError, "4.2", "a frame is larger than SETTINGS_MAX_FRAME_SIZE")
	errFrameLength   = rule(FrameSizeError, "4.2", "a frame has not the length of its type")
	errCompression   = rule(CompressionError, "4.3", "a field block cannot be decompressed")
	errInterrupted   = rule(ProtocolError, "4.3", "a frame comes in the middle of a field block")
	errContinuation  = rule(ProtocolError, "6.10", "CONTINUATION does not follow on a field block")
	errIdle          = rule(ProtocolError, "5.1", "a frame is on a stream that nobody opened")
	errClosed        = rule(StreamClosed, "5.1", "a frame is on a stream that its sender has ended")
	errStreamID      = rule(ProtocolError, "5.1.1", "a stream is opened by a number that its opener cannot use, or not any more")
	errStreamZero    = rule(ProtocolError, "5.1.1", "a frame of a stream is on the connection, or the reverse")
	errPadding       = rule(ProtocolError, "6.1", "padding is longer than its frame")
	errAck           = rule(FrameSizeError, "6.5", "an acknowledgement of SETTINGS has a payload")
	errPush          = rule(ProtocolError, "6.5.2", "SETTINGS_ENABLE_PUSH is not 0 or 1, or a server asks for it")
	errWindowSetting = rule(FlowControlError, "6.5.2", "SETTINGS_INITIAL_WINDOW_SIZE is more than 2^31-1")
	errFrameSetting  = rule(ProtocolError, "6.5.2", "SETTINGS_MAX_FRAME_SIZE is out of its range")
	errWindowsGrow   = rule(FlowControlError, "6.9.2", "SETTINGS_INITIAL_WINDOW_SIZE makes a window larger than 2^31-1")
	errPromise       = rule(ProtocolError, "8.4", "PUSH_PROMISE comes where nobody takes it")
	errConnWindow    = rule(FlowControlError, "6.9.1", "DATA exceeds the connection's window")
	errResets        = rule(EnhanceYourCalm, "10.5", "too many streams are reset in a second")
	errFlood         = rule(EnhanceYourCalm, "10.5", "too many frames move nothing")
	errUnread        = rule(EnhanceYourCalm, "10.5", "too many answers to SETTINGS and PING are not read")
	errHeadFar       = rule(EnhanceYourCalm, "10.5.1", "a field block is far above the limits")
	errFragments     = rule(EnhanceYourCalm, "10.5", "a field block comes in too many frames")
)

// Rules that the owner of a connection keeps, by Refuse.
var (
	// ErrCrowded is for a client whose unfinished field block there is no room for.
	ErrCrowded = rule(EnhanceYourCalm, "10.5", "heads that have not come as a whole take as much memory as they may")
	// ErrLate is for one that does not get on with what Awaits tells of.
	ErrLate = rule(EnhanceYourCalm, "10.5", "a head, or the preface and SETTINGS, have not come in time")
)

// Rules whose breach ends a stream.
var (
	errHalfClosed    = rule(StreamClosed, "5.1", "a frame is on a stream that its sender has closed")
	errSelf          = rule(ProtocolError, "RFC 7540 section 5.3.1", "a stream depends on itself")
	errPriority      = rule(FrameSizeError, "6.3", "PRIORITY has not 5 bytes")
	errWindow        = rule(FlowControlError, "6.9.1", "DATA exceeds the stream's window")
	errUpdate        = rule(ProtocolError, "6.9", "WINDOW_UPDATE by nothing")
	errOverflow      = rule(FlowControlError, "6.9.1", "WINDOW_UPDATE makes a window larger than 2^31-1")
	errRefused       = rule(RefusedStream, "5.1.2", "more streams are opened than SETTINGS_MAX_CONCURRENT_STREAMS")
	errTooLarge      = rule(EnhanceYourCalm, "10.5.1", "fields exceed the limits")
	errNoHead        = rule(ProtocolError, "8.1", "DATA or an end comes before the final head")
	errTrailersGoOn  = rule(ProtocolError, "8.1", "trailers do not end the stream")
	errLength        = rule(ProtocolError, "8.1.1", "the content has not the length that it declares")
	errContentLength = rule(ProtocolError, "8.1.1", "content-length is malformed or comes more than once")
	errName          = rule(ProtocolError, "8.2.1", "a field's name is not a token in lower case")
	errValue         = rule(ProtocolError, "8.2.1", "a field's value has a control character, or white space around it")
	errConnection    = rule(ProtocolError, "8.2.2", "a field is about a connection of HTTP/1")
	errTE            = rule(ProtocolError, "8.2.2", "te is not trailers")
	errPseudo        = rule(ProtocolError, "8.3", "a pseudo-field is unknown, out of its place, or comes more than once")
	errPseudoMissing = rule(ProtocolError, "8.3.1", "a pseudo-field is missing, empty or malformed")
	errPath          = rule(ProtocolError, "8.3.1", ":path does not start with a slash, or has a blank")
	errAuthority     = rule(ProtocolError, "8.3.1", ":authority has a user, or host differs from it or comes more than once")
	errConnect       = rule(ProtocolError, "8.5", "CONNECT has a scheme or a path, or no authority")
	errStatus        = rule(ProtocolError, "8.3.2", ":status is missing or not three digits")
	errSwitching     = rule(ProtocolError, "8.6", "101 is no status of HTTP/2")
	errInterimEnds   = rule(ProtocolError, "8.1", "an interim head ends the stream")
)
