package head

import (
	"bytes"
	"slices"

	"github.com/bearerguard/bearerguard/sidecar/fold"
)

// Kind tells the fields that framing and forwarding know from all others.
type Kind uint8

// The kinds of fields. Other is everything that is passed on without a thought.
const (
	Other Kind = iota
	Host
	ContentLength
	TransferEncoding
	Connection
	KeepAlive
	ProxyConnection
	ProxyAuthorization
	ProxyAuthenticate
	Upgrade
	TE
	Trailer
	Expect
	Authorization
	Cookie
	Via
	RequestID // in every spelling
	Proxy     // becomes the variable HTTP_PROXY of CGI and its descendants (CVE-2016-5385)
	Folded    // ContentLength or TransferEncoding in another spelling, which an app may take for them
	Forwarded // Forwarded, X-Forwarded-* and X-Real-IP, in every spelling
	Identity  // what says who the user is to apps behind oauth2-proxy, in every spelling
	HTTP2Settings
	Date
)

// Field is one header field. The slices point into the head.
type Field struct {
	// Name as it was sent.
	Name []byte
	// Value without white space around it.
	Value []byte
	// Kind of the name.
	Kind Kind
	// Seen is set by whoever decides by the value: a client cannot have it dropped any more.
	Seen bool
}

// Clone returns fields in memory of their own; nil for none.
func Clone(fields []Field) []Field {
	out := slices.Clone(fields)
	for i := range out {
		out[i].Name, out[i].Value = bytes.Clone(out[i].Name), bytes.Clone(out[i].Value)
	}
	return out
}

// fields parses the field lines at the start of b, up to and including the empty line, and appends them to out.
func fields(b []byte, out []Field, l Limits) ([]Field, error) {
	for {
		end := bytes.IndexByte(b, '\r')
		if end < 0 || end+1 >= len(b) || b[end+1] != '\n' {
			return out, ErrLine
		}
		if end == 0 {
			return out, nil
		}
		if len(out) == l.Fields {
			return out, ErrTooLarge
		}
		f, err := field(b[:end])
		if err != nil {
			return out, err
		}
		out = append(out, f)
		b = b[end+2:]
	}
}

// field reads field-name ":" OWS field-value OWS (RFC 9112 section 5) without its CRLF.
func field(line []byte) (Field, error) {
	if line[0] == ' ' || line[0] == '\t' {
		return Field{}, ErrFold // obs-fold, RFC 9112 section 5.2
	}
	colon := 0
	for colon < len(line) && tokenBytes[line[colon]] {
		colon++
	}
	switch {
	case colon == len(line):
		return Field{}, firstBad(line, ErrField)
	case colon == 0 || line[colon] != ':':
		return Field{}, firstBad(line, ErrField)
	}
	value := line[colon+1:]
	if bad := control(value); bad != "" {
		return Field{}, bad
	}
	name := line[:colon]
	return Field{Name: name, Value: trim(value), Kind: kindOf(name)}, nil
}

// firstBad says ErrLine of a line that holds a bare LF, else the error given.
func firstBad(line []byte, err Error) error {
	if bytes.IndexByte(line, '\n') >= 0 {
		return ErrLine
	}
	return err
}

// trim cuts OWS off (RFC 9110 section 5.6.3).
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// kindOf looks a name up by its length first, which settles most of them.
func kindOf(name []byte) Kind { //nolint:gocyclo,funlen // a table
	switch len(name) {
	case 2:
		return is(name, "te", TE)
	case 3:
		return is(name, "via", Via)
	case 4:
		if name[0]|0x20 == 'h' {
			return is(name, "host", Host)
		}
		return is(name, "date", Date)
	case 5:
		return is(name, "proxy", Proxy)
	case 6:
		if name[0]|0x20 == 'e' {
			return is(name, "expect", Expect)
		}
		return is(name, "cookie", Cookie)
	case 7:
		if name[0]|0x20 == 'u' {
			return is(name, "upgrade", Upgrade)
		}
		return is(name, "trailer", Trailer)
	case 9:
		if name[0]|0x20 == 'x' && fold.Same(name, "x-real-ip") {
			return Forwarded
		}
		return is(name, "forwarded", Forwarded)
	case 10:
		if name[0]|0x20 == 'c' {
			return is(name, "connection", Connection)
		}
		return is(name, "keep-alive", KeepAlive)
	case 12:
		if fold.Same(name, "x-request-id") {
			return RequestID
		}
	case 13:
		if name[0]|0x20 == 'a' {
			return is(name, "authorization", Authorization)
		}
	case 14:
		switch name[0] | 0x20 {
		case 'c':
			return framing(name, "content-length", ContentLength)
		case 'h':
			return is(name, "http2-settings", HTTP2Settings)
		}
	case 16:
		if name[0]|0x20 == 'p' {
			return is(name, "proxy-connection", ProxyConnection)
		}
	case 17:
		if name[0]|0x20 == 't' {
			return framing(name, "transfer-encoding", TransferEncoding)
		}
	case 18:
		if name[0]|0x20 == 'p' {
			return is(name, "proxy-authenticate", ProxyAuthenticate)
		}
	case 19:
		if name[0]|0x20 == 'p' {
			return is(name, "proxy-authorization", ProxyAuthorization)
		}
	}
	if len(name) > len(xForwarded) && name[0]|0x20 == 'x' {
		return kindOfX(name)
	}
	return Other
}

// kindOfX looks up a name that starts with an X and is longer than xForwarded.
func kindOfX(name []byte) Kind {
	if n := len(xAuthRequest); len(name) > n && fold.Same(name[:n], xAuthRequest) {
		return Identity
	}
	n := len(xForwarded)
	if !fold.Same(name[:n], xForwarded) {
		return Other
	}
	for _, who := range [...]string{"user", "email", "groups", "preferred-username"} {
		if fold.Same(name[n:], who) {
			return Identity
		}
	}
	return Forwarded
}

func is(name []byte, lower string, k Kind) Kind {
	if equal(name, lower) {
		return k
	}
	return Other
}

// framing is is for a field that frames a message.
func framing(name []byte, lower string, k Kind) Kind {
	if kind := is(name, lower, k); kind != Other || !fold.Same(name, lower) {
		return kind
	}
	return Folded
}

// ParseLength reads the value of a Content-Length as the reader of heads does, and returns it without zeros in front too.
func ParseLength(s string) (n int64, digits string, err error) {
	value := raw(s)
	n, err = length(&value)
	return n, s[len(s)-len(value):], err
}

const (
	xForwarded   = "x-forwarded-"
	xAuthRequest = "x-auth-request-"
)

// length reads 1*DIGIT (RFC 9110 section 8.6) and takes zeros from the front of it, which some take for a sign of an octal
// number. A list of equal numbers is refused too.
func length(value *[]byte) (int64, error) {
	for len(*value) > 1 && (*value)[0] == '0' {
		*value = (*value)[1:]
	}
	if len(*value) == 0 || len(*value) > 18 {
		return 0, ErrLength
	}
	var n int64
	for _, c := range *value {
		if c < '0' || c > '9' {
			return 0, ErrLength
		}
		n = n*10 + int64(c-'0')
	}
	return n, nil
}
