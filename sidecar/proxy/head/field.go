package head

import (
	"bytes"
	"slices"
	"strconv"

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
	kindCount // how many there are
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

// AppendField appends a field line.
func AppendField(b []byte, name, value string) []byte {
	b = append(append(b, name...), ": "...)
	return append(append(b, value...), "\r\n"...)
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
		end := lineEnd(b)
		switch {
		case end < 0:
			return out, ErrLine
		case end == 0:
			return out, nil
		case len(out) == l.Fields:
			return out, ErrTooLarge
		}
		f, err := field(b[:end])
		if err != nil {
			return out, err
		}
		out, b = append(out, f), b[end+2:]
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
	if colon == 0 || colon == len(line) || line[colon] != ':' {
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

// known is a name that has a kind, and the kind of its other spellings, which an app may take for it.
type known struct {
	name         string
	kind, folded Kind
}

// kinds has names by their length, which settles most of them.
var kinds = func() (byLength [31][]known) {
	for _, k := range [...]known{
		{"te", TE, Other}, {"via", Via, Other}, {"host", Host, Other}, {"date", Date, Other}, {"proxy", Proxy, Other},
		{"cookie", Cookie, Other}, {"expect", Expect, Other}, {"upgrade", Upgrade, Other}, {"trailer", Trailer, Other},
		{"connection", Connection, Other}, {"keep-alive", KeepAlive, Other}, {"authorization", Authorization, Other},
		{"proxy-connection", ProxyConnection, Other}, {"proxy-authenticate", ProxyAuthenticate, Other},
		{"proxy-authorization", ProxyAuthorization, Other}, {"http2-settings", HTTP2Settings, Other},
		{"content-length", ContentLength, Folded}, {"transfer-encoding", TransferEncoding, Folded},
		{"x-request-id", RequestID, RequestID}, {"forwarded", Forwarded, Forwarded}, {"x-real-ip", Forwarded, Forwarded},
		{"x-forwarded-user", Identity, Identity}, {"x-forwarded-email", Identity, Identity},
		{"x-forwarded-groups", Identity, Identity}, {"x-forwarded-preferred-username", Identity, Identity},
	} {
		byLength[len(k.name)] = append(byLength[len(k.name)], k)
	}
	return byLength
}()

func kindOf(name []byte) Kind {
	if len(name) < len(kinds) {
		for i := range kinds[len(name)] {
			k := &kinds[len(name)][i]
			switch {
			case name[0]|0x20 != k.name[0]:
			case equal(name, k.name):
				return k.kind
			case k.folded != Other && fold.Same(name, k.name):
				return k.folded
			}
		}
	}
	switch {
	case begins(name, "x-forwarded-"):
		return Forwarded
	case begins(name, "x-auth-request-"):
		return Identity
	}
	return Other
}

// begins reports whether an app may take the beginning of a name for a prefix.
func begins(name []byte, prefix string) bool {
	return len(name) > len(prefix) && name[0]|0x20 == prefix[0] && fold.Same(name[:len(prefix)], prefix)
}

// ParseLength reads the value of a Content-Length as the reader of heads does, and returns it without zeros in front too.
func ParseLength(s string) (n int64, digits string, err error) {
	value := raw(s)
	n, err = length(&value)
	return n, s[len(s)-len(value):], err
}

// length reads 1*DIGIT (RFC 9110 section 8.6) and takes zeros from the front of it, which some take for a sign of an octal
// number. A list of equal numbers is refused too.
func length(value *[]byte) (int64, error) {
	for len(*value) > 1 && (*value)[0] == '0' {
		*value = (*value)[1:]
	}
	if len(*value) > 18 {
		return 0, ErrLength
	}
	n, err := strconv.ParseUint(string(*value), 10, 63)
	if err != nil {
		return 0, ErrLength
	}
	return int64(n), nil //nolint:gosec // it has 63 bits
}
