package decision_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
)

func TestCompileChecksProof(t *testing.T) {
	t.Parallel()
	const url = "publicURLs: ['https://api.example.com']"
	tests := map[string]struct {
		proof string
		want  []string // the fields below issuers[0]
	}{
		"nothing":                        {"{}", nil},
		"refused in words":               {"{dpop: Refuse, mtls: Refuse}", nil},
		"DPoP":                           {"{dpop: Required, " + url + ", maxAge: 10s, replay: PerPod}", nil},
		"a base path and a port":         {"{dpop: IfBound, publicURLs: ['https://api.example.com:8443/orders/', 'http://localhost:8080']}", nil},
		"certificates":                   {"{mtls: Required}", nil},
		"one required, the other not":    {"{dpop: Required, mtls: IfBound, " + url + "}", nil},
		"both required":                  {"{dpop: Required, mtls: Required, " + url + "}", []string{"proof.mtls"}},
		"no public URL":                  {"{dpop: IfBound}", []string{"proof.publicURLs"}},
		"no public URL in the list":      {"{dpop: IfBound, publicURLs: []}", []string{"proof.publicURLs", "proof.publicURLs"}},
		"a public URL for nothing":       {"{mtls: IfBound, " + url + "}", []string{"proof.publicURLs"}},
		"an age for nothing":             {"{maxAge: 10s}", []string{"proof.maxAge"}},
		"replay for nothing":             {"{dpop: Refuse, replay: None}", []string{"proof.replay"}},
		"an unknown use":                 {"{dpop: Optional}", []string{"proof.dpop"}},
		"an unknown use of certificates": {"{mtls: required}", []string{"proof.mtls"}},
		"an unknown memory":              {"{dpop: IfBound, replay: Shared, " + url + "}", []string{"proof.replay"}},
		"too young":                      {"{dpop: IfBound, maxAge: 500ms, " + url + "}", []string{"proof.maxAge"}},
		"too old":                        {"{dpop: IfBound, maxAge: 11m, " + url + "}", []string{"proof.maxAge"}},
		"nonces":                         {"{dpop: IfBound, nonceSecretRef: {name: n, key: k, format: HMAC}, " + url + "}", nil},
		"nonces for nothing":             {"{mtls: IfBound, nonceSecretRef: {name: n, key: k}}", []string{"proof.nonceSecretRef"}},
		"nonces made with a public key":  {"{dpop: IfBound, nonceSecretRef: {name: n, key: k, format: PEM}, " + url + "}", []string{"proof.nonceSecretRef.format"}},
		"nonces of no Secret":            {"{dpop: IfBound, nonceSecretRef: {name: '', key: k}, " + url + "}", []string{"proof.nonceSecretRef.name"}},
		"nonces of the controller's":     {"{dpop: IfBound, nonce: Required, " + url + "}", nil},
		"no nonces, in words":            {"{dpop: IfBound, nonce: None, " + url + "}", nil},
		"nonces of both":                 {"{dpop: IfBound, nonce: Required, nonceSecretRef: {name: n, key: k}, " + url + "}", nil},
		"nonces of a Secret and none":    {"{dpop: IfBound, nonce: None, nonceSecretRef: {name: n, key: k}, " + url + "}", []string{"proof.nonce"}},
		"nonces without proofs":          {"{mtls: IfBound, nonce: Required}", []string{"proof.nonce"}},
		"an unknown use of nonces":       {"{dpop: IfBound, nonce: Always, " + url + "}", []string{"proof.nonce"}},
		"a path alone":                   {"{dpop: IfBound, publicURLs: [/orders]}", []string{"proof.publicURLs[0]"}},
		"a host alone":                   {"{dpop: IfBound, publicURLs: [api.example.com]}", []string{"proof.publicURLs[0]"}},
		"a query":                        {"{dpop: IfBound, publicURLs: ['https://a.example?x']}", []string{"proof.publicURLs[0]"}},
		"a fragment":                     {"{dpop: IfBound, publicURLs: ['https://a.example#x']}", []string{"proof.publicURLs[0]"}},
		"user information":               {"{dpop: IfBound, publicURLs: ['https://u@a.example']}", []string{"proof.publicURLs[0]"}},
		"a wildcard":                     {"{dpop: IfBound, publicURLs: ['https://*.example.com']}", []string{"proof.publicURLs[0]"}},
		"a URL twice":                    {"{dpop: IfBound, publicURLs: ['https://a.example', 'https://a.example']}", []string{"proof.publicURLs[1]"}},
		"no place for the scheme DPoP":   {"{dpop: IfBound, " + url + "}, from: [{cookie: t}]", []string{"from"}},
		"a cookie for bearer tokens too": {"{dpop: IfBound, " + url + "}, from: [{cookie: t}, {header: authorization, prefix: 'dpop '}]", nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := "issuers: [{name: a, issuer: x, audiences: [o], keys: {jwksURL: 'https://x'}, proof: " + tc.proof + "}]"
			_, err := decision.Compile([]decision.Policy{parse(t, "shop/p", spec)})
			var got []string
			if err != nil {
				for _, e := range fieldErrors(t, err) {
					got = append(got, e.Path[len("spec.issuers[0]."):])
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff, err)
			}
		})
	}
}
