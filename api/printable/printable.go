// Package printable makes text from elsewhere fit for a log, an error and a status. It is pure.
package printable

import (
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text returns s with every character that does not show escaped as in a Go string. It has at most so many bytes, 3 or more;
// what is longer is cut and ends with "...". It keeps control characters, terminal escapes and text direction marks out of
// whatever reads a log.
func Text(s string, most int) string {
	if len(s) <= most && plain(s) {
		return s
	}
	var b strings.Builder
	whole := 0 // bytes that fit with "..." behind them
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b.WriteString(`\x` + strconv.FormatUint(uint64(s[i])|0x100, 16)[1:])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		if b.Len() > most {
			return b.String()[:whole] + "..."
		}
		if b.Len() <= most-3 {
			whole = b.Len()
		}
		i += size
	}
	return b.String()
}

func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// URL returns a URL without user, query and fragment, in ASCII, of at most 200 bytes.
func URL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "the URL"
	}
	u.User, u.RawQuery, u.ForceQuery, u.Fragment, u.RawFragment = nil, "", false, "", ""
	s := strings.Trim(strconv.QuoteToASCII(u.String()), `"`)
	return s[:min(len(s), 200)]
}
