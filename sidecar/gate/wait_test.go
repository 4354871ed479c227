package gate_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

const (
	gap   = 5 * time.Second
	burst = 4
)

// provider is an identity provider and what fetches its keys: a burst of looks, then one in each gap. Its time is a
// synctest bubble's.
type provider struct {
	t    *testing.T
	gate *gate.Gate
	id   string
	spec policy.Spec
	made func(*gatetest.Issuer) *gate.Snapshot // with an issuer's keys; nil: by spec

	mu    sync.Mutex
	now   *gatetest.Issuer // who signs
	full  time.Time        // when the burst is whole again
	due   bool             // a look is on its way
	looks int
	takes time.Duration // how long a look takes
}

// newProvider returns a provider whose first keys are in force.
func newProvider(t *testing.T, keyID string, o gate.Options) *provider {
	t.Helper()
	p := &provider{t: t, now: gatetest.NewIssuer(corp.URL, keyID), spec: orders(), takes: 20 * time.Millisecond}
	p.spec.Issuers[0].Keys = policy.KeySource{JWKSURL: "https://idp.example/jwks"}
	p.id = bundle.SourceID("shop", p.spec.Issuers[0])
	o.OnUnknownKey = p.ask
	p.gate = gate.New(o)
	p.gate.Swap(p.snapshot(p.now))
	return p
}

func (p *provider) snapshot(i *gatetest.Issuer) *gate.Snapshot {
	if p.made != nil {
		return p.made(i)
	}
	keys := map[string]*gatetest.Issuer{}
	for _, is := range p.spec.Issuers {
		keys[bundle.SourceID("shop", is)] = i
	}
	return snapshotWith(p.spec, keys)
}

// snapshotWith compiles a policy whose keys are those of issuers, by key set.
func snapshotWith(spec policy.Spec, keys map[string]*gatetest.Issuer) *gate.Snapshot {
	sets := map[string]bundle.KeySet{}
	for id, i := range keys {
		set, err := keyset.Parse([]byte(i.JWKS()), keyset.Public)
		if err != nil {
			panic(err)
		}
		sets[id] = bundle.KeySet{JWKS: set.Canonical()}
	}
	b := bundle.Assemble([]bundle.Object{gatetest.Policy("orders", spec)}, sets)
	s, err := gate.NewSnapshot(b, "test", gate.SnapshotOptions{})
	if err != nil {
		panic(err)
	}
	return s
}

// ask is gate.Options.OnUnknownKey.
func (p *provider) ask(string) (time.Duration, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	in := max(0, time.Until(p.full.Add(-(burst-1)*gap)))
	if !p.due {
		p.due = true
		time.AfterFunc(in, p.look)
	}
	return in, true
}

func (p *provider) look() {
	p.mu.Lock()
	began, seen, takes := time.Now(), p.now, p.takes
	if p.full.Before(began) {
		p.full = began
	}
	p.full = p.full.Add(gap)
	p.due = false
	p.looks++
	p.mu.Unlock()
	time.Sleep(takes)
	p.gate.Swap(p.snapshot(seen))
	p.gate.Checked(p.id, began)
}

// looked returns how many looks there were.
func (p *provider) looked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.looks
}

// exhaust uses up the burst.
func (p *provider) exhaust() {
	for range burst {
		p.look()
	}
}

// rotate returns who signs from now on, with a key of its own id.
func (p *provider) rotate(keyID string) *gatetest.Issuer {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = gatetest.NewIssuer(corp.URL, keyID)
	return p.now
}

// constant returns who signs from now on, with the key id of before.
func (p *provider) constant() *gatetest.Issuer {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = gatetest.Rekey(p.now)
	return p.now
}

var scoped = map[string]any{"scope": "orders.read"}

// from is a request with a token, from a client's address.
func from(client, token string) *gate.Request {
	r := get("/orders/1", bearer(token)...)
	r.Remote = netip.MustParseAddr(client)
	return r
}

// sends judges one request, and says how long that took.
func (p *provider) sends(client, token string) (gate.Verdict, time.Duration) {
	begin := time.Now()
	v := p.gate.JudgeWaiting(p.t.Context(), from(client, token))
	return v, time.Since(begin)
}

// flood sends tokens, each from next, with so many workers, until stop is called.
func (p *provider) flood(workers int, client string, next func() string) (stop func()) {
	ctx, cancel := context.WithCancel(p.t.Context())
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for ctx.Err() == nil {
				if p.gate.JudgeWaiting(ctx, from(client, next())).Forward {
					p.t.Error("a forged token is let in")
				}
				time.Sleep(250 * time.Millisecond)
			}
		})
	}
	return func() { cancel(); all.Wait() }
}

// madeUp returns tokens with a made-up key id each.
func madeUp() func() string {
	var n atomic.Int64
	return func() string {
		return gatetest.NewIssuer(corp.URL, fmt.Sprint("made-up-", n.Add(1))).Token(time.Now(), scoped)
	}
}

// counterfeit returns tokens with the key id of an issuer that another key has signed, each of its own.
func counterfeit(of *gatetest.Issuer) func() string {
	var n atomic.Int64
	other := gatetest.Rekey(gatetest.Rekey(of))
	return func() string {
		return other.Token(time.Now(), map[string]any{"jti": fmt.Sprint(n.Add(1)), "scope": "orders.read"})
	}
}

func TestARotationRefusesNobody(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		rotate func(*provider) *gatetest.Issuer
		before func(*provider) // the rotation
		within time.Duration   // the longest wait
	}{
		"a new key id, when keys may be fetched at once": {
			rotate: func(p *provider) *gatetest.Issuer { return p.rotate("k2") }, within: 100 * time.Millisecond},
		"a new key id, right after a fetch": {
			rotate: func(p *provider) *gatetest.Issuer { return p.rotate("k2") },
			before: func(p *provider) { p.exhaust() }, within: gap + 100*time.Millisecond},
		"a new key under the old id": {
			rotate: func(p *provider) *gatetest.Issuer { return p.constant() }, within: 100 * time.Millisecond},
		"a new key under the old id, right after a fetch": {
			rotate: func(p *provider) *gatetest.Issuer { return p.constant() },
			before: func(p *provider) { p.exhaust() }, within: gap + 100*time.Millisecond},
		"a fetch that began before the rotation brings the old keys": {
			rotate: func(p *provider) *gatetest.Issuer { return p.rotate("k2") },
			before: func(p *provider) {
				p.exhaust()
				time.Sleep(gap)
				p.takes = time.Second
				go p.look()
				time.Sleep(500 * time.Millisecond)
			},
			within: gap + 2*time.Second},
		"a slow provider": {
			rotate: func(p *provider) *gatetest.Issuer { return p.rotate("k2") },
			before: func(p *provider) { p.exhaust(); p.takes = 4 * time.Second }, within: gap + 4*time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newProvider(t, "k1", gate.Options{})
				if test.before != nil {
					test.before(p)
				}
				signer := test.rotate(p)
				var all sync.WaitGroup
				for i := range 100 {
					all.Go(func() {
						time.Sleep(time.Duration(i) * 70 * time.Millisecond)
						v, took := p.sends("10.0.0.1", signer.Token(time.Now(), scoped))
						if !v.Forward || took > test.within {
							t.Errorf("request %d: %s after %s; want it let in within %s", i, v.Reason, took, test.within)
						}
					})
				}
				all.Wait()
				time.Sleep(time.Minute) // lets what is on its way end
			})
		})
	}
}

func TestAFloodDoesNotUseUpTheGenuineTokensChance(t *testing.T) {
	t.Parallel()
	newID := func(p *provider) *gatetest.Issuer { return p.rotate("k2") }
	sameID := func(p *provider) *gatetest.Issuer { return p.constant() }
	tests := map[string]struct {
		workers int
		client  string
		most    int // places for requests that wait
		tokens  func(*provider) func() string
		rotate  func(*provider) *gatetest.Issuer
	}{
		"made-up key ids, from the genuine clients' address": {
			workers: 300, client: "10.0.0.1", tokens: func(*provider) func() string { return madeUp() }, rotate: newID},
		"made-up key ids, and the genuine key keeps its id": {
			workers: 300, client: "10.0.0.1", tokens: func(*provider) func() string { return madeUp() }, rotate: sameID},
		"made-up key ids that take every place, from another address": {
			workers: 300, client: "10.6.6.6", most: 200, tokens: func(*provider) func() string { return madeUp() }, rotate: newID},
		"one made-up key id, again and again": {
			workers: 50, client: "10.0.0.1", tokens: func(*provider) func() string {
				i := gatetest.NewIssuer(corp.URL, "guess")
				return func() string { return i.Token(time.Now(), scoped) }
			}, rotate: newID},
		"forged signatures under the known key id, and the genuine key gets another": {
			workers: 50, client: "10.0.0.1", tokens: func(p *provider) func() string { return counterfeit(p.now) }, rotate: newID},
		"forged signatures under the known key id, which the genuine key keeps, from another address": {
			workers: 50, client: "10.6.6.6", tokens: func(p *provider) func() string { return counterfeit(p.now) }, rotate: sameID},
		"the new key id was guessed, from another address": {
			workers: 50, client: "10.6.6.6", tokens: func(*provider) func() string { return counterfeit(gatetest.NewIssuer(corp.URL, "k2")) }, rotate: newID},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newProvider(t, "k1", gate.Options{MaxWaiting: test.most})
				old := p.now
				stop := p.flood(test.workers, test.client, test.tokens(p))
				time.Sleep(23 * time.Second) // amid a gap
				begin, before := time.Now(), p.looked()
				signer := test.rotate(p)
				for i := range 60 {
					v, took := p.sends("10.0.0.1", signer.Token(time.Now(), scoped))
					if !v.Forward || took > gap+100*time.Millisecond {
						t.Errorf("request %d: %s after %s; want it let in", i, v.Reason, took)
					}
					time.Sleep(50 * time.Millisecond)
				}
				if took := time.Since(begin); p.looked()-before > burst+int(took/gap) {
					t.Errorf("%d fetches in %s", p.looked()-before, took)
				}
				if v, _ := p.sends("10.0.0.1", old.Token(time.Now(), scoped)); v.Forward {
					t.Error("a token of the old key is let in")
				}
				stop()
				time.Sleep(time.Minute)
			})
		})
	}
}

func TestForgedTokensAreNotHeld(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*provider) func() string{
		"signatures that do not verify under the known key id": func(p *provider) func() string { return counterfeit(p.now) },
		"one made-up key id": func(*provider) func() string {
			i := gatetest.NewIssuer(corp.URL, "guess")
			return func() string { return i.Token(time.Now(), scoped) }
		},
	}
	for name, tokens := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newProvider(t, "k1", gate.Options{})
				next, begin := tokens(p), time.Now()
				var held time.Duration
				for range 1000 {
					v, took := p.sends("10.0.0.1", next())
					if v.Forward || took > 100*time.Millisecond {
						t.Fatalf("%s after %s; want it refused at once, or with the next fetch if that is at once", v.Reason, took)
					}
					held += took
					time.Sleep(20 * time.Millisecond)
				}
				took := time.Since(begin)
				if most := burst + int(took/gap); p.looked() > most || p.looked() < most-2 {
					t.Errorf("%d fetches in %s, want about %d", p.looked(), took, most)
				}
				if held > time.Second {
					t.Errorf("1000 requests were held for %s together", held)
				}
				time.Sleep(time.Minute)
			})
		})
	}
}

func TestTheGenuineTokenGetsAnotherChance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newProvider(t, "k1", gate.Options{})
		early := gatetest.NewIssuer(corp.URL, "k2") // signs before its key is published
		if v, took := p.sends("10.0.0.1", early.Token(time.Now(), scoped)); v.Reason != decision.UnknownKey || took != p.takes {
			t.Errorf("before it is published: %s after %s, want UnknownKey after one look", v.Reason, took)
		}
		p.rotate("k2")
		if v, took := p.sends("10.0.0.1", early.Token(time.Now(), scoped)); !v.Forward || took != p.takes {
			t.Errorf("once it is published: %s after %s; want it let in after one more look", v.Reason, took)
		}
		time.Sleep(time.Minute)
		p.exhaust()
		p.rotate("k4")
		if v, _ := p.sends("10.0.0.1", gatetest.NewIssuer(corp.URL, "k4").Token(time.Now(), scoped)); !v.Forward {
			t.Errorf("another key id: %s; want it let in", v.Reason)
		}
		time.Sleep(time.Minute)
	})
}

func TestWhichRefusalsAskForKeys(t *testing.T) {
	t.Parallel()
	fetched := policy.KeySource{JWKSURL: "https://idp.example/jwks"}
	other := gatetest.NewIssuer(corp.URL, "other")
	head := func(h string) string { // with another header, so that the signature does not fit
		_, rest, _ := strings.Cut(corp.Token(start, scoped), ".")
		return base64.RawURLEncoding.EncodeToString([]byte(h)) + "." + rest
	}
	tests := map[string]struct {
		keys  policy.KeySource // default: fetched
		token string
		want  decision.Reason
		asks  bool
	}{
		"an unknown key id":                           {token: other.Token(start, nil), want: decision.UnknownKey, asks: true},
		"a bad signature under a known key id":        {token: gatetest.Rekey(corp).Token(start, nil), want: decision.BadSignature, asks: true},
		"a bad signature without a key id":            {token: head(`{"alg":"EdDSA"}`), want: decision.BadSignature, asks: true},
		"an algorithm that the known key is not for":  {token: head(`{"alg":"RS256","kid":"` + corp.KeyID + `"}`), want: decision.AlgorithmNotAllowed, asks: true},
		"an algorithm that no key is for":             {token: head(`{"alg":"RS256"}`), want: decision.UnknownKey, asks: true},
		"an algorithm that the issuer does not allow": {token: head(`{"alg":"HS256","kid":"` + corp.KeyID + `"}`), want: decision.AlgorithmNotAllowed},
		"no signature":                                {token: head(`{"alg":"none"}`), want: decision.Unsigned},
		"an expired token":                            {token: other.Token(start.Add(-24*time.Hour), nil), want: decision.Expired},
		"another audience":                            {token: other.Token(start, map[string]any{"aud": "pay"}), want: decision.WrongAudience},
		"another issuer":                              {token: gatetest.NewIssuer("https://stranger", "x").Token(start, nil), want: decision.UnknownIssuer},
		"a good token":                                {token: corp.Token(start, scoped), want: decision.Allowed},
		"keys in the policy":                          {keys: policy.KeySource{JWKS: corp.JWKS()}, token: other.Token(start, nil), want: decision.UnknownKey},
		"keys in a Secret":                            {keys: policy.KeySource{SecretRef: &policy.KeyRef{Name: "corp", Key: "jwks"}}, token: other.Token(start, nil), want: decision.UnknownKey},
		"keys found by discovery":                     {keys: policy.KeySource{Discovery: &policy.Discovery{}}, token: other.Token(start, nil), want: decision.UnknownKey, asks: true},
		"keys of the cluster":                         {keys: policy.KeySource{Kubernetes: &policy.KubernetesKeys{AllowUnbound: true}}, token: other.Token(start, nil), want: decision.UnknownKey, asks: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := orders()
			if spec.Issuers[0].Keys = test.keys; test.keys == (policy.KeySource{}) {
				spec.Issuers[0].Keys = fetched
			}
			id := bundle.SourceID("shop", spec.Issuers[0])
			var asked []string
			g := gate.New(gate.Options{Now: clock, OnUnknownKey: func(id string) (time.Duration, bool) { asked = append(asked, id); return 0, false }})
			g.Swap(snapshotWith(spec, map[string]*gatetest.Issuer{id: corp}))
			if v := g.Judge(get("/orders/1", bearer(test.token)...)); v.Reason != test.want {
				t.Errorf("got %s, want %s", v.Reason, test.want)
			}
			if want := []string{id}; test.asks != (len(asked) == 1) || test.asks && asked[0] != want[0] {
				t.Errorf("asked for %q; want to ask: %t, for %q", asked, test.asks, want)
			}
		})
	}
}

func TestARotationRefusesNobodyAmongIssuersOfOneName(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newProvider(t, "k1", gate.Options{})
		second := p.spec.Issuers[0]
		second.Name, second.Audiences, second.Keys.JWKSURL = "second", []string{"pay"}, "https://idp.example/other"
		p.spec.Issuers = append(p.spec.Issuers, second)
		p.gate.Swap(p.snapshot(p.now))
		signer := p.rotate("k2")
		if v, _ := p.sends("10.0.0.1", signer.Token(time.Now(), scoped)); !v.Forward {
			t.Errorf("%s, though one of the issuers has the new key by now", v.Reason)
		}
		time.Sleep(time.Minute)
	})
}

func TestWaitsEnd(t *testing.T) {
	t.Parallel()
	hangs := func(string) (time.Duration, bool) { return 0, true }
	tests := map[string]struct {
		options gate.Options
		fetched bool // else the keys are inline
		ctx     time.Duration
		leaves  time.Duration // when the client does; 0: it stays
		want    time.Duration
	}{
		"after ten seconds, if no look ends":       {options: gate.Options{OnUnknownKey: hangs}, fetched: true, want: 10 * time.Second},
		"as the option says":                       {options: gate.Options{OnUnknownKey: hangs, KeyWait: time.Second}, fetched: true, want: time.Second},
		"with the context":                         {options: gate.Options{OnUnknownKey: hangs}, fetched: true, ctx: 2 * time.Second, want: 2 * time.Second},
		"soon after the client has left":           {options: gate.Options{OnUnknownKey: hangs}, fetched: true, leaves: 3 * time.Second, want: 3 * time.Second},
		"at once where nobody fetches":             {fetched: true},
		"at once where the keys are inline":        {options: gate.Options{OnUnknownKey: hangs}},
		"at once where the keys cannot be fetched": {options: gate.Options{OnUnknownKey: func(string) (time.Duration, bool) { return 0, false }}, fetched: true},
		"at once where there is no place":          {options: gate.Options{OnUnknownKey: hangs, MaxWaiting: -1}, fetched: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newProvider(t, "k1", gate.Options{})
				g := gate.New(test.options)
				if g.Swap(p.snapshot(p.now)); !test.fetched {
					g.Swap(gatetest.Snapshot(t, time.Now, gatetest.Policy("orders", orders())))
				}
				ctx := t.Context()
				if test.ctx > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, test.ctx)
					defer cancel()
				}
				begin := time.Now()
				r := from("10.0.0.1", gatetest.NewIssuer(corp.URL, "other").Token(begin, nil))
				if r.Client = client(func() bool { return time.Since(begin) >= test.leaves }); test.leaves == 0 {
					r.Client = nil
				}
				if v := g.JudgeWaiting(ctx, r); v.Reason != decision.UnknownKey {
					t.Errorf("got %s, want UnknownKey", v.Reason)
				}
				if took := time.Since(begin); took < test.want || took > test.want+300*time.Millisecond {
					t.Errorf("took %s, want %s", took, test.want)
				}
			})
		})
	}
}

// client says whether it has left.
type client func() bool

func (c client) Left() bool { return c() }
