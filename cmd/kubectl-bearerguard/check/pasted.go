package check

import "strings"

// Pasted takes off what is often copied along with a token: white space, quotation marks, and the header's name and
// scheme, in any case.
func Pasted(token string) string {
	for {
		bare := strings.Trim(token, " \t\r\n\"'`")
		for _, prefix := range []string{"authorization:", "bearer ", "bearer\t"} {
			if len(bare) >= len(prefix) && strings.EqualFold(bare[:len(prefix)], prefix) {
				bare = bare[len(prefix):]
			}
		}
		if bare == token {
			return token
		}
		token = bare
	}
}
