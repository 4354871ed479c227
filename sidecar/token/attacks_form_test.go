package token

import (
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/api/decision"
)

// TestFormAttacks gives other spellings of a token and of its JSON: base64url, parts, serialisations, duplicates, depth.
func TestFormAttacks(t *testing.T) {
	t.Parallel()
	k := keys()
	v := newVerifier(t, Config{Keys: signingKeys(t), Issuer: issuer(nil)})
	head := object{"alg": "RS256", "kid": "rsa"}
	good := sign("RS256", k.rsa, head, claims())
	parts := strings.Split(good, ".")
	payload := func(p string) string { return sign("RS256", k.rsa, head, p) }
	header := func(h string) string { return sign("RS256", k.rsa, h, claims()) }
	body := text(claims())
	es := strings.Split(sign("ES256", k.p256, object{"alg": "ES256", "kid": "p256"}, claims()), ".")
	tests := map[string]struct {
		raw  string
		want decision.Reason
	}{
		"a good token":                     {good, ""},
		"nothing":                          {"", decision.Malformed},
		"one part":                         {parts[0], decision.Malformed},
		"two parts":                        {parts[0] + "." + parts[1], decision.Malformed},
		"four parts":                       {good + "." + parts[2], decision.Malformed},
		"six parts":                        {"a.b.c.d.e.f", decision.Malformed},
		"dots only":                        {"..", decision.Malformed},
		"thousands of dots":                {strings.Repeat(".", 16000), decision.Malformed},
		"a trailing dot":                   {good + ".", decision.Malformed},
		"an empty header":                  {"." + parts[1] + "." + parts[2], decision.Malformed},
		"an empty payload":                 {parts[0] + ".." + parts[2], decision.Malformed},
		"an empty signature":               {parts[0] + "." + parts[1] + ".", decision.Malformed},
		"padding in the signature":         {es[0] + "." + es[1] + "." + es[2] + "==", decision.Malformed},
		"padding in the payload":           {parts[0] + "." + parts[1] + "=." + parts[2], decision.Malformed},
		"unused bits in the signature":     {es[0] + "." + es[1] + "." + nextLetter(es[2]), decision.Malformed},
		"a line break in the payload":      {parts[0] + "." + parts[1][:4] + "\n" + parts[1][4:] + "." + parts[2], decision.Malformed},
		"a carriage return at the end":     {good + "\r", decision.Malformed},
		"a space in front":                 {" " + good, decision.Malformed},
		"a NUL at the end":                 {good + "\x00", decision.Malformed},
		"standard base64 letters":          {parts[0] + "." + parts[1] + "+/." + parts[2], decision.Malformed},
		"a part of 4n+1 letters":           {"eyJhb." + parts[1] + "." + parts[2], decision.Malformed},
		"two tokens with a comma":          {good + "," + good, decision.Malformed},
		"the flattened JSON serialisation": {`{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, decision.Malformed},
		"the general JSON serialisation":   {`{"payload":"` + parts[1] + `","signatures":[{"protected":"` + parts[0] + `","signature":"` + parts[2] + `"},{"protected":"` + parts[0] + `","signature":"` + parts[2] + `"}]}`, decision.Malformed},
		"SD-JWT disclosures":               {good + "~WyJzYWx0Il0~", decision.Malformed},
		"a token of 16 KiB and a byte":     {strings.Repeat("a", MaxBytes+1), decision.TokenTooLarge},
		"a header of 1 MiB":                {strings.Repeat("a", 1<<20) + ".e30.AA", decision.TokenTooLarge},
		"a header that is no object":       {header(`["alg","RS256"]`), decision.Malformed},
		"alg twice in the header":          {header(`{"alg":"RS256","alg":"none","kid":"rsa"}`), decision.Malformed},
		"alg twice, one escaped":           {header(`{"alg":"RS256","\u0061lg":"none","kid":"rsa"}`), decision.Malformed},
		"data after the header":            {header(`{"alg":"RS256","kid":"rsa"}{}`), decision.Malformed},
		"a byte order mark in the header":  {header("\ufeff" + `{"alg":"RS256","kid":"rsa"}`), decision.Malformed},
		"a payload that is a string":       {payload(`"claims"`), decision.Malformed},
		"a payload that is null":           {payload(`null`), decision.Malformed},
		"a payload that is a token":        {payload(good), decision.Malformed},
		"a claim twice":                    {payload(`{"sub":"mallory",` + body[1:]), decision.Malformed},
		"a claim twice, nested":            {payload(`{"a":{"b":1,"b":2},` + body[1:]), decision.Malformed},
		"data after the payload":           {payload(body + "{}"), decision.Malformed},
		"a NUL after the payload":          {payload(body + "\x00"), decision.Malformed},
		"white space around the payload":   {payload(" " + body + "\n"), ""},
		"a byte order mark in the payload": {payload("\ufeff" + body), decision.Malformed},
		"10,000 nested arrays":             {payload(`{"a":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `,` + body[1:]), decision.Malformed},
		"nesting 33 deep":                  {payload(`{"a":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `,` + body[1:]), decision.Malformed},
		"nesting 32 deep":                  {payload(`{"a":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `,` + body[1:]), ""},
		"invalid UTF-8":                    {payload("{\"a\":\"\xff\"," + body[1:]), decision.Malformed},
		"a lone surrogate":                 {payload(`{"a":"\ud800",` + body[1:]), decision.Malformed},
		"a number beyond a double":         {payload(`{"a":1e400,` + body[1:]), decision.Malformed},
		"a number of a thousand digits":    {payload(`{"a":` + strings.Repeat("9", 1000) + `,` + body[1:]), decision.Malformed},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, got := verify(v, tc.raw); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// nextLetter changes only unused bits of the last letter: an ES256 signature of 64 bytes leaves four of them.
func nextLetter(part string) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	i := strings.IndexByte(letters, part[len(part)-1])
	return part[:len(part)-1] + string(letters[i+1])
}
