// Package fold compares names of header fields as an app may: CGI and its descendants make one environment variable of all
// names that differ in case or in "-", "_" and other punctuation (RFC 3875 section 4.1.18). It is pure.
package fold

// Same reports whether an app may take one name for the other.
func Same[A, B ~string | ~[]byte](a A, b B) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if folded[a[i]] != folded[b[i]] {
			return false
		}
	}
	return true
}

// folded has the character that stands for each: letters in lower case, digits, and "-" for all others.
var folded = func() (table [256]byte) {
	for c := range table {
		switch {
		case c >= 'A' && c <= 'Z':
			table[c] = byte(c) + 'a' - 'A'
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			table[c] = byte(c)
		default:
			table[c] = '-'
		}
	}
	return table
}()
