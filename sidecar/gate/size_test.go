//go:build !race

package gate_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// everyday are the claims of an access token of an everyday identity provider; the token has about 700 bytes.
func everyday(i int) map[string]any {
	return map[string]any{
		"sub": fmt.Sprintf("f:8d1f6a34-1d1c-4bb5:%06d", i), "azp": "web", "jti": fmt.Sprintf("0f7c2a3e-90c8-4d3e-b9d5-%012d", i),
		"sid": fmt.Sprintf("08a5019c-17e1-%06d", i), "scope": "openid profile email orders.read", "preferred_username": fmt.Sprint("alice", i),
		"email": fmt.Sprintf("alice%06d@example.com", i), "name": fmt.Sprintf("Alice %06d of Wonderland", i), "realm_access": map[string]any{"roles": []string{"reader", "offline_access"}},
	}
}

// heap returns the bytes of the heap in use, garbage aside.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// 50,000 tokens of 700 bytes are in the default cache, at 350 bytes each at most: the heap, with all that a token brings
// along, the tables, and the texts of the tokens that are used most. It is not parallel, since it looks at the heap.
func TestFiftyThousandTokensInTheDefaultCache(t *testing.T) {
	if testing.Short() {
		t.Skip("signs 50,000 tokens")
	}
	const tokens = 50_000
	settled := orders() // a header of the claim sub and one of a list
	settled.Rules = append(settled.Rules, policy.Rule{Name: "mail", Match: []policy.Match{{Paths: []string{"/mail"}}},
		Allow: &policy.Allow{Conditions: policy.Conditions{Claims: []policy.ClaimCondition{{Claim: "email", Patterns: []string{"*@example.com"}}}}}})
	read := orders()
	read.Rules = append(read.Rules, policy.Rule{Name: "own", Match: []policy.Match{{Paths: []string{"/users/{user}"}}},
		Allow: &policy.Allow{Conditions: policy.Conditions{When: "path.user == claims.sub"}}})
	read.Forward = &policy.Forward{Headers: []policy.IdentityHeader{{Name: "X-User", Claim: "sub"}}}
	revocation := policy.Revocation{Issuer: corp.URL, Entries: []policy.RevocationEntry{{JTI: "another"}}}
	length := 0
	requests := make([]*gate.Request, tokens)
	for i := range requests {
		signed := corp.Token(start, everyday(i))
		requests[i] = get("/orders/1", bearer(signed)...)
		length += len(signed)
	}
	if length/tokens < 680 || length/tokens > 720 {
		t.Fatalf("tokens have %d bytes", length/tokens)
	}
	for name, tt := range map[string]struct {
		spec policy.Spec
		most int64 // bytes a token
	}{"claims are settled": {settled, 350}, "a condition on requests reads a claim": {read, 420}} {
		before := heap()
		g := gate.New(gate.Options{Now: clock})
		g.Revoke(revoked.SetOf(revocation))
		g.Swap(gatetest.Snapshot(t, clock, gatetest.Policy("orders", tt.spec)))
		for range 2 {
			for _, r := range requests {
				if v := g.Judge(r); !v.Forward {
					t.Fatal(v.Reason)
				}
			}
		}
		each := (heap() - before) / tokens
		s := g.CacheStats()
		t.Logf("%s: %d bytes a token, %d counted", name, each, s.Bytes/tokens)
		if s.Entries != tokens || s.Hits != tokens || s.Evictions != 0 || s.Bytes > gate.DefaultCacheBytes {
			t.Errorf("%s: not all are kept: %+v", name, s)
		}
		if each > tt.most {
			t.Errorf("%s: %d bytes a token, want at most %d", name, each, tt.most)
		}
	}
	runtime.KeepAlive(requests)
}

// What the cache counts is what the heap grows by.
func TestTheCacheCountsItsBytes(t *testing.T) {
	const tokens = 5_000
	anyone := orders()
	anyone.Issuers[0].Issuer, anyone.Issuers[0].AnyIssuer = "", true
	all := orders()
	all.Rules = append(all.Rules, policy.Rule{Name: "all", Allow: &policy.Allow{Conditions: policy.Conditions{
		When: "size(claims) > 3 && request.path != ''"}}})
	payload := orders()
	payload.Forward.PayloadHeader = "X-Payload"
	for name, tt := range map[string]struct {
		spec   policy.Spec
		issuer func(i int) string
	}{
		"settled":                   {orders(), func(int) string { return corp.URL }},
		"all claims":                {all, func(int) string { return corp.URL }},
		"large headers":             {payload, func(int) string { return corp.URL }},
		"an issuer for every token": {anyone, func(i int) string { return fmt.Sprintf("https://tenant-%06d.example.com/realms/%06d", i, i) }},
	} {
		s, err := gate.NewSnapshot(gatetest.Bundle(t, gatetest.Policy("orders", tt.spec)), "test",
			gate.SnapshotOptions{Now: clock, CacheBytes: 1 << 30})
		if err != nil {
			t.Fatal(err)
		}
		g := gate.New(gate.Options{Now: clock})
		g.Swap(s)
		before := heap()
		for i := range tokens {
			claims := everyday(i)
			claims["iss"] = tt.issuer(i)
			if v := g.Judge(get("/orders/1", bearer(corp.Token(start, claims))...)); !v.Forward {
				t.Fatal(name, v.Reason)
			}
		}
		grown := heap() - before
		counted := g.CacheStats().Bytes
		t.Logf("%s: %d bytes a token, %d counted", name, grown/tokens, counted/tokens)
		if grown > counted+counted/20 || grown < counted*3/5 {
			t.Errorf("%s: the heap grew by %d a token, %d are counted", name, grown/tokens, counted/tokens)
		}
		runtime.KeepAlive(g)
	}
}
