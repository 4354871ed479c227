package token

import (
	"slices"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/keyset/strictjson"
)

// Answer is what an issuer says of a token (RFC 7662 section 2.2).
type Answer struct {
	// Body is a JSON object or, if Signed, a JWS that holds one (RFC 9701).
	Body   string
	Signed bool
	// ClientID is whom a signed answer has to be for.
	ClientID string
}

// signedType is the typ of a signed answer (RFC 9701 section 5).
const signedType = "token-introspection+jwt"

// jweParts is how many parts a JWE has in its compact form (RFC 7516 section 3.1).
const jweParts = 5

// answerAge is how old a signed answer may be, beside the clock skew: it was asked for just now.
const answerAge = time.Minute

// Opaque reports whether text has not the form of a JWT, so that only its issuer can read it: a JWT has dots, and before the first
// one base64url of something that begins like a JSON object. One that is cut off, or spelt in another way than it is to be, has the form.
func Opaque(raw string) bool {
	first, _, dots := strings.Cut(raw, ".")
	if !dots {
		return true
	}
	head, err := base64url.DecodeString(strings.TrimRight(first, "="))
	if err != nil { // what an app may read more leniently than we do is no opaque token
		return !strings.HasPrefix(first, "ey") // {" and { with a blank
	}
	return !strings.HasPrefix(strings.TrimLeft(string(head), " \t\r\n"), "{")
}

// CheckOpaque is the strict front for opaque tokens. The zero Refusal means that raw may be one: a b64token (RFC 6750 section 2.1),
// at most MaxBytes of it. RFC 6749 has more characters, which a bearer token cannot have, and which a firewall before the
// issuer may take for an attack.
func CheckOpaque(raw string) decision.Refusal {
	if len(raw) > MaxBytes {
		return decision.Refusal{Reason: decision.TokenTooLarge, Cause: length(len(raw))}
	}
	if problem := oddity(raw); problem != "" {
		return malformed("the token", problem)
	}
	text := strings.TrimRight(raw, "=")
	if text == "" || strings.ContainsFunc(text, func(c rune) bool { return !inB64token(c) }) {
		return malformed("the token", "is no b64token: letters, digits and -._~+/ are all that it may have, and = at its end")
	}
	return decision.Refusal{}
}

// inB64token reports whether a character may be in a b64token before its end (RFC 6750 section 2.1).
func inB64token(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("-._~+/", c)
}

// Introspects reports whether the verifier's issuer is asked about tokens.
func (v *Verifier) Introspects() bool { return v.introspects }

// Asks reports whether the issuer is to be asked about a token; t is nil for an opaque one. Whether others verify the token
// is not looked at.
func (v *Verifier) Asks(t *Token) bool {
	switch {
	case !v.introspects:
		return false
	case t == nil || v.anyIssuer || t.header.encrypted:
		return true
	}
	return t.jws.claims.hasIss && t.jws.claims.iss == v.issuer
}

// VerifyAnswer verifies what the issuer says of a token, at the given time. The zero Refusal means that the token is valid now. The
// members are held to what claims are held to; iss may be missing, since the issuer itself has been asked.
//
// An answer that is not what it has to be says nothing about the token: that is IntrospectionUnavailable, and so is a
// signed answer that does not verify.
func (v *Verifier) VerifyAnswer(a Answer, now time.Time) (Verified, decision.Refusal) {
	all, keyID, no := v.readAnswer(a, now)
	if no.Refused() {
		return Verified{}, no
	}
	active, isBool := all["active"].(bool)
	switch {
	case !isBool: // RFC 7662 section 2.2: REQUIRED, a boolean
		return Verified{}, unusable("has no member active that is true or false")
	case !active:
		return Verified{}, because(decision.Inactive, "its issuer says that it is not active: it has expired, was taken back, or was never issued")
	}
	if no := accessOnly(all); no.Refused() {
		return Verified{}, no
	}
	var r registered
	if no := r.of(all); no.Refused() {
		return Verified{}, unusable("has a registered member of a wrong type")
	}
	switch {
	case r.hasIss && !v.anyIssuer && r.iss != v.issuer:
		return Verified{}, decision.Refusal{Reason: decision.UnknownIssuer, Cause: stranger{iss: r.iss, has: r.hasIss, issuers: []Named{{Issuer: v.issuer}}}}
	case !r.hasIss && v.issuer != "": // rules see who was asked
		r.iss, r.all["iss"] = v.issuer, v.issuer
	}
	if no := v.check(&r, now); no.Refused() {
		return Verified{}, no
	}
	return v.verified(&r, keyID), decision.Refusal{}
}

// unusable is the Refusal of an answer that says nothing.
func unusable(problem string) decision.Refusal {
	return refuse(decision.IntrospectionUnavailable, fault{subject: "the issuer's answer", problem: problem})
}

// accessOnly refuses tokens that the issuer knows and that are no access tokens: a refresh token is active, too. How that is told is not
// standardised: token_use, typ and token_type are what providers say.
func accessOnly(all map[string]any) decision.Refusal {
	for _, m := range [...]struct {
		name  string
		other []string // in lower case
	}{
		{"token_use", []string{"refresh_token", "id_token", "refresh", "id"}},
		{"typ", []string{"refresh", "offline", "id", "logout"}},
		{"token_type", []string{"refresh_token", "id_token", "n_a"}}, // N_A: RFC 8693 section 2.2.1
	} {
		if s, ok := all[m.name].(string); ok && slices.Contains(m.other, strings.ToLower(s)) {
			return refuse(decision.WrongType, fault{subject: m.name, problem: "is not that of an access token", has: s})
		}
	}
	if s, _ := all["token_type"].(string); strings.EqualFold(s, "DPoP") && all["cnf"] == nil {
		return because(decision.KeyBound, "token_type is DPoP, but there is no cnf that says by which key")
	}
	return decision.Refusal{}
}

// readAnswer returns the members of an answer, and the id of the key that signed it.
func (v *Verifier) readAnswer(a Answer, now time.Time) (all map[string]any, keyID string, no decision.Refusal) {
	switch {
	case a.Signed != v.signed:
		return nil, "", unusable("is not signed, or is signed and need not be, other than signedResponse says")
	case a.Signed:
		return v.readSigned(a, now)
	}
	all, err := strictjson.ObjectOf(a.Body)
	if err != nil {
		return nil, "", unusable("is not one strict JSON object")
	}
	return all, "", decision.Refusal{}
}

// readSigned verifies a signed answer (RFC 9701 section 5). Its typ keeps it apart from access tokens, which the same keys may
// sign, and those from it.
func (v *Verifier) readSigned(a Answer, now time.Time) (all map[string]any, keyID string, no decision.Refusal) {
	if strings.Count(a.Body, ".") == jweParts-1 {
		return nil, "", unusable("is encrypted (JWE), which is not taken; register the client without introspection_encrypted_response_alg")
	}
	t, no := front(a.Body)
	switch {
	case no.Reason == decision.TokenTooLarge:
		return nil, "", unusable("is signed and has more than 16 KiB")
	case no.Refused():
		return nil, "", unusable("is not a well-formed JWS")
	}
	if t.header.typ != signedType {
		return nil, "", unusable("has not the typ " + signedType)
	}
	keyID, no = v.signedBy(t)
	switch {
	case no.Reason == decision.KeysUnavailable:
		return nil, "", no
	case no.Refused():
		return nil, "", decision.Refusal{Reason: decision.IntrospectionUnavailable, Cause: unproved{no}}
	}
	var outer registered
	if outer.parse(t.jws.payload).Refused() {
		return nil, "", unusable("has claims of its own that are malformed")
	}
	var forUs bool
	audience(outer.all["aud"], func(s string) { forUs = forUs || s == a.ClientID })
	inner, isObject := outer.all["token_introspection"].(map[string]any)
	switch {
	case outer.iss != v.issuer:
		return nil, "", unusable("is signed for another issuer")
	case !forUs:
		return nil, "", unusable("is for another client: aud is not our client_id")
	case !outer.iat.has || now.Add(v.skew).Before(outer.iat.at) || now.After(outer.iat.at.Add(answerAge+v.skew)):
		return nil, "", unusable("was not made just now: iat says so, or is missing")
	case !isObject:
		return nil, "", unusable("has no object token_introspection")
	}
	return inner, keyID, decision.Refusal{}
}

// unproved is the Cause of a signed answer that does not verify.
type unproved struct{ no decision.Refusal }

// String tells it without values.
func (u unproved) String() string {
	return "the issuer's signed answer: " + u.why(decision.Cause.String)
}

// Detail tells all.
func (u unproved) Detail() string {
	return "the issuer's signed answer: " + u.why(decision.Cause.Detail)
}

func (u unproved) why(tell func(decision.Cause) string) string {
	if u.no.Cause == nil {
		return string(u.no.Reason)
	}
	return tell(u.no.Cause)
}

// NewerKeys reports whether an answer was refused for a signature that keys might verify which the issuer has, and the verifier has
// not.
func NewerKeys(no decision.Refusal) bool {
	u, ok := no.Cause.(unproved)
	return ok && (u.no.Reason == decision.UnknownKey || u.no.Reason == decision.BadSignature)
}
