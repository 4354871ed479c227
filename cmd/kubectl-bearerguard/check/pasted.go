package check

import "strings"

// Pasted takes off what is often copied along with a token: white space, quotation marks, and the header's name and
// scheme, in any case. It returns the scheme, Bearer or DPoP; empty where there was none.
func Pasted(token string) (scheme, bare string) {
	for {
		bare = strings.Trim(token, " \t\r\n\"'`")
		for _, prefix := range []string{"authorization:", "bearer ", "bearer\t", "dpop ", "dpop\t"} {
			if len(bare) < len(prefix) || !strings.EqualFold(bare[:len(prefix)], prefix) {
				continue
			}
			switch bare = bare[len(prefix):]; prefix[0] {
			case 'b':
				scheme = "Bearer"
			case 'd':
				scheme = "DPoP"
			}
		}
		if bare == token {
			return scheme, bare
		}
		token = bare
	}
}

// Authorization returns the header Authorization for a token as somebody pasted it, empty without one. Where no scheme is with it, it is DPoP if the request has
// a proof, and otherwise Bearer.
func Authorization(pasted string, hasProof bool) string {
	scheme, token := Pasted(pasted)
	switch {
	case token == "":
		return ""
	case scheme == "" && hasProof:
		scheme = "DPoP"
	case scheme == "":
		scheme = "Bearer"
	}
	return scheme + " " + token
}
