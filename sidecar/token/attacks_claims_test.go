package token

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

// TestClaims gives claims of wrong types, at the edges of time, and almost equal to what is wanted.
func TestClaims(t *testing.T) {
	t.Parallel()
	k := keys()
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	number := func(s string) json.Number { return json.Number(s) }
	edit := func(f func(*policy.Issuer)) func(*policy.Issuer) { return f }
	anyAudience := edit(func(i *policy.Issuer) { i.Audiences, i.AnyAudience = nil, true })
	anyIssuer := edit(func(i *policy.Issuer) { i.Issuer, i.AnyIssuer = "", true })
	noExp := edit(func(i *policy.Issuer) { i.AllowMissingExp = true })
	maxAge := edit(func(i *policy.Issuer) { i.MaxAge = &policy.Duration{Duration: time.Hour} })
	noSkew := edit(func(i *policy.Issuer) { i.ClockSkew = &policy.Duration{} })
	required := func(paths ...string) func(*policy.Issuer) {
		return func(i *policy.Issuer) { i.RequiredClaims = paths }
	}
	type c = object
	tests := map[string]struct {
		edit   func(*policy.Issuer)
		claims object
		want   decision.Reason
	}{
		"exp absent":                          {nil, c{"exp": gone}, decision.MissingClaim},
		"exp absent, and that is allowed":     {noExp, c{"exp": gone}, ""},
		"exp past, though it may be absent":   {noExp, c{"exp": at(-time.Hour)}, decision.Expired},
		"exp zero":                            {nil, c{"exp": 0}, decision.Expired},
		"exp a tiny fraction":                 {nil, c{"exp": number("1e-5")}, decision.Expired},
		"exp minus zero":                      {nil, c{"exp": number("-0")}, decision.Expired},
		"exp negative":                        {nil, c{"exp": -1}, decision.BadClaim},
		"exp negative and fractional":         {nil, c{"exp": number("-0.5")}, decision.BadClaim},
		"exp a fraction in the future":        {nil, c{"exp": number("1.9e9")}, ""},
		"exp fractional":                      {nil, c{"exp": float64(at(time.Minute)) + 0.5}, ""},
		"exp a string of digits":              {nil, c{"exp": "9999999999"}, decision.BadClaim},
		"exp a string date":                   {nil, c{"exp": "2030-01-01T00:00:00Z"}, decision.BadClaim},
		"exp null":                            {nil, c{"exp": nil}, decision.BadClaim},
		"exp null, though it may be absent":   {noExp, c{"exp": nil}, decision.BadClaim},
		"exp a boolean":                       {nil, c{"exp": true}, decision.BadClaim},
		"exp a list":                          {nil, c{"exp": []int64{at(time.Hour)}}, decision.BadClaim},
		"exp in milliseconds":                 {nil, c{"exp": at(time.Hour) * 1000}, decision.BadClaim},
		"exp beyond int64":                    {nil, c{"exp": number("99999999999999999999")}, decision.BadClaim},
		"exp 1e300":                           {nil, c{"exp": number("1e300")}, decision.BadClaim},
		"exp in the year 9999":                {nil, c{"exp": 253402300799}, ""},
		"exp now, with the skew":              {nil, c{"exp": at(0)}, ""},
		"exp just within the skew":            {nil, c{"exp": at(-29 * time.Second)}, ""},
		"exp at the end of the skew":          {nil, c{"exp": at(-30 * time.Second)}, decision.Expired},
		"exp now, without skew":               {noSkew, c{"exp": at(0)}, decision.Expired},
		"nbf within the skew":                 {nil, c{"nbf": at(30 * time.Second)}, ""},
		"nbf beyond the skew":                 {nil, c{"nbf": at(31 * time.Second)}, decision.NotYetValid},
		"nbf a string":                        {nil, c{"nbf": "1"}, decision.BadClaim},
		"nbf null":                            {nil, c{"nbf": nil}, decision.BadClaim},
		"iat in the future":                   {nil, c{"iat": at(time.Minute)}, decision.NotYetValid},
		"iat a string":                        {nil, c{"iat": "1"}, decision.BadClaim},
		"iat absent":                          {nil, c{"iat": gone}, ""},
		"iat absent with maxAge":              {maxAge, c{"iat": gone}, decision.MissingClaim},
		"iat as old as maxAge and skew":       {maxAge, c{"iat": at(-time.Hour - 30*time.Second)}, ""},
		"iat older than maxAge":               {maxAge, c{"iat": at(-time.Hour - 31*time.Second)}, decision.TooOld},
		"aud the audience":                    {nil, c{"aud": "orders"}, ""},
		"aud a list of one":                   {nil, c{"aud": []string{"orders"}}, ""},
		"aud a list with others":              {nil, c{"aud": []string{"a", "orders"}}, ""},
		"aud a list without":                  {nil, c{"aud": []string{"a", "b"}}, decision.WrongAudience},
		"aud an empty list":                   {nil, c{"aud": []string{}}, decision.WrongAudience},
		"aud an empty string":                 {nil, c{"aud": ""}, decision.WrongAudience},
		"aud a list of an empty string":       {nil, c{"aud": []string{""}}, decision.WrongAudience},
		"aud absent":                          {nil, c{"aud": gone}, decision.WrongAudience},
		"aud null":                            {nil, c{"aud": nil}, decision.BadClaim},
		"aud a number":                        {nil, c{"aud": 1}, decision.BadClaim},
		"aud an object":                       {nil, c{"aud": c{"orders": true}}, decision.BadClaim},
		"aud a list with a number":            {nil, c{"aud": []any{"orders", 1}}, decision.BadClaim},
		"aud a list in a list":                {nil, c{"aud": []any{[]any{"orders"}}}, decision.BadClaim},
		"aud of another case":                 {nil, c{"aud": "Orders"}, decision.WrongAudience},
		"aud with a prefix":                   {nil, c{"aud": "orders2"}, decision.WrongAudience},
		"aud absent, and any will do":         {anyAudience, c{"aud": gone}, ""},
		"aud a number, and any will do":       {anyAudience, c{"aud": 1}, decision.BadClaim},
		"iss with a trailing slash":           {nil, c{"iss": "https://login.example.com/"}, decision.UnknownIssuer},
		"iss of another case":                 {nil, c{"iss": "https://LOGIN.example.com"}, decision.UnknownIssuer},
		"iss with white space":                {nil, c{"iss": "https://login.example.com "}, decision.UnknownIssuer},
		"iss over http":                       {nil, c{"iss": "http://login.example.com"}, decision.UnknownIssuer},
		"iss a list":                          {nil, c{"iss": []string{"https://login.example.com"}}, decision.BadClaim},
		"iss null":                            {nil, c{"iss": nil}, decision.BadClaim},
		"iss empty":                           {nil, c{"iss": ""}, decision.UnknownIssuer},
		"iss absent":                          {nil, c{"iss": gone}, decision.UnknownIssuer},
		"iss absent, and any will do":         {anyIssuer, c{"iss": gone}, ""},
		"iss whatever, and any will do":       {anyIssuer, c{"iss": "other"}, ""},
		"iss a number, and any will do":       {anyIssuer, c{"iss": 1}, decision.BadClaim},
		"sub a number":                        {nil, c{"sub": 1}, decision.BadClaim},
		"sub null":                            {nil, c{"sub": nil}, decision.BadClaim},
		"sub absent":                          {nil, c{"sub": gone}, ""},
		"jti a number":                        {nil, c{"jti": 1}, decision.BadClaim},
		"sid a list":                          {nil, c{"sid": []string{"a"}}, ""},
		"sid a number":                        {nil, c{"sid": 7}, ""},
		"sid null":                            {nil, c{"sid": nil}, ""},
		"a required claim":                    {required("sub", "a.b"), c{"a": c{"b": false}}, ""},
		"a required claim that is absent":     {required("tenant"), nil, decision.MissingClaim},
		"a required claim that is null":       {required("tenant"), c{"tenant": nil}, decision.MissingClaim},
		"a required claim below a string":     {required("sub.x"), nil, decision.MissingClaim},
		"a required claim with a quoted name": {required(`["https://example.com/t"]`), c{"https://example.com/t": 1}, ""},
		"bound to a certificate":              {nil, c{"cnf": c{"x5t#S256": "abc"}}, decision.KeyBound},
		"bound to a DPoP key":                 {nil, c{"cnf": c{"jkt": "abc"}}, decision.KeyBound},
		"bound to nothing known":              {nil, c{"cnf": c{}}, decision.KeyBound},
		"cnf null":                            {nil, c{"cnf": nil}, decision.BadClaim},
		"cnf a string":                        {nil, c{"cnf": "abc"}, decision.BadClaim},
		"claims in another case mean nothing": {nil, c{"EXP": 1, "Aud": "other", "NBF": at(time.Hour)}, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVerifier(t, Config{Keys: signingKeys(t), Issuer: issuer(tc.edit)})
			raw := sign("ES256", k.p256, object{"alg": "ES256", "kid": "p256"}, with(claims(), tc.claims))
			if _, got := verify(v, raw); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
