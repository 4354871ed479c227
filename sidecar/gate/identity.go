package gate

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/fold"
)

// identity is how one Enforce policy writes claims into headers.
type identity struct {
	policy  string             // its ID
	issuers decision.IssuerSet // whose tokens count: those of the policy itself
	headers []identityHeader
	payload string
}

type identityHeader struct {
	name   string
	claim  decision.ClaimPath
	format policy.HeaderFormat
}

// newIdentity prepares a policy's forward section; the zero identity writes nothing.
func newIdentity(id string, f *policy.Forward, issuers decision.IssuerSet) (identity, error) {
	out := identity{policy: id, issuers: issuers}
	if f == nil {
		return out, nil
	}
	if f.PayloadHeader != "" {
		out.payload = textproto.CanonicalMIMEHeaderKey(f.PayloadHeader)
	}
	for _, h := range f.Headers {
		claim, err := decision.ParseClaimPath(h.Claim)
		if err != nil {
			return identity{}, err
		}
		out.headers = append(out.headers, identityHeader{textproto.CanonicalMIMEHeaderKey(h.Name), claim, h.Format})
	}
	return out, nil
}

// appendIdentity appends the identity headers of a token that the issuers verified to out, which is empty, and tells of those that it cannot give.
func (s *Snapshot) appendIdentity(out []Field, claims decision.Claims, verified decision.IssuerSet) []Field {
	out, left := appendFields(out, s.identity, claims, verified)
	if s.onLeftOut != nil {
		for _, l := range left {
			s.onLeftOut(l)
		}
	}
	return out
}

// appendFields appends the identity headers of a token that the issuers verified to out, which is empty. It returns, too, those that the token
// cannot give.
func appendFields(out []Field, all []identity, claims decision.Claims, verified decision.IssuerSet) ([]Field, []LeftOut) {
	var left []LeftOut
	for _, id := range all {
		if id.issuers&verified == 0 {
			continue
		}
		put := func(name, value string, why Omission) {
			switch {
			case hasField(out, name):
			case why != "":
				left = append(left, LeftOut{Policy: id.policy, Header: name, Why: why})
			default:
				out = append(out, Field{name, value})
			}
		}
		for _, h := range id.headers {
			value, why := h.value(claims)
			put(h.name, value, why)
		}
		if id.payload != "" {
			value, why := jsonText(map[string]any(claims))
			put(id.payload, base64.RawURLEncoding.EncodeToString([]byte(value)), why)
		}
	}
	return out, slices.DeleteFunc(left, func(l LeftOut) bool { return hasField(out, l.Header) })
}

func hasField(list []Field, name string) bool {
	return slices.ContainsFunc(list, func(f Field) bool { return fold.Same(f.Name, name) })
}

// value returns what a header says of the claims, or why it cannot.
func (h *identityHeader) value(claims decision.Claims) (string, Omission) {
	v, found := h.claim.Lookup(claims)
	if !found || v == nil {
		return "", NoClaim
	}
	var text string
	var why Omission
	switch h.format {
	case policy.FormatJSON:
		text, why = jsonText(v)
	case policy.FormatCSV:
		text, why = csv(v)
	default:
		if text, why = scalar(v); why == "" {
			why = carried(text)
		}
	}
	if why == "" && len(text) > maxIdentity {
		why = TooLong
	}
	return text, why
}

func jsonText(v any) (string, Omission) {
	b, err := asciiJSON(v)
	if err != nil {
		return "", NotText
	}
	return string(b), ""
}

func csv(v any) (string, Omission) {
	list, isList := v.([]any)
	if !isList {
		list = []any{v}
	}
	if len(list) == 0 {
		return "", EmptyList
	}
	parts := make([]string, 0, len(list))
	for _, e := range list {
		s, why := scalar(e)
		switch {
		case why == "" && strings.Contains(s, ","):
			why = Comma // an element must not read as two
		case why == "":
			why = carried(s)
		case isList:
			why = Element
		}
		if why != "" {
			return "", why
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, ","), ""
}

func scalar(v any) (string, Omission) {
	switch v := v.(type) {
	case string:
		return v, ""
	case json.Number:
		return v.String(), ""
	case bool:
		return strconv.FormatBool(v), ""
	case []any:
		return "", List
	case map[string]any:
		return "", Object
	}
	return "", NotText
}

// carried says why a field value does not arrive as it was sent (RFC 9110 section 5.5): it is empty, has a control byte, or
// white space at its ends, which parsers trim.
func carried(s string) Omission {
	switch {
	case s == "":
		return Empty
	case strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) >= 0:
		return Control
	case strings.TrimSpace(s) != s:
		return Space
	}
	return ""
}

// asciiJSON marshals compactly, members sorted by name, with everything beyond ASCII as \u escapes.
func asciiJSON(v any) ([]byte, error) {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	b := bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
	out := make([]byte, 0, len(b))
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if r < 0x7f {
			out = append(out, b[0])
		} else {
			for _, u := range utf16(r) {
				out = append(out, '\\', 'u', hex[u>>12], hex[u>>8&15], hex[u>>4&15], hex[u&15])
			}
		}
		b = b[size:]
	}
	return out, nil
}

const hex = "0123456789abcdef"

// utf16 returns a rune's code units, as JSON escapes want them (RFC 8259 section 7).
func utf16(r rune) []uint16 {
	if r < 0x10000 {
		return []uint16{uint16(r)}
	}
	r -= 0x10000
	return []uint16{0xd800 + uint16(r>>10), 0xdc00 + uint16(r&0x3ff)}
}
