package gate_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// buffer is a connection's read buffer: the strings of a request lie in it, and the next request overwrites them.
type buffer struct {
	space [8 << 10]byte
	used  int
}

func (b *buffer) put(s string) string {
	at := b.used
	b.used += copy(b.space[at:], s)
	return unsafe.String(&b.space[at], len(s))
}

// request puts a request into the buffer, over the one before.
func (b *buffer) request(target, token string) *gate.Request {
	clear(b.space[:])
	b.used = 0
	header := &parsed{fields: []gate.Field{{Name: b.put("Authorization"), Value: b.put("Bearer " + token)}}}
	return &gate.Request{Method: b.put("GET"), Target: b.put(target), Host: b.put("orders.shop"), Header: header, Time: start}
}

func TestNothingOfARequestIsKept(t *testing.T) {
	t.Parallel()
	spec := orders()
	spec.Rules = append(spec.Rules, policy.Rule{
		Name: "own", Match: []policy.Match{{Paths: []string{"/users/{user}"}}},
		Allow: &policy.Allow{Conditions: policy.Conditions{When: "path.user == claims.sub && request.path != ''"}},
	})
	g := newGate(t, gatetest.Policy("orders", spec))
	var b buffer
	tokens := map[string]string{}
	for _, sub := range []string{"alice", "bobby"} {
		tokens[sub] = corp.Token(start, map[string]any{"scope": "orders.read", "sub": sub})
	}
	for range 3 { // verified first, then cached
		for sub, token := range tokens {
			v := g.Judge(b.request("/users/"+sub+"?a=b", token))
			if v.Target != "/users/"+sub+"?a=b" || v.Path != "/users/"+sub || v.Host != "orders.shop" {
				t.Errorf("%s: forwarded to %s %s", sub, v.Host, v.Target)
			}
			g.Judge(b.request("/zzzzzzzzzzz", strings.Repeat("z", len(token)))) // overwrites all of it
			kept := []any{v.Forward, v.Reason, v.Policy, v.Rule, v.Issuer, v.Subject, v.KeyID, fieldsOf(v)}
			want := []any{true, decision.Allowed, "shop/orders", "own", corp.URL, sub, corp.KeyID, []gate.Field{{Name: "X-User", Value: sub}}}
			if diff := cmp.Diff(want, kept); diff != "" {
				t.Errorf("%s: %s", sub, diff)
			}
		}
	}
	if s := g.CacheStats(); s.Entries != 2 || s.Hits != 4 {
		t.Errorf("got %+v, want 2 tokens, verified once and found twice", s)
	}
}

func TestARequestIsJudgedAtItsTime(t *testing.T) {
	t.Parallel()
	g := newGate(t, gatetest.Policy("orders", orders()))
	r := get("/orders/1", bearer(corp.Token(start, map[string]any{"scope": "orders.read"}))...)
	for _, tt := range []struct {
		at   time.Time
		want decision.Reason
	}{{time.Time{}, decision.Allowed}, {start, decision.Allowed}, {start.Add(2 * time.Hour), decision.Expired}} {
		if r.Time = tt.at; g.Judge(r).Reason != tt.want {
			t.Errorf("at %s: %s, want %s", tt.at, g.Judge(r).Reason, tt.want)
		}
	}
}

func TestCountsGoOnWithTheNextSnapshot(t *testing.T) {
	t.Parallel()
	g := gate.New(gate.Options{Now: clock})
	if s := g.CacheStats(); s.Misses != 0 {
		t.Errorf("before the first snapshot: %+v", s)
	}
	r := get("/orders/1", bearer(corp.Token(start, map[string]any{"scope": "orders.read"}))...)
	for range 3 {
		g.Swap(gatetest.Snapshot(t, clock, gatetest.Policy("orders", orders())))
		g.Judge(r)
		g.Judge(r)
	}
	if s := g.CacheStats(); s.Misses != 3 || s.Hits != 3 || s.Entries != 1 {
		t.Errorf("got %+v, want 3 misses and hits, and the entry of the last", s)
	}
}

// Requests that bring a token at the same time find out about it once. What is asked about it is of the memory of the one who asks: another one's
// may be in use again by then.
func TestWhatIsAskedIsOfTheRequestThatAsks(t *testing.T) {
	t.Parallel()
	d := newDesk(t, active)
	g, load := asking(t, gate.Options{}, d)
	load(gatetest.Policy("orders", policy.Spec{Issuers: []policy.Issuer{d.issuer("desk")}, Rules: []policy.Rule{{Name: "all", Allow: &policy.Allow{Authenticated: true}}}}))
	for i := range 40 {
		text := fmt.Sprintf("opaque-%030d", i)
		var memory [2]buffer
		var waits [2]func(context.Context) gate.Verdict
		var both sync.WaitGroup
		release := g.HoldAnswers()
		for j := range memory {
			r := memory[j].request("/a", text)
			both.Go(func() { _, waits[j] = g.JudgeNow(r) })
		}
		for range 1000 {
			runtime.Gosched() // until both look for an answer, as a rule
		}
		release()
		both.Wait()
		over, asks := i%2, 1-i%2
		other := strings.Repeat("z", len(text))
		memory[over].request("/zzz", other)
		if v := waits[asks](t.Context()); !v.Forward {
			t.Errorf("%s (%v)", v.Reason, v.Cause)
		}
		if _, asked := d.about.Load(text); !asked {
			t.Errorf("the issuer was not asked about %s", text)
		}
		if _, asked := d.about.Load(other); asked {
			t.Fatal("the issuer was asked about what lies in another request's memory")
		}
	}
}
