package gate_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// What a verdict says is the same whether the token was just verified, is known by its text, or by its digest among many.
func TestVerdictsFromTheCache(t *testing.T) {
	t.Parallel()
	spec := orders()
	spec.Issuers = append(spec.Issuers, partner.Policy("partner"))
	spec.Streams = &policy.Streams{OnExpiry: policy.CloseStream}
	spec.Forward.PayloadHeader = "X-Payload"
	spec.Rules = append(spec.Rules,
		policy.Rule{Name: "own", Match: []policy.Match{{Paths: []string{"/users/{user}"}}},
			Allow: &policy.Allow{Conditions: policy.Conditions{When: `path.user == claims.sub && issuer == "` + corp.URL + `" && !has(claims.guest)`}}},
		policy.Rule{Name: "away", Match: []policy.Match{{Paths: []string{"/users/{user}"}}},
			Deny: &policy.Conditions{When: `request.method == "DELETE" && "guest" in claims`}},
	)
	g := newGate(t, gatetest.Policy("orders", spec))
	var requests []*gate.Request
	for i := range 3000 { // far more than have their texts kept
		claims := map[string]any{"sub": fmt.Sprint("user", i), "exp": start.Add(time.Hour + time.Duration(i)*time.Second).Unix()}
		issuer, target := corp, fmt.Sprint("/users/user", i-i%3/2)
		switch i % 5 {
		case 0:
			claims["scope"], target = "orders.read", "/orders/1"
		case 1:
			claims["guest"] = nil
		case 2:
			claims["guest"] = true
		case 3:
			issuer = partner
		}
		if i%4 == 0 {
			claims["realm_access"] = map[string]any{"roles": []string{"a", strings.Repeat("b", i%50)}}
		}
		requests = append(requests, get(target, bearer(issuer.Token(start, claims))...))
	}
	var first []gate.Verdict
	for _, r := range requests {
		first = append(first, g.Judge(r))
	}
	reasons := map[decision.Reason]int{}
	for range 2 {
		for i, r := range requests {
			v := g.Judge(r)
			reasons[v.Reason]++
			if diff := cmp.Diff(plain(first[i]), plain(v)); diff != "" {
				t.Fatalf("request %d: %s", i, diff)
			}
			if v.Subject != fmt.Sprint("user", i) || v.Forward && (!v.Until.Equal(start.Add(time.Hour+time.Duration(i)*time.Second+30*time.Second)) ||
				fieldsOf(v)[0] != (gate.Field{Name: "X-User", Value: v.Subject})) {
				t.Fatalf("request %d: %+v", i, v)
			}
		}
	}
	if len(reasons) < 2 || reasons[decision.Allowed] < 1000 {
		t.Errorf("got %v", reasons)
	}
	if s := g.CacheStats(); s.Misses != 3000 || s.Hits != 6000 {
		t.Errorf("got %+v", s)
	}
}

// plain is a verdict in values that can be compared.
func plain(v gate.Verdict) []any {
	return []any{v.Forward, v.Reason, v.Policy, v.Rule, v.Challenge, v.Host, v.Target, v.Issuer, v.Subject, v.KeyID, v.Until, fieldsOf(v)}
}

// A token that is cached is asked about each time: entries end, and the clock goes on.
func TestRevocationsReachCachedTokens(t *testing.T) {
	t.Parallel()
	at := func(d time.Duration) *policy.Time { return &policy.Time{Time: start.Add(d)} }
	for name, tt := range map[string]struct {
		entry          policy.RevocationEntry
		before, during decision.Reason
	}{
		"by jti":                   {policy.RevocationEntry{JTI: "j1"}, decision.Revoked, decision.Revoked},
		"by subject":               {policy.RevocationEntry{Subject: "alice"}, decision.Revoked, decision.Revoked},
		"by session":               {policy.RevocationEntry{Session: "s1"}, decision.Revoked, decision.Revoked},
		"issued before":            {policy.RevocationEntry{Subject: "alice", IssuedBefore: at(time.Second)}, decision.Revoked, decision.Revoked},
		"issued at that time":      {policy.RevocationEntry{Subject: "alice", IssuedBefore: at(0)}, decision.Allowed, decision.Allowed},
		"until the entry's end":    {policy.RevocationEntry{JTI: "j1", ExpiresAt: at(time.Minute)}, decision.Revoked, decision.Allowed},
		"another token":            {policy.RevocationEntry{JTI: "j2"}, decision.Allowed, decision.Allowed},
		"the session as a subject": {policy.RevocationEntry{Subject: "s1"}, decision.Allowed, decision.Allowed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := start
			g := gate.New(gate.Options{Now: func() time.Time { return now }})
			g.Revoke(revoked.SetOf(policy.Revocation{Issuer: corp.URL, Entries: []policy.RevocationEntry{tt.entry}}))
			g.Swap(gatetest.Snapshot(t, clock,
				gatetest.Policy("orders", orders())))
			r := get("/orders/1", bearer(corp.Token(start, map[string]any{"scope": "orders.read", "jti": "j1", "sid": "s1"}))...)
			for range 3 {
				if v := g.Judge(r); v.Reason != tt.before || v.Subject != "alice" || v.Issuer != corp.URL {
					t.Errorf("%+v, want %s", v, tt.before)
				}
			}
			now = start.Add(2 * time.Minute)
			if v := g.Judge(r); v.Reason != tt.during {
				t.Errorf("two minutes later: %s, want %s", v.Reason, tt.during)
			}
			if s := g.CacheStats(); s.Misses != 1 {
				t.Errorf("verified %d times", s.Misses)
			}
		})
	}
}

// A token that differs from a cached one in anything is verified itself.
func TestAForgedTokenIsNotTakenForACachedOne(t *testing.T) {
	t.Parallel()
	g := newGate(t, gatetest.Policy("orders", orders()))
	good := corp.Token(start, map[string]any{"scope": "orders.read"})
	bare := corp.Token(start, map[string]any{"scope": "orders.none"})
	for range 3 {
		if v := g.Judge(get("/orders/1", bearer(good)...)); !v.Forward {
			t.Fatal(v.Reason)
		}
	}
	part := func(token string, i int) string { return strings.Split(token, ".")[i] }
	for name, forged := range map[string]string{
		"another payload under its signature": part(bare, 0) + "." + part(good, 1) + "." + part(bare, 2),
		"its signature under another payload": part(bare, 0) + "." + part(bare, 1) + "." + part(good, 2),
		"the last bit of its signature":       good[:len(good)-1] + string(rune(good[len(good)-1]^1)),
		"a padding bit of its signature":      good[:len(good)-1] + string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[index(good[len(good)-1])^1]),
		"its first byte":                      "f" + good[1:],
		"without its signature":               part(good, 0) + "." + part(good, 1) + ".",
		"no algorithm":                        "eyJhbGciOiJub25lIn0." + part(good, 1) + "." + part(good, 2),
	} {
		if v := g.Judge(get("/orders/1", bearer(forged)...)); v.Forward {
			t.Errorf("%s: forwarded", name)
		}
	}
}

func index(c byte) int {
	return strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", c)
}
