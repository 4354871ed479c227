package gate

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/textproto"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

// identity is how one Enforce policy writes claims into headers.
type identity struct {
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
func newIdentity(f *policy.Forward, issuers decision.IssuerSet) (identity, error) {
	id := identity{issuers: issuers}
	if f == nil {
		return id, nil
	}
	if f.PayloadHeader != "" {
		id.payload = textproto.CanonicalMIMEHeaderKey(f.PayloadHeader)
	}
	for _, h := range f.Headers {
		claim, err := decision.ParseClaimPath(h.Claim)
		if err != nil {
			return identity{}, err
		}
		id.headers = append(id.headers, identityHeader{textproto.CanonicalMIMEHeaderKey(h.Name), claim, h.Format})
	}
	return id, nil
}

// fields returns the identity headers of a token that the issuers verified.
func fields(all []identity, claims decision.Claims, verified decision.IssuerSet) []Field {
	var out []Field
	put := func(name, value string, ok bool) {
		if !ok {
			return
		}
		for _, f := range out {
			if sameFold(f.Name, name) {
				return
			}
		}
		out = append(out, Field{name, value})
	}
	for _, id := range all {
		if id.issuers&verified == 0 {
			continue
		}
		for _, h := range id.headers {
			value, ok := "", false
			if v, found := h.claim.Lookup(claims); found {
				value, ok = format(v, h.format)
			}
			put(h.name, value, ok)
		}
		if id.payload != "" {
			text, err := asciiJSON(map[string]any(claims))
			put(id.payload, base64.RawURLEncoding.EncodeToString(text), err == nil)
		}
	}
	return out
}

// format writes a claim's value; ok is false where a header cannot carry it unchanged.
func format(v any, f policy.HeaderFormat) (text string, ok bool) {
	switch f {
	case policy.FormatJSON:
		if v == nil {
			return "", false
		}
		b, err := asciiJSON(v)
		return string(b), err == nil
	case policy.FormatCSV:
		return csv(v)
	case policy.FormatString:
	}
	text, ok = scalar(v)
	return text, ok && carried(text)
}

func csv(v any) (string, bool) {
	list, isList := v.([]any)
	if !isList {
		list = []any{v}
	}
	parts := make([]string, 0, len(list))
	for _, e := range list {
		s, ok := scalar(e)
		if !ok || !carried(s) || strings.Contains(s, ",") {
			return "", false // an element must not read as two
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, ","), len(parts) > 0
}

func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}

// carried reports whether a field value arrives as it was sent (RFC 9110 section 5.5): it is not empty, has no control
// byte, and no white space at its ends, which parsers trim.
func carried(s string) bool {
	if s == "" || strings.TrimSpace(s) != s {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
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
