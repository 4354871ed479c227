package token

import (
	"errors"
	"strconv"
	"strings"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/keyset/strictjson"
)

// What the parts of a token are called (RFC 7515 section 3.1, RFC 7516 section 3.1).
const (
	inHeader     = "the header"
	inPayload    = "the payload"
	inSignature  = "the signature"
	inKey        = "the encrypted key"
	inIV         = "the initialization vector"
	inCiphertext = "the ciphertext"
	inTag        = "the authentication tag"
)

// malformed is the Refusal of a part that is not well-formed.
func malformed(part, problem string) decision.Refusal {
	return refuse(decision.Malformed, fault{subject: part, problem: problem})
}

// length is the Cause of a token of too many bytes.
type length int

// String tells how many.
func (n length) String() string {
	return "the token has " + strconv.Itoa(int(n)) + " bytes; at most " + strconv.Itoa(MaxBytes) + " are read"
}

// Detail is String.
func (n length) Detail() string { return n.String() }

// parts is the Cause of a token of another number of parts than 3 or 5.
type parts int

// String tells how many.
func (n parts) String() string {
	return "the token has " + strconv.Itoa(int(n)) + " parts; a signed one (JWS) has 3, an encrypted one (JWE) 5"
}

// Detail is String.
func (n parts) Detail() string { return n.String() }

// misshapen says why raw is no compact serialisation, which has n parts.
func misshapen(raw string, n int) decision.Refusal {
	if problem := oddity(raw); problem != "" {
		return malformed("the token", problem)
	}
	if n == 1 {
		return malformed("the token", "has one part: it is cut off, or an opaque token that only its issuer can read")
	}
	return decision.Refusal{Reason: decision.Malformed, Cause: parts(n)}
}

// oddity returns what is odd about the text of a token as a whole; empty if nothing is.
func oddity(raw string) string {
	const scheme = "bearer "
	switch {
	case raw == "":
		return "is empty: its place is there, the token is not"
	case strings.HasPrefix(raw, "{"):
		return "is in the JSON serialization; want the compact one (RFC 7515 section 7.1)"
	case strings.ContainsRune(`"'`, rune(raw[0])):
		return "is in quotation marks"
	case len(raw) > len(scheme) && strings.EqualFold(raw[:len(scheme)], scheme):
		return "begins with Bearer once more"
	case strings.ContainsAny(raw, ", "):
		return "has a blank or a comma: two tokens in one place, or text beside it"
	}
	return ""
}

// misspelt says why a part is not base64url without padding (RFC 7515 section 2).
func misspelt(raw, part, text string) decision.Refusal {
	if problem := oddity(raw); problem != "" {
		return malformed("the token", problem)
	}
	return malformed(part, spelling(text))
}

func spelling(text string) string {
	for i := range len(text) {
		switch c := text[i]; {
		case c == '=':
			return "has padding (=); base64url in a token has none"
		case c == '+', c == '/':
			return "is base64; want base64url, which has - and _ for + and /"
		case c == ' ', c == '\t', c == '\r', c == '\n':
			return "has white space or a line break"
		case c == '%':
			return "has a percent sign; a token is not percent-encoded"
		case !strings.ContainsRune("-_", rune(c)) && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z'):
			return "has a character that is none of base64url"
		}
	}
	if len(text)%4 == 1 {
		return "is cut off: no base64url has this length"
	}
	return "has unused bits that are not zero: a second spelling of the same bytes"
}

// notJSON says why a part is not strict JSON.
func notJSON(part string, err error) decision.Refusal {
	var e *strictjson.Error
	if !errors.As(err, &e) {
		return malformed(part, "is no JSON")
	}
	f := fault{subject: part, problem: e.Problem}
	switch {
	case e.Member == "":
	case registeredName(e.Member):
		f.problem += " " + strconv.Quote(e.Member)
	default:
		f.has = e.Member
	}
	return refuse(decision.Malformed, f)
}

// registeredName holds for names of header members and claims that everybody knows, and that may be in a log therefore
// (RFC 7515 section 4.1, RFC 7516 section 4.1, RFC 7519 section 4.1, RFC 9068 section 2.2).
func registeredName(name string) bool {
	switch name {
	case "alg", "enc", "kid", "typ", "cty", "jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256", "crit", "b64", "zip", "epk", "apu",
		"apv", "iv", "tag", "p2s", "p2c",
		"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid", "cnf", "azp", "nonce", "scope", "scp", "client_id", "auth_time",
		"acr", "amr", "roles", "groups", "entitlements", "email", "name", "preferred_username":
		return true
	}
	return false
}
