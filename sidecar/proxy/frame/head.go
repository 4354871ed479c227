package frame

import (
	"strings"

	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
)

// Head is a validated head: what of it no connection of its own has is left out, which is pseudo-fields.
type Head struct {
	// Method, Scheme, Authority and Path are a request's. Authority is that of the host field where the pseudo-field is missing,
	// and may be empty; Scheme and Path are in CONNECT.
	Method, Scheme, Authority, Path string
	// Status is an answer's.
	Status int
	// Fields are in the order in which they came.
	Fields []Field
	// Length is the value of Content-Length, negative if there is none.
	Length int64
	// End says that no content follows, and no trailers.
	End End
	// Over says that a request's head exceeds a limit. A server may answer 431; the request must not be served. Of the head nothing is to be
	// relied on but the method, which is empty if it is beyond the limit.
	Over bool

	host string
}

// request validates a request's fields (section 8.3.1).
func (h *Head) request(fields []Field) *Error {
	*h = Head{Length: -1}
	p := [pseudoMost]pseudo{{name: ":method", value: &h.Method}, {name: ":path", value: &h.Path}, {name: ":scheme", value: &h.Scheme},
		{name: ":authority", value: &h.Authority}} // :protocol is not among them: extended CONNECT was not offered (RFC 8441)
	rest, e := takePseudo(fields, p[:])
	if e != nil {
		return e
	}
	if e := h.regular(rest); e != nil {
		return e
	}
	connect := h.Method == "CONNECT"
	switch {
	case !head.IsToken(h.Method):
		return errPseudoMissing
	case connect && (p[1].seen || p[2].seen || h.Authority == ""):
		return errConnect
	case !connect && (h.Scheme == "" || h.Path == "" || p[3].seen && h.Authority == ""):
		return errPseudoMissing
	}
	return h.target(connect)
}

// target checks where a request goes.
func (h *Head) target(connect bool) *Error {
	switch {
	case connect:
	case h.Path[0] != '/' && (h.Path != "*" || h.Method != "OPTIONS"), strings.IndexFunc(h.Path, blank) >= 0:
		return errPath
	}
	if strings.IndexByte(h.Authority, '@') >= 0 || strings.IndexFunc(h.Authority, blank) >= 0 {
		return errAuthority
	}
	if h.host != "" && h.Authority != "" && !strings.EqualFold(h.host, h.Authority) {
		return errAuthority
	}
	if h.Authority == "" {
		h.Authority = h.host // section 8.3.1
	}
	return nil
}

func blank(c rune) bool { return c <= ' ' || c == 0x7f }

// response validates an answer's fields (section 8.3.2).
func (h *Head) response(fields []Field) *Error {
	*h = Head{Length: -1}
	var status string
	rest, e := takePseudo(fields, []pseudo{{name: ":status", value: &status}})
	if n, _, err := head.ParseLength(status); len(status) == 3 && err == nil {
		h.Status = int(n)
	}
	switch {
	case e != nil:
		return e
	case h.Status < 100:
		return errStatus
	case h.Status == 101:
		return errSwitching
	}
	return h.regular(rest)
}

// pseudo is a pseudo-field that may come.
type pseudo struct {
	name  string
	value *string
	seen  bool
}

// takePseudo takes the pseudo-fields from the front.
func takePseudo(fields []Field, known []pseudo) (rest []Field, e *Error) {
	for i := range fields {
		f := &fields[i]
		if !strings.HasPrefix(f.Name, ":") {
			return fields[i:], nil
		}
		k := 0
		for k < len(known) && known[k].name != f.Name {
			k++
		}
		if k == len(known) || known[k].seen {
			return nil, errPseudo
		}
		known[k].seen, *known[k].value = true, f.Value
		if !head.IsValue(f.Value) {
			return nil, errValue
		}
	}
	return nil, nil
}

// regular validates the fields of a head after its pseudo-fields.
func (h *Head) regular(fields []Field) *Error {
	h.Fields = fields
	named := false
	for i := range fields {
		kind, e := check(&fields[i])
		switch {
		case e != nil:
			return e
		case kind == head.ContentLength && h.Length >= 0:
			return errContentLength
		case kind == head.ContentLength:
			n, digits, err := head.ParseLength(fields[i].Value)
			if err != nil {
				return errContentLength
			}
			h.Length, fields[i].Value = n, digits
		case kind == head.Host && named:
			return errAuthority
		case kind == head.Host:
			h.host, named = fields[i].Value, true
		}
	}
	return nil
}

func checkTrailers(fields []Field) *Error {
	for i := range fields {
		if _, e := check(&fields[i]); e != nil {
			return e
		}
	}
	return nil
}

// check validates a field that is no pseudo-field (section 8.2).
func check(f *Field) (head.Kind, *Error) {
	if !lowerToken(f.Name) {
		if strings.HasPrefix(f.Name, ":") {
			return 0, errPseudo
		}
		return 0, errName
	}
	if !head.IsValue(f.Value) {
		return 0, errValue
	}
	kind := head.KindOf(f.Name)
	switch kind {
	case head.Connection, head.ProxyConnection, head.KeepAlive, head.TransferEncoding, head.Upgrade:
		return 0, errConnection
	case head.TE:
		if f.Value != "trailers" {
			return 0, errTE
		}
	default:
	}
	return kind, nil
}

// lowers holds for the bytes of a token without upper case (section 8.2.1).
var lowers = func() (t [256]bool) {
	for c := range t {
		t[c] = head.IsToken(string([]byte{byte(c)})) && (c < 'A' || c > 'Z')
	}
	return t
}()

func lowerToken(s string) bool {
	for i := range len(s) {
		if !lowers[s[i]] {
			return false
		}
	}
	return s != ""
}
