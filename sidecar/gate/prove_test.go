package gate_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

const public = "https://api.example.com"

// proofs is the policy of orders with proofs.
func proofs(p policy.Proof) policy.Spec {
	spec := orders()
	spec.Issuers[0].Proof = &p
	return spec
}

func dpopIfBound() policy.Proof {
	return policy.Proof{DPoP: policy.BindingIfBound, PublicURLs: []string{public}}
}

// bound is a token bound to a prover's key.
func bound(p *gatetest.Prover, claims map[string]any) string {
	all := p.Confirmation()
	all["scope"] = "orders.read"
	for name, v := range claims {
		all[name] = v
	}
	return corp.Token(start, all)
}

// attempt is a request with a token and a proof, and what differs from a good one.
type attempt struct {
	token, scheme, target string
	made                  gatetest.Made
	by                    *gatetest.Prover
	proof                 func(string) []string // makes the header fields of the proof; nil: one
	cert                  *decision.ClientCert
}

func (a attempt) request() *gate.Request {
	if a.scheme == "" {
		a.scheme = "DPoP "
	}
	if a.target == "" {
		a.target = "/orders/1?page=2"
	}
	m := a.made
	if m.Method == "" {
		m.Method = "GET"
	}
	if m.URL == "" {
		m.URL = public + "/orders/1"
	}
	if m.Token == "" {
		m.Token = a.token
	}
	if m.ID == "" {
		m.ID = "jti-1"
	}
	if m.At.IsZero() {
		m.At = start
	}
	headers := []string{"Authorization", a.scheme + a.token}
	if a.by != nil {
		fields := []string{a.by.Proof(m)}
		if a.proof != nil {
			fields = a.proof(fields[0])
		}
		for _, f := range fields {
			headers = append(headers, "Dpop", f)
		}
	}
	r := get(a.target, headers...)
	r.ClientCert = a.cert
	return r
}

func TestProofsOfDPoP(t *testing.T) {
	t.Parallel()
	alice, mallory := gatetest.NewProver("alice"), gatetest.NewProver("mallory")
	token, other := bound(alice, nil), bound(alice, map[string]any{"sub": "another"})
	plain := corp.Token(start, map[string]any{"scope": "orders.read"})
	claims := func(name string, v any) gatetest.Made { return gatetest.Made{Claims: map[string]any{name: v}} }
	header := func(name string, v any) gatetest.Made { return gatetest.Made{Header: map[string]any{name: v}} }
	private := alice.JWK()
	private["d"] = "AQ"
	tests := map[string]struct {
		give attempt
		want decision.Reason
	}{
		"a proof for the request":                     {attempt{token: token, by: alice}, decision.Allowed},
		"the scheme in another case":                  {attempt{token: token, by: alice, scheme: "dpop "}, decision.Allowed},
		"a token that is not bound, as a bearer":      {attempt{token: plain, scheme: "Bearer "}, decision.Allowed},
		"a token that is not bound, with a proof":     {attempt{token: plain, by: alice}, decision.NotBound},
		"a bound token as a bearer":                   {attempt{token: token, by: alice, scheme: "Bearer "}, decision.BoundAsBearer},
		"no proof":                                    {attempt{token: token}, decision.BadProof},
		"two proofs":                                  {attempt{token: token, by: alice, proof: func(p string) []string { return []string{p, p} }}, decision.BadProof},
		"two proofs in one field":                     {attempt{token: token, by: alice, proof: func(p string) []string { return []string{p + ", " + p} }}, decision.BadProof},
		"a proof by another key":                      {attempt{token: token, by: mallory}, decision.KeyMismatch},
		"another key's proof with the right jwk":      {attempt{token: token, by: mallory, made: header("jwk", alice.JWK())}, decision.BadProof},
		"a private key in the proof":                  {attempt{token: token, by: alice, made: header("jwk", private)}, decision.BadProof},
		"no key in the proof":                         {attempt{token: token, by: alice, made: header("jwk", nil)}, decision.BadProof},
		"alg none":                                    {attempt{token: token, by: alice, made: header("alg", "none")}, decision.BadProof},
		"alg HS256":                                   {attempt{token: token, by: alice, made: header("alg", "HS256")}, decision.BadProof},
		"an alg that does not fit the key":            {attempt{token: token, by: alice, made: header("alg", "ES384")}, decision.BadProof},
		"typ JWT":                                     {attempt{token: token, by: alice, made: header("typ", "JWT")}, decision.BadProof},
		"typ with a media type's prefix":              {attempt{token: token, by: alice, made: header("typ", "application/dpop+jwt")}, decision.BadProof},
		"typ in upper case":                           {attempt{token: token, by: alice, made: header("typ", "DPOP+JWT")}, decision.BadProof},
		"crit":                                        {attempt{token: token, by: alice, made: header("crit", []string{"exp"})}, decision.BadProof},
		"another method":                              {attempt{token: token, by: alice, made: gatetest.Made{Method: "POST"}}, decision.BadProof},
		"the method in lower case":                    {attempt{token: token, by: alice, made: gatetest.Made{Method: "get"}}, decision.BadProof},
		"another host":                                {attempt{token: token, by: alice, made: gatetest.Made{URL: "https://evil.example.com/orders/1"}}, decision.BadProof},
		"the host that the request names":             {attempt{token: token, by: alice, made: gatetest.Made{URL: "http://orders.shop:8080/orders/1"}}, decision.BadProof},
		"a host that begins alike":                    {attempt{token: token, by: alice, made: gatetest.Made{URL: public + ".evil.net/orders/1"}}, decision.BadProof},
		"user information before the host":            {attempt{token: token, by: alice, made: gatetest.Made{URL: "https://api.example.com@evil.net/orders/1"}}, decision.BadProof},
		"another scheme":                              {attempt{token: token, by: alice, made: gatetest.Made{URL: "http://api.example.com/orders/1"}}, decision.BadProof},
		"another port":                                {attempt{token: token, by: alice, made: gatetest.Made{URL: public + ":8443/orders/1"}}, decision.BadProof},
		"the default port":                            {attempt{token: token, by: alice, made: gatetest.Made{URL: public + ":443/orders/1"}}, decision.Allowed},
		"scheme and host in upper case":               {attempt{token: token, by: alice, made: gatetest.Made{URL: "HTTPS://API.Example.com/orders/1"}}, decision.Allowed},
		"another path":                                {attempt{token: token, by: alice, made: gatetest.Made{URL: public + "/orders/2"}}, decision.BadProof},
		"the path in another case":                    {attempt{token: token, by: alice, made: gatetest.Made{URL: public + "/Orders/1"}}, decision.BadProof},
		"a path below":                                {attempt{token: token, by: alice, made: gatetest.Made{URL: public + "/orders/1/x"}}, decision.BadProof},
		"a slash more":                                {attempt{token: token, by: alice, made: gatetest.Made{URL: public + "/orders/1/"}}, decision.BadProof},
		"a path with dots":                            {attempt{token: token, by: alice, made: gatetest.Made{URL: public + "/x/../orders/./1"}}, decision.Allowed},
		"a path with what need not be encoded":        {attempt{token: token, by: alice, made: gatetest.Made{URL: public + "/%6frders/%31"}}, decision.Allowed},
		"query and fragment in htu":                   {attempt{token: token, by: alice, made: gatetest.Made{URL: public + "/orders/1?page=9#x"}}, decision.Allowed},
		"hexadecimal digits in lower case":            {attempt{token: token, by: alice, target: "/orders/a%3Bb", made: gatetest.Made{URL: public + "/orders/a%3bb"}}, decision.Allowed},
		"a path alone":                                {attempt{token: token, by: alice, made: gatetest.Made{URL: "/orders/1"}}, decision.BadProof},
		"an ath of another token":                     {attempt{token: token, by: alice, made: gatetest.Made{Token: other}}, decision.BadProof},
		"no ath":                                      {attempt{token: token, by: alice, made: claims("ath", nil)}, decision.BadProof},
		"no jti":                                      {attempt{token: token, by: alice, made: claims("jti", nil)}, decision.BadProof},
		"an empty jti":                                {attempt{token: token, by: alice, made: claims("jti", "")}, decision.BadProof},
		"a jti that is a number":                      {attempt{token: token, by: alice, made: claims("jti", 7)}, decision.BadProof},
		"a jti of 257 bytes":                          {attempt{token: token, by: alice, made: claims("jti", strings.Repeat("x", 257))}, decision.BadProof},
		"a list of methods":                           {attempt{token: token, by: alice, made: claims("htm", []string{"GET"})}, decision.BadProof},
		"no iat":                                      {attempt{token: token, by: alice, made: claims("iat", nil)}, decision.BadProof},
		"an iat that is a text":                       {attempt{token: token, by: alice, made: claims("iat", "now")}, decision.BadProof},
		"an exp that has passed":                      {attempt{token: token, by: alice, made: claims("exp", start.Add(-30*time.Second).Unix())}, decision.BadProof},
		"an exp that has just passed":                 {attempt{token: token, by: alice, made: claims("exp", start.Add(-29*time.Second).Unix())}, decision.Allowed},
		"an exp that is null":                         {attempt{token: token, by: alice, made: claims("exp", json.RawMessage("null"))}, decision.BadProof},
		"an nbf in the future":                        {attempt{token: token, by: alice, made: claims("nbf", start.Add(31*time.Second).Unix())}, decision.BadProof},
		"an nbf that is now":                          {attempt{token: token, by: alice, made: claims("nbf", start.Unix())}, decision.Allowed},
		"a proof at the end of its age":               {attempt{token: token, by: alice, made: gatetest.Made{At: start.Add(-90 * time.Second)}}, decision.Allowed},
		"a proof that is too old":                     {attempt{token: token, by: alice, made: gatetest.Made{At: start.Add(-91 * time.Second)}}, decision.BadProof},
		"a clock that is ahead":                       {attempt{token: token, by: alice, made: gatetest.Made{At: start.Add(30 * time.Second)}}, decision.Allowed},
		"a proof of the future":                       {attempt{token: token, by: alice, made: gatetest.Made{At: start.Add(31 * time.Second)}}, decision.BadProof},
		"more than 4 KiB":                             {attempt{token: token, by: alice, made: claims("x", strings.Repeat("x", 4096))}, decision.BadProof},
		"a proof that is cut off":                     {attempt{token: token, by: alice, proof: func(p string) []string { return []string{p[:len(p)-2]} }}, decision.BadProof},
		"padding":                                     {attempt{token: token, by: alice, proof: func(p string) []string { return []string{p + "=="} }}, decision.BadProof},
		"an empty field":                              {attempt{token: token, by: alice, proof: func(string) []string { return []string{""} }}, decision.BadProof},
		"the access token as proof":                   {attempt{token: token, by: alice, proof: func(string) []string { return []string{token} }}, decision.BadProof},
		"a bound token that is not allowed there":     {attempt{token: token, by: alice, target: "/none", made: gatetest.Made{URL: public + "/none"}}, decision.NoRule},
		"no token where one is needed, but its proof": {attempt{by: alice}, decision.Malformed},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t, gatetest.Policy("orders", proofs(dpopIfBound())))
			v := g.Judge(tt.give.request())
			if v.Reason != tt.want {
				t.Errorf("got %s (%v), want %s", v.Reason, v.Cause, tt.want)
			}
			if v.Forward != (tt.want == decision.Allowed) {
				t.Errorf("forward: %v", v.Forward)
			}
			if v.Cause == nil {
				return
			}
			for _, secret := range []string{"jti-1", "evil", token} {
				if strings.Contains(v.Cause.String(), secret) {
					t.Errorf("the cause for logs tells what the proof has: %s", v.Cause)
				}
			}
		})
	}
}

func TestBoundTokensAreRefusedWithoutProof(t *testing.T) {
	t.Parallel()
	alice := gatetest.NewProver("alice")
	for name, p := range map[string]*policy.Proof{
		"nothing said": nil, "said": {DPoP: policy.BindingRefuse}, "certificates taken": {MTLS: policy.BindingIfBound},
	} {
		spec := orders()
		spec.Issuers[0].Proof = p
		g := newGate(t, gatetest.Policy("orders", spec))
		token := bound(alice, nil)
		if v := g.Judge(attempt{token: token, by: alice, scheme: "Bearer "}.request()); v.Reason != decision.KeyBound {
			t.Errorf("%s: as a bearer: %s", name, v.Reason)
		}
		if v := g.Judge(attempt{token: token, by: alice}.request()); v.Reason != decision.NoToken {
			t.Errorf("%s: under the scheme DPoP, which no issuer takes: %s", name, v.Reason)
		}
	}
}

func TestDPoPRequired(t *testing.T) {
	t.Parallel()
	alice := gatetest.NewProver("alice")
	p := dpopIfBound()
	p.DPoP = policy.BindingRequired
	g := newGate(t, gatetest.Policy("orders", proofs(p)))
	plain := corp.Token(start, map[string]any{"scope": "orders.read"})
	for scheme, want := range map[string]decision.Reason{"Bearer ": decision.NotBound, "DPoP ": decision.NotBound} {
		if v := g.Judge(attempt{token: plain, scheme: scheme}.request()); v.Reason != want {
			t.Errorf("%s: %s", scheme, v.Reason)
		}
	}
	if v := g.Judge(attempt{token: bound(alice, nil), by: alice}.request()); !v.Forward {
		t.Error(v.Reason)
	}
}

func TestAProofIsTakenOnce(t *testing.T) {
	t.Parallel()
	alice, bob := gatetest.NewProver("alice"), gatetest.NewProver("bob")
	now := start
	g := gate.New(gate.Options{Now: func() time.Time { return now }})
	off := dpopIfBound()
	off.Replay = policy.ReplayNone
	g.Swap(gatetest.Snapshot(t, clock, gatetest.Policy("orders", proofs(dpopIfBound()))))
	first := attempt{token: bound(alice, nil), by: alice}.request()
	judge := func(what string, r *gate.Request, want decision.Reason) {
		t.Helper()
		if v := g.Judge(r); v.Reason != want {
			t.Errorf("%s: %s, want %s", what, v.Reason, want)
		}
	}
	judge("first", first, decision.Allowed)
	judge("again", first, decision.ProofReplayed)
	judge("another proof with its jti", attempt{token: bound(alice, nil), by: alice, target: "/orders/2", made: gatetest.Made{URL: public + "/orders/2"}}.request(), decision.ProofReplayed)
	judge("another jti", attempt{token: bound(alice, nil), by: alice, made: gatetest.Made{ID: "2"}}.request(), decision.Allowed)
	judge("somebody else's proof with the jti", attempt{token: bound(bob, nil), by: bob}.request(), decision.Allowed)
	judge("a proof that is not good", attempt{token: bound(bob, nil), by: bob, made: gatetest.Made{ID: "2", Method: "PUT"}}.request(), decision.BadProof)
	if n, forgotten := g.ProofStats(); n != 3 || forgotten != 0 {
		t.Errorf("%d proofs are remembered, %d forgotten; want those that were taken, 3", n, forgotten)
	}
	g.Swap(gatetest.Snapshot(t, clock, gatetest.Policy("orders", proofs(dpopIfBound()))))
	judge("under the next snapshot", first, decision.ProofReplayed)
	now = start.Add(90 * time.Second)
	judge("as long as it is fresh", first, decision.ProofReplayed)
	now = start.Add(91 * time.Second)
	judge("when it is not", first, decision.BadProof)
	now = start
	g.Swap(gatetest.Snapshot(t, clock, gatetest.Policy("orders", proofs(off))))
	judge("where nobody remembers", first, decision.Allowed)
	forged := attempt{token: bound(alice, nil), by: bob, made: gatetest.Made{ID: "3", Header: map[string]any{"jwk": alice.JWK()}}}.request()
	g.Swap(gatetest.Snapshot(t, clock, gatetest.Policy("orders", proofs(dpopIfBound()))))
	judge("a forgery", forged, decision.BadProof)
	judge("the proof whose jti the forgery had", attempt{token: bound(alice, nil), by: alice, made: gatetest.Made{ID: "3"}}.request(), decision.Allowed)
}

// Policies that want different things of proofs do not widen, nor narrow, one another.
func TestIssuersOfSeveralPolicies(t *testing.T) {
	t.Parallel()
	alice := gatetest.NewProver("alice")
	other := func(p policy.Proof, name, path string) policy.Spec {
		spec := proofs(p)
		spec.Rules = []policy.Rule{{Name: name, Match: []policy.Match{{Paths: []string{path}}},
			Allow: &policy.Allow{Conditions: policy.Conditions{Scopes: []string{"orders.read"}}}}}
		return spec
	}
	elsewhere := dpopIfBound()
	elsewhere.PublicURLs = []string{"https://partner.example.net/shop/"}
	ways := map[string]func(g *gate.Gate, r *gate.Request) gate.Verdict{
		"at once": (*gate.Gate).Judge,
		"as a loop does, which has little time for one": func(g *gate.Gate, r *gate.Request) gate.Verdict {
			v, wait := g.JudgeNow(r)
			if wait != nil {
				v = wait(t.Context())
			}
			return v
		},
	}
	token := bound(alice, nil)
	for i, tt := range []struct {
		path, url string
		want      decision.Reason
	}{
		{"/a", public + "/a", decision.Allowed},
		{"/b", "https://partner.example.net/shop/b", decision.Allowed},
		{"/b", public + "/b", decision.NoRule},
		{"/a", "https://partner.example.net/shop/a", decision.NoRule},
		{"/a", "https://partner.example.net/a", decision.BadProof},
	} {
		for name, judge := range ways {
			g := newGate(t, gatetest.Policy("a", other(dpopIfBound(), "a", "/a")), gatetest.Policy("b", other(elsewhere, "b", "/b")))
			v := judge(g, attempt{token: token, by: alice, target: tt.path, made: gatetest.Made{URL: tt.url, ID: fmt.Sprint(i)}}.request())
			if v.Reason != tt.want {
				t.Errorf("%s as %s, %s: %s (%v), want %s", tt.path, tt.url, name, v.Reason, v.Cause, tt.want)
			}
		}
	}
}

// A proof that was taken before stays so when a request is judged again for want of time: another issuer, which takes proofs as often as they come, may
// vouch for the token all the while.
func TestAProofThatWasTakenIsNoneInALaterTurn(t *testing.T) {
	t.Parallel()
	alice := gatetest.NewProver("alice")
	spec := func(name, path string, p policy.Proof) policy.Spec {
		out := proofs(p)
		out.Rules = []policy.Rule{{Name: name, Match: []policy.Match{{Paths: []string{path}}}, Allow: &policy.Allow{Conditions: policy.Conditions{Scopes: []string{"orders.read"}}}}}
		return out
	}
	often := dpopIfBound()
	often.Replay = policy.ReplayNone
	trial := spec("trial", "/a", dpopIfBound())
	trial.Mode = policy.Audit // looks at the proof once more, for which there is no time
	g := newGate(t, gatetest.Policy("a", spec("a", "/a", dpopIfBound())), gatetest.Policy("b", spec("b", "/b", often)), gatetest.Policy("trial", trial))
	token := bound(alice, nil)
	for i, want := range []decision.Reason{decision.Allowed, decision.NoRule, decision.NoRule} {
		v, wait := g.JudgeNow(attempt{token: token, by: alice, target: "/a", made: gatetest.Made{URL: public + "/a", ID: "once"}}.request())
		if wait != nil {
			v = wait(t.Context())
		}
		if v.Reason != want {
			t.Errorf("time %d: %s (%v), waited %v; want %s", i, v.Reason, v.Cause, wait != nil, want)
		}
	}
}

func TestAuditPoliciesSeeProofs(t *testing.T) {
	t.Parallel()
	alice := gatetest.NewProver("alice")
	audit := proofs(dpopIfBound())
	audit.Mode = policy.Audit
	g := newGate(t, gatetest.Policy("orders", proofs(dpopIfBound())), gatetest.Policy("trial", audit))
	v := g.Judge(attempt{token: bound(alice, nil), by: alice}.request())
	if !v.Forward || len(v.Audit) != 1 || !v.Audit[0].Allowed {
		t.Errorf("%s, audit %+v", v.Reason, v.Audit)
	}
	g = newGate(t, gatetest.Policy("trial", audit))
	v = g.Judge(attempt{token: bound(alice, nil)}.request())
	if !v.Forward || len(v.Audit) != 1 || v.Audit[0].Reason != decision.BadProof {
		t.Errorf("without a proof: %s, audit %+v", v.Reason, v.Audit)
	}
}

func TestProofsGoWithTheirToken(t *testing.T) {
	t.Parallel()
	alice := gatetest.NewProver("alice")
	for action, gone := range map[policy.TokenForwarding]bool{"": false, policy.Strip: true} {
		spec := proofs(dpopIfBound())
		spec.Forward = &policy.Forward{Token: action}
		v := newGate(t, gatetest.Policy("orders", spec)).Judge(attempt{token: bound(alice, nil), by: alice}.request())
		if !v.Forward || v.Edit.Remove("DPoP") != gone || v.Edit.Remove("Authorization") != gone {
			t.Errorf("%s: forward %v, DPoP removed %v", action, v.Forward, v.Edit.Remove("DPoP"))
		}
		if !v.Edit.RemoveTrailer("dpop") {
			t.Errorf("%s: a trailer DPoP gets to the app", action)
		}
	}
}

func TestTokensBoundToACertificate(t *testing.T) {
	t.Parallel()
	alice := gatetest.NewProver("alice")
	hash := sha256.Sum256([]byte("a certificate in DER"))
	cert, other := &decision.ClientCert{Hash: hash}, &decision.ClientCert{Hash: sha256.Sum256([]byte("another"))}
	x5t := base64.RawURLEncoding.EncodeToString(hash[:])
	token := corp.Token(start, map[string]any{"scope": "orders.read", "cnf": map[string]any{"x5t#S256": x5t}})
	both := corp.Token(start, map[string]any{"scope": "orders.read", "cnf": map[string]any{"x5t#S256": x5t, "jkt": alice.JKT()}})
	plain := corp.Token(start, map[string]any{"scope": "orders.read"})
	ifBound := policy.Proof{MTLS: policy.BindingIfBound}
	required := policy.Proof{MTLS: policy.BindingRequired}
	twice := dpopIfBound()
	twice.MTLS = policy.BindingIfBound
	tests := map[string]struct {
		proof policy.Proof
		give  attempt
		want  decision.Reason
	}{
		"the certificate of the connection":         {ifBound, attempt{token: token, cert: cert}, decision.Allowed},
		"another certificate":                       {ifBound, attempt{token: token, cert: other}, decision.KeyMismatch},
		"no certificate":                            {ifBound, attempt{token: token}, decision.KeyMismatch},
		"a token that is not bound":                 {ifBound, attempt{token: plain}, decision.Allowed},
		"a token that is not bound but has to be":   {required, attempt{token: plain, cert: cert}, decision.NotBound},
		"a token that has to be bound and is":       {required, attempt{token: token, cert: cert}, decision.Allowed},
		"bound by DPoP where certificates count":    {required, attempt{token: bound(alice, nil), cert: cert}, decision.KeyBound},
		"not taken":                                 {policy.Proof{MTLS: policy.BindingRefuse}, attempt{token: token, cert: cert}, decision.KeyBound},
		"bound in both ways, one proved":            {twice, attempt{token: both, by: alice, scheme: "DPoP "}, decision.KeyMismatch},
		"bound in both ways, the other proved":      {twice, attempt{token: both, cert: cert}, decision.BoundAsBearer},
		"bound in both ways, both proved":           {twice, attempt{token: both, cert: cert, by: alice, scheme: "DPoP "}, decision.Allowed},
		"bound in both ways where one way is taken": {ifBound, attempt{token: both, cert: cert}, decision.KeyBound},
		"a hash in hexadecimal":                     {ifBound, attempt{token: corp.Token(start, map[string]any{"cnf": map[string]any{"x5t#S256": fmt.Sprintf("%x", hash)}}), cert: cert}, decision.BadClaim},
		"a hash that is none":                       {ifBound, attempt{token: corp.Token(start, map[string]any{"cnf": map[string]any{"x5t#S256": ""}}), cert: cert}, decision.BadClaim},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.give.scheme == "" {
				tt.give.scheme = "Bearer "
			}
			r := tt.give.request()
			for _, h := range []string{"X-Client-Cert", "X-Forwarded-Client-Cert", "X-Ssl-Cert"} {
				r.Header = with(r.Header, h, x5t) // a header is anybody's to write
			}
			if v := newGate(t, gatetest.Policy("orders", proofs(tt.proof))).Judge(r); v.Reason != tt.want {
				t.Errorf("got %s (%v), want %s", v.Reason, v.Cause, tt.want)
			}
		})
	}
}

// with adds a field.
func with(h decision.Header, name, value string) decision.Header {
	h.(http.Header).Add(name, value)
	return h
}
