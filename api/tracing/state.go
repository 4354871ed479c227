package tracing

import "strings"

// Bounds of a tracestate (W3C Trace Context level 2 section 3.3.1).
const (
	maxMembers  = 32
	maxText     = 256  // bytes of a key, and of a value
	maxAllState = 4096 // bytes of all; the standard wants at least 512
)

// ReadState returns the value of the tracestate fields of a request as one, in the order they came. What breaks the grammar, has a key
// twice or is too much is dropped as a whole, as the standard has it: empty then.
func ReadState(values []string) string {
	var members []string
	bytes := 0
	for _, v := range values {
		if bytes += len(v); bytes > maxAllState {
			return ""
		}
		for member := range strings.SplitSeq(v, ",") {
			member = strings.Trim(member, " \t")
			if member == "" { // which the standard allows
				continue
			}
			if len(members) == maxMembers || !isMember(member) || hasKey(members, member) {
				return ""
			}
			members = append(members, member)
		}
	}
	return strings.Join(members, ",")
}

// hasKey reports whether one of the members has the key of another.
func hasKey(members []string, other string) bool {
	key, _, _ := strings.Cut(other, "=")
	for _, m := range members {
		if have, _, _ := strings.Cut(m, "="); have == key {
			return true
		}
	}
	return false
}

// isMember reports whether a text is key=value.
func isMember(text string) bool {
	key, value, ok := strings.Cut(text, "=")
	if !ok || key == "" || len(key) > maxText || value == "" || len(value) > maxText || value[len(value)-1] == ' ' {
		return false
	}
	for i := range len(key) {
		if !keyByte(key[i]) || i == 0 && !alphanumeric(key[0]) {
			return false
		}
	}
	for i := range len(value) {
		if c := value[i]; c < ' ' || c > '~' || c == '=' { // a comma ends the member
			return false
		}
	}
	return true
}

func alphanumeric(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }

func keyByte(c byte) bool { return alphanumeric(c) || strings.IndexByte("_-*/@", c) >= 0 }
