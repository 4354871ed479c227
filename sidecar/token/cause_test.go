package token

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
)

// TestCauses holds what people are told of each refusal: the log's text, which has no value of the token, and that of
// "bearerguard check", which may.
func TestCauses(t *testing.T) {
	t.Parallel()
	k := keys()
	head := object{"alg": "RS256", "kid": "rsa"}
	signed := func(header, payload object) string {
		return sign("RS256", k.rsa, with(head, header), with(claims(), payload))
	}
	good := signed(nil, nil)
	parts := strings.Split(good, ".")
	sealedWith := func(header object, plain string) string {
		return sealDirect(with(object{"kid": "32", "cty": "JWT"}, header), plain)
	}
	strict := func(i *policy.Issuer) { i.Types, i.RequiredClaims = []string{"at+jwt"}, []string{"realm_access.roles"} }
	old := func(i *policy.Issuer) { i.MaxAge = &policy.Duration{Duration: 30 * time.Second} }
	open := decryption(false)
	narrow := func(i *policy.Issuer) {
		i.Decryption = &policy.Decryption{
			Required: true, KeyAlgorithms: []policy.KeyAlgorithm{"RSA-OAEP-256"}, ContentAlgorithms: []policy.ContentAlgorithm{"A256GCM", "A128GCM"},
		}
	}
	const allKeys = `; tried RSA key "rsa"`
	tests := map[string]struct {
		edit   func(*policy.Issuer)
		raw    string
		reason decision.Reason
		log    string
		detail string // empty: the log's
	}{
		"nothing":              {nil, "", decision.Malformed, "the token is empty: its place is there, the token is not", ""},
		"an opaque token":      {nil, "2YotnFZFEjr1zCsicMWpAA", decision.Malformed, "the token has one part: it is cut off, or an opaque token that only its issuer can read", ""},
		"four parts":           {nil, good + ".a", decision.Malformed, "the token has 4 parts; a signed one (JWS) has 3, an encrypted one (JWE) 5", ""},
		"too long":             {nil, strings.Repeat("a", 20000), decision.TokenTooLarge, "the token has 20000 bytes; at most 16384 are read", ""},
		"JSON serialization":   {nil, `{"payload":"x"}`, decision.Malformed, "the token is in the JSON serialization; want the compact one (RFC 7515 section 7.1)", ""},
		"in quotes":            {nil, `"` + good + `"`, decision.Malformed, "the token is in quotation marks", ""},
		"Bearer twice":         {nil, "bearer " + good, decision.Malformed, "the token begins with Bearer once more", ""},
		"two tokens":           {nil, good + ", Bearer " + good, decision.Malformed, "the token has a blank or a comma: two tokens in one place, or text beside it", ""},
		"padding":              {nil, parts[0] + "=." + parts[1] + "." + parts[2], decision.Malformed, "the header has padding (=); base64url in a token has none", ""},
		"padding at the end":   {nil, good + "==", decision.Malformed, "the signature has padding (=); base64url in a token has none", ""},
		"base64":               {nil, parts[0] + ".a+b/." + parts[2], decision.Malformed, "the payload is base64; want base64url, which has - and _ for + and /", ""},
		"a line break":         {nil, parts[0] + "\n." + parts[1] + "." + parts[2], decision.Malformed, "the header has white space or a line break", ""},
		"a percent sign":       {nil, parts[0] + "%2E." + parts[1] + "." + parts[2], decision.Malformed, "the header has a percent sign; a token is not percent-encoded", ""},
		"another character":    {nil, parts[0] + "." + parts[1] + ".ä", decision.Malformed, "the signature has a character that is none of base64url", ""},
		"cut off":              {nil, parts[0] + "." + parts[1] + ".AAAAA", decision.Malformed, "the signature is cut off: no base64url has this length", ""},
		"unused bits":          {nil, parts[0] + "." + parts[1] + ".AB", decision.Malformed, "the signature has unused bits that are not zero: a second spelling of the same bytes", ""},
		"no payload":           {nil, parts[0] + ".." + parts[2], decision.Malformed, "the payload is empty", ""},
		"no signature":         {nil, parts[0] + "." + parts[1] + ".", decision.Malformed, "the signature is empty", ""},
		"a byte order mark":    {nil, sign("RS256", k.rsa, head, "\ufeff{}"), decision.Malformed, "the payload begins with a byte order mark", ""},
		"no JSON object":       {nil, sign("RS256", k.rsa, head, "[1]"), decision.Malformed, "the payload is not a JSON object", ""},
		"a claim twice":        {nil, sign("RS256", k.rsa, head, `{"sub":"a","sub":"b"}`), decision.Malformed, `the payload has a duplicate member "sub"`, ""},
		"a claim of its own":   {nil, sign("RS256", k.rsa, head, `{"x-y":1,"x-y":2}`), decision.Malformed, `the payload has a duplicate member`, `the payload has a duplicate member: it is "x-y"`},
		"data behind":          {nil, sign("RS256", k.rsa, head, `{} {}`), decision.Malformed, `the payload has data after its end`, ""},
		"an embedded key":      {nil, signed(object{"jwk": public(k.rsa2, "", "")}, nil), decision.HeaderNotAllowed, "the header has jwk, a key that the token brings itself", ""},
		"crit of b64":          {nil, signed(object{"crit": []string{"b64"}, "b64": false}, nil), decision.HeaderNotAllowed, "the header has crit: b64", ""},
		"crit of its own":      {nil, signed(object{"crit": []string{"x-y"}, "x-y": 1}, nil), decision.HeaderNotAllowed, "the header has crit", `the header has crit: it is ["x-y"]`},
		"zip":                  {nil, signed(object{"zip": "DEF"}, nil), decision.HeaderNotAllowed, "the header has zip; a compressed token is refused", ""},
		"no alg":               {nil, signed(object{"alg": gone}, nil), decision.Malformed, "the header has no alg", ""},
		"a kid that is none":   {nil, signed(object{"kid": 7}, nil), decision.Malformed, "kid of the header is a number, not a string", "kid of the header is a number, not a string: it is 7"},
		"alg none":             {nil, signed(object{"alg": "none"}, nil), decision.Unsigned, "alg is none: nobody signed the token", ""},
		"alg nOnE":             {nil, signed(object{"alg": "nOnE"}, nil), decision.AlgorithmNotAllowed, "alg is none that can be verified or decrypted", `alg is none that can be verified or decrypted: it is "nOnE"`},
		"alg HS256":            {nil, sign("HS256", k.secret, with(head, object{"alg": "HS256"}), claims()), decision.AlgorithmNotAllowed, "alg is HS256, which is taken only where algorithms lists it", ""},
		"alg not listed":       {func(i *policy.Issuer) { i.Algorithms = []policy.Algorithm{"ES256", "PS256"} }, good, decision.AlgorithmNotAllowed, `alg is RS256, which algorithms does not list; want "ES256" or "PS256"`, ""},
		"alg of another key":   {nil, sign("RS256", k.rsa, with(head, object{"kid": "p256"}), claims()), decision.AlgorithmNotAllowed, `the key that kid names does not fit alg RS256; the key is EC P-256 key "p256"`, `the key that kid names does not fit alg RS256: its kid is "p256"; the key is EC P-256 key "p256"`},
		"another signature":    {nil, tampered(good), decision.BadSignature, "the signature does not verify" + allKeys, `the signature does not verify: its kid is "rsa"` + allKeys},
		"a final slash":        {nil, signed(nil, object{"iss": "https://login.example.com/"}), decision.UnknownIssuer, `iss differs from "https://login.example.com" by a final slash`, `the token says iss "https://login.example.com/", the policy "https://login.example.com": they differ by a final slash`},
		"http":                 {nil, signed(nil, object{"iss": "http://login.example.com"}), decision.UnknownIssuer, `iss differs from "https://login.example.com" by the scheme (http, https or none)`, `the token says iss "http://login.example.com", the policy "https://login.example.com": they differ by the scheme (http, https or none)`},
		"a stranger":           {nil, signed(nil, object{"iss": "evil\u202e"}), decision.UnknownIssuer, `iss is no issuer's of the policies; want "https://login.example.com"`, `the token says iss "evil\u202e", the policy "https://login.example.com"`},
		"no iss":               {nil, signed(nil, object{"iss": gone}), decision.UnknownIssuer, `iss is missing; want "https://login.example.com"`, ""},
		"another typ":          {strict, signed(object{"typ": "JWT"}, nil), decision.WrongType, `typ is not among types; want "at+jwt"`, `typ is not among types: it is "jwt"; want "at+jwt"`},
		"no typ":               {strict, signed(nil, nil), decision.WrongType, `typ is missing; want "at+jwt"`, ""},
		"a logout token":       {nil, signed(object{"typ": "logout+jwt"}, nil), decision.WrongType, "typ is logout+jwt, which is not an access token", ""},
		"cty JWT":              {nil, signed(object{"cty": "JWT"}, nil), decision.WrongType, "cty is JWT: the payload is a token of its own, and the outer one is not encrypted", ""},
		"a required claim":     {strict, signed(object{"typ": "at+jwt"}, nil), decision.MissingClaim, "realm_access.roles is missing or null; requiredClaims names it", ""},
		"sub a number":         {nil, signed(nil, object{"sub": 42}), decision.BadClaim, "sub is a number, not a string", "sub is a number, not a string: it is 42"},
		"jti null":             {nil, signed(nil, object{"jti": nil}), decision.BadClaim, "jti is null, not a string", ""},
		"exp a string":         {nil, signed(nil, object{"exp": "1"}), decision.BadClaim, "exp is a string, not a number of seconds since 1970", `exp is a string, not a number of seconds since 1970: it is "1"`},
		"exp in milliseconds":  {nil, signed(nil, object{"exp": json.Number("1900000000000")}), decision.BadClaim, "exp is after the year 9999: it may be in milliseconds; want seconds", "exp is after the year 9999: it may be in milliseconds; want seconds: it is 1900000000000"},
		"nbf before 1970":      {nil, signed(nil, object{"nbf": -1}), decision.BadClaim, "nbf is before 1970", "nbf is before 1970: it is -1"},
		"aud with a number":    {nil, signed(nil, object{"aud": []any{"orders", 1}}), decision.BadClaim, "aud[1] is a number, not a string", "aud[1] is a number, not a string: it is 1"},
		"aud an object":        {nil, signed(nil, object{"aud": object{}}), decision.BadClaim, "aud is an object, not a string or a list of strings", "aud is an object, not a string or a list of strings: it is {}"},
		"another aud":          {nil, signed(nil, object{"aud": []any{"pay"}}), decision.WrongAudience, `aud has none of the audiences; want "orders" or "https://orders.example.com"`, `aud has none of the audiences: the token has ["pay"]; want "orders" or "https://orders.example.com"`},
		"a near aud":           {nil, signed(nil, object{"aud": "https://orders.example.com/"}), decision.WrongAudience, `aud has none of the audiences; it differs from "https://orders.example.com" by a final slash; want "orders" or "https://orders.example.com"`, `aud has none of the audiences; it differs from "https://orders.example.com" by a final slash: the token has "https://orders.example.com/"; want "orders" or "https://orders.example.com"`},
		"no aud":               {nil, signed(nil, object{"aud": gone}), decision.WrongAudience, `aud is missing; want "orders" or "https://orders.example.com"`, ""},
		"expired":              {nil, signed(nil, object{"exp": now.Add(-3 * time.Minute).Unix()}), decision.Expired, "exp has passed; clockSkew is 30s", "exp was 3m ago (" + now.Add(-3*time.Minute).UTC().Format(time.RFC3339) + "); clockSkew is 30s"},
		"not yet":              {nil, signed(nil, object{"nbf": now.Add(2 * time.Hour).Unix()}), decision.NotYetValid, "nbf is in the future; clockSkew is 30s", "nbf is in 2h (" + now.Add(2*time.Hour).UTC().Format(time.RFC3339) + "); clockSkew is 30s"},
		"issued later":         {nil, signed(nil, object{"iat": now.Add(time.Minute).Unix()}), decision.NotYetValid, "iat is in the future; clockSkew is 30s", "iat is in 1m (" + now.Add(time.Minute).UTC().Format(time.RFC3339) + "); clockSkew is 30s"},
		"too old":              {old, signed(nil, object{"iat": now.Add(-2 * time.Minute).Unix()}), decision.TooOld, "iat is longer ago than maxAge; maxAge is 30s", "iat was 2m ago (" + now.Add(-2*time.Minute).UTC().Format(time.RFC3339) + "); maxAge is 30s"},
		"no iat":               {old, signed(nil, object{"iat": gone}), decision.MissingClaim, "iat is missing; maxAge counts from it", ""},
		"no exp":               {nil, signed(nil, object{"exp": gone}), decision.MissingClaim, "exp is missing; allowMissingExp: true takes such tokens", ""},
		"bound by DPoP":        {nil, signed(nil, object{"cnf": object{"jkt": "x"}}), decision.KeyBound, "cnf binds the token to a key, by jkt: the client has to prove it with DPoP (RFC 9449), and proof.dpop does not take such tokens", ""},
		"bound by certificate": {nil, signed(nil, object{"cnf": object{"x5t#S256": "x"}}), decision.KeyBound, "cnf binds the token to a key, by x5t#S256: the client has to show a certificate (RFC 8705), and proof.mtls does not take such tokens", ""},
		"bound otherwise":      {nil, signed(nil, object{"cnf": object{"x-y": 1}}), decision.KeyBound, "cnf binds the token to a key", `cnf binds the token to a key: it is {"x-y":1}`},
		"cnf a string":         {nil, signed(nil, object{"cnf": "x"}), decision.BadClaim, "cnf is a string, not an object", `cnf is a string, not an object: it is "x"`},
		"no client_id":         {profile, signed(object{"typ": "at+jwt"}, nil), decision.MissingClaim, "client_id is missing; profile RFC9068 requires it", ""},
		"an empty client_id":   {profile, signed(object{"typ": "at+jwt"}, object{"client_id": ""}), decision.BadClaim, "client_id is empty; profile RFC9068 requires it", ""},
		"a JWE, no decryption": {nil, sealedWith(nil, good), decision.NotDecryptable, "the token is encrypted (JWE), and the issuer has no decryption", ""},
		"a JWS, JWE required":  {narrow, good, decision.NotEncrypted, "the token is signed only (JWS); decryption.required wants an encrypted one (JWE)", ""},
		"key alg not listed":   {narrow, sealedWith(nil, good), decision.AlgorithmNotAllowed, `alg is dir, which decryption.keyAlgorithms does not list; want "RSA-OAEP-256"`, ""},
		"enc not listed":       {narrow, seal("RSA-OAEP-256", "A192GCM", &k.rsa.PublicKey, object{"cty": "JWT", "kid": "rsa"}, good), decision.AlgorithmNotAllowed, `enc is A192GCM, which decryption.contentAlgorithms does not list; want "A256GCM" or "A128GCM"`, ""},
		"RSA1_5":               {open, setHeader(sealedWith(nil, good), "alg", `"RSA1_5"`), decision.AlgorithmNotAllowed, "alg is RSA1_5, which has padding oracles; use RSA-OAEP-256", ""},
		"another kid":          {open, sealedWith(object{"kid": "x"}, good), decision.NotDecryptable, `no key has the token's kid; the keys are symmetric key "16", symmetric key "24", symmetric key "32", symmetric key "48", symmetric key "64", EC P-256 key "p256", EC P-384 key "p384", EC P-521 key "p521" and 2 more`, `no key has the token's kid: its kid is "x"; the keys are symmetric key "16", symmetric key "24", symmetric key "32", symmetric key "48", symmetric key "64", EC P-256 key "p256", EC P-384 key "p384", EC P-521 key "p521" and 2 more`},
		"a broken JWE":         {open, corrupt(sealedWith(nil, good), 3), decision.NotDecryptable, `the token does not decrypt; tried symmetric key "32"`, `the token does not decrypt: its kid is "32"; tried symmetric key "32"`},
		"a short tag":          {open, part(sealedWith(nil, good), 4, func(b []byte) []byte { return b[:12] }), decision.Malformed, "the authentication tag has another length than enc A256GCM wants", ""},
		"no cty":               {open, sealedWith(object{"cty": gone}, good), decision.Unsigned, "cty is missing, so that nothing inside is signed; want cty JWT, or decryption.allowUnsigned: true", ""},
		"another cty":          {open, sealedWith(object{"cty": "text/plain"}, good), decision.WrongType, "cty is not JWT: what is inside is no token", `cty is not JWT: what is inside is no token: it is "text/plain"`},
		"no token inside":      {open, sealedWith(nil, "x"), decision.Malformed, "in the token inside, the token has one part: it is cut off, or an opaque token that only its issuer can read", ""},
		"an old token inside":  {open, sealedWith(nil, signed(nil, object{"exp": now.Add(-time.Hour).Unix()})), decision.Expired, "in the token inside, exp has passed; clockSkew is 30s", "in the token inside, exp was 1h ago (" + now.Add(-time.Hour).UTC().Format(time.RFC3339) + "); clockSkew is 30s"},
		"encrypted twice":      {open, sealedWith(nil, sealedWith(nil, good)), decision.WrongType, "in the token inside, what is inside is encrypted once more; want a signed token", ""},
		"another sub outside":  {open, sealedWith(object{"sub": "bob"}, good), decision.BadClaim, "in the token inside, sub of the header is not that of the claims", `in the token inside, sub of the header is not that of the claims: it is "bob"`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := issuer(func(i *policy.Issuer) {
				i.Audiences = []string{"orders", "https://orders.example.com"}
				if tc.edit != nil {
					tc.edit(i)
				}
			})
			v := newVerifier(t, Config{Keys: signingKeys(t), Decryption: openingKeys(t), Issuer: spec})
			_, no := refusal(v, tc.raw)
			if no.Reason != tc.reason {
				t.Fatalf("got %q, want %q", no.Reason, tc.reason)
			}
			if tc.detail == "" {
				tc.detail = tc.log
			}
			if got := no.Cause.String(); got != tc.log {
				t.Errorf("the log has\n%s, want\n%s", got, tc.log)
			}
			if got := no.Cause.Detail(); got != tc.detail {
				t.Errorf("check has\n%s, want\n%s", got, tc.detail)
			}
		})
	}
}

func profile(i *policy.Issuer) { i.Profile = policy.ProfileRFC9068 }

// TestCausesOfKeys names the keys that there are.
func TestCausesOfKeys(t *testing.T) {
	t.Parallel()
	k := keys()
	raw := sign("RS256", k.rsa, object{"alg": "RS256", "kid": "new"}, claims())
	for name, tc := range map[string]struct {
		keys        *keyset.Set
		log, detail string
	}{
		"none yet": {nil, "the keys of issuer corp have not been read yet", "the keys of issuer corp have not been read yet"},
		"others": {set(t, keyset.Verify, public(k.rsa, "old", ""), public(k.p256, "ec", "")),
			`no key has the token's kid; the keys are EC P-256 key "ec", RSA key "old"`, `no key has the token's kid: its kid is "new"; the keys are EC P-256 key "ec", RSA key "old"`},
	} {
		_, no := refusal(newVerifier(t, Config{Keys: tc.keys, Issuer: issuer(func(i *policy.Issuer) { i.Name = "corp" })}), raw)
		if no.Cause.String() != tc.log || no.Cause.Detail() != tc.detail {
			t.Errorf("%s: got %q and %q", name, no.Cause, no.Cause.Detail())
		}
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	names := []string{"https://sts.example.com/v1", "https://login.example.com", "accounts.example.com"}
	for iss, want := range map[string]string{
		"https://login.example.com/":        `"https://login.example.com" a final slash`,
		"https://Login.example.com":         `"https://login.example.com" upper and lower case`,
		" https://login.example.com":        `"https://login.example.com" white space at an end`,
		"http://login.example.com":          `"https://login.example.com" the scheme (http, https or none)`,
		"https://accounts.example.com":      `"accounts.example.com" the scheme (http, https or none)`,
		"https://login.example.com:443":     `"https://login.example.com" the port`,
		"http://LOGIN.example.com:8080/":    `"https://login.example.com" scheme, port, case or a final slash`,
		"https://sts.example.com/v2":        `"https://sts.example.com/v1" what follows the host`,
		"https://other.example.com":         "",
		"":                                  "",
		"https://login.example.com.evil.it": "",
	} {
		got := ""
		if at, how := nearest(iss, len(names), func(i int) string { return names[i] }); how != "" {
			got = `"` + names[at] + `" ` + how
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", iss, got, want)
		}
	}
}
