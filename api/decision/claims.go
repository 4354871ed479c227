package decision

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Claims is the payload of a verified token, as encoding/json decodes it with UseNumber: numbers are json.Number.
type Claims map[string]any

// text returns a claim that is a string, or "".
func (c Claims) text(name string) string {
	s, _ := c[name].(string)
	return s
}

// MaxClaimPath is the longest claim path, in bytes.
const MaxClaimPath = 256

// ClaimPath leads to a claim, also to one inside other claims: realm_access.roles. The zero ClaimPath leads nowhere.
type ClaimPath struct {
	segments []string
}

// ParseClaimPath reads dotted names with bracket-quoted segments, as in CEL: realm_access.roles,
// ["https://example.com/tenant"], resource_access["my.app"].roles. A dotted name consists of letters, digits, "_", "-"
// and ":"; quotes are " or ', and \ escapes the next character inside them.
func ParseClaimPath(s string) (ClaimPath, error) {
	if s == "" {
		return ClaimPath{}, fmt.Errorf("claim path is empty")
	}
	if len(s) > MaxClaimPath {
		return ClaimPath{}, fmt.Errorf("claim path has %d bytes, more than %d", len(s), MaxClaimPath)
	}
	var p ClaimPath
	for i := 0; i < len(s); {
		segment, next, err := claimSegment(s, i)
		if err != nil {
			return ClaimPath{}, err
		}
		p.segments = append(p.segments, segment)
		i = next
	}
	return p, nil
}

// claimSegment reads the segment of s at i and returns it and where the next begins.
func claimSegment(s string, i int) (string, int, error) {
	if s[i] == '[' {
		return quotedSegment(s, i+1)
	}
	if s[i] == '.' {
		if i == 0 {
			return "", 0, fmt.Errorf("claim path starts with a dot")
		}
		i++
	} else if i > 0 {
		return "", 0, fmt.Errorf("character %d of the claim path: neither \".\" nor \"[\"", i+1)
	}
	start := i
	for i < len(s) && claimNameByte(s[i]) {
		i++
	}
	if i == start {
		return "", 0, fmt.Errorf("character %d of the claim path: no name; names with other characters go in [\"...\"]", i+1)
	}
	return s[start:i], i, nil
}

func claimNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == ':'
}

// quotedSegment reads a quoted segment that starts after "[" at i.
func quotedSegment(s string, i int) (string, int, error) {
	if i >= len(s) || s[i] != '"' && s[i] != '\'' {
		return "", 0, fmt.Errorf("character %d of the claim path: no quote after \"[\"", i+1)
	}
	quote := s[i]
	var b strings.Builder
	for i++; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case c == quote:
			if i+1 >= len(s) || s[i+1] != ']' {
				return "", 0, fmt.Errorf("character %d of the claim path: no \"]\" after the quote", i+2)
			}
			return b.String(), i + 2, nil
		default:
			b.WriteByte(c)
		}
	}
	return "", 0, fmt.Errorf("claim path ends inside a quoted segment")
}

// Root returns the name of the claim of the token that the path begins with: realm_access of realm_access.roles; "" for the
// zero ClaimPath.
func (p ClaimPath) Root() string {
	if len(p.segments) == 0 {
		return ""
	}
	return p.segments[0]
}

// String returns the path in a form that ParseClaimPath reads.
func (p ClaimPath) String() string {
	var b strings.Builder
	for i, s := range p.segments {
		if plainClaimName(s) {
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(s)
			continue
		}
		b.WriteString(`["`)
		b.WriteString(strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s))
		b.WriteString(`"]`)
	}
	return b.String()
}

func plainClaimName(s string) bool {
	for i := range len(s) {
		if !claimNameByte(s[i]) {
			return false
		}
	}
	return s != ""
}

// Lookup returns the claim at the path. A claim that is missing, or lies inside something that is not an object, is
// not found; one that is null is found.
func (p ClaimPath) Lookup(c Claims) (any, bool) {
	if len(p.segments) == 0 || c == nil {
		return nil, false
	}
	var value any = map[string]any(c)
	for _, s := range p.segments {
		m, ok := value.(map[string]any)
		if !ok {
			return nil, false
		}
		if value, ok = m[s]; !ok {
			return nil, false
		}
	}
	return value, true
}

// scalarText returns the text that a string, number or boolean is compared by, and whether it is a number. Anything
// else has none.
func scalarText(v any) (text string, number, ok bool) {
	switch v := v.(type) {
	case string:
		return v, false, true
	case json.Number:
		return string(v), true, true
	case bool:
		return strconv.FormatBool(v), false, true
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), true, true
	case int64:
		return strconv.FormatInt(v, 10), true, true
	case int:
		return strconv.Itoa(v), true, true
	}
	return "", false, false
}
