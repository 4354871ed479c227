package gate_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// pod is a gate of one pod, whose Secret for nonces has this content; empty: it has not been read.
func pod(t *testing.T, secret string) *gate.Gate {
	t.Helper()
	p := dpopIfBound()
	p.NonceSecretRef = &policy.KeyRef{Name: "nonces", Key: "key"}
	object := gatetest.Policy("orders", proofs(p))
	object.Spec.CORS = &policy.CORS{Origins: []string{"https://page.example"}}
	b := gatetest.Bundle(t, object)
	if secret != "" {
		set, err := keyset.Read([]byte(secret), keyset.NonceReading(*p.NonceSecretRef))
		if err != nil {
			t.Fatal(err)
		}
		b.KeySets[bundle.NonceID("shop", object.Spec.Issuers[0])] = bundle.KeySet{JWKS: set.Canonical()}
	}
	s, err := gate.NewSnapshot(b, "test", gate.SnapshotOptions{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	g := gate.New(gate.Options{Now: clock})
	g.Swap(s)
	return g
}

// made is a gate of a pod whose namespace has nonces that derive from a root; empty: they have not come yet.
func made(t *testing.T, root string) *gate.Gate {
	t.Helper()
	p := dpopIfBound()
	p.Nonce = policy.NonceRequired
	b := gatetest.Bundle(t, gatetest.Policy("orders", proofs(p)))
	if root != "" {
		set, err := keyset.Nonces([]byte(root), "shop")
		if err != nil {
			t.Fatal(err)
		}
		b.KeySets["nonce:shop"] = bundle.KeySet{JWKS: set}
	}
	s, err := gate.NewSnapshot(b, "test", gate.SnapshotOptions{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	g := gate.New(gate.Options{Now: clock})
	g.Swap(s)
	return g
}

// Nonces that nobody set up are those of the namespace.
func TestNoncesOfTheNamespace(t *testing.T) {
	t.Parallel()
	alice, root := gatetest.NewProver("alice"), strings.Repeat("r", 32)
	ids := 0
	try := func(g *gate.Gate, nonce any) gate.Verdict {
		ids++
		return g.Judge(attempt{token: bound(alice, nil), by: alice, made: gatetest.Made{ID: fmt.Sprint(ids), Claims: map[string]any{"nonce": nonce}}}.request())
	}
	one, other := made(t, root), made(t, root)
	first := try(one, nil)
	nonce := nonceOf(first)
	if first.Reason != decision.UseNonce || nonce == "" || first.Cause.String() != "the proof has no nonce; proof.nonce wants one" {
		t.Fatalf("without a nonce: %s (%v)", first.Reason, first.Cause)
	}
	for name, g := range map[string]*gate.Gate{"the same pod": one, "another replica": other} {
		if v := try(g, nonce); !v.Forward {
			t.Errorf("%s: %s (%v)", name, v.Reason, v.Cause)
		}
	}
	rotated := try(made(t, strings.Repeat("n", 32)), nonce)
	if rotated.Reason != decision.UseNonce || nonceOf(rotated) == "" {
		t.Errorf("after a rotation: %s, nonce %q", rotated.Reason, nonceOf(rotated))
	}
	if v := try(made(t, ""), nonce); v.Reason != decision.KeysUnavailable {
		t.Errorf("before anything has come: %s", v.Reason)
	}
}

// nonceOf returns the nonce that an answer brings.
func nonceOf(v gate.Verdict) string {
	for _, f := range v.CORS.Set {
		if f.Name == "Dpop-Nonce" {
			return f.Value
		}
	}
	return ""
}

func TestNonces(t *testing.T) {
	t.Parallel()
	alice := gatetest.NewProver("alice")
	secret := strings.Repeat("s", 32)
	one, other, foreign := pod(t, secret), pod(t, secret), pod(t, strings.Repeat("f", 32))
	ids := 0
	try := func(g *gate.Gate, nonce any, at time.Time) gate.Verdict {
		ids++
		r := attempt{token: bound(alice, nil), by: alice, made: gatetest.Made{ID: fmt.Sprint(ids), At: at, Claims: map[string]any{"nonce": nonce}}}.request()
		r.Time = at
		return g.Judge(r)
	}
	first := try(one, nil, start)
	nonce := nonceOf(first)
	if first.Reason != decision.UseNonce || nonce == "" || first.Challenge == nil || !first.Challenge.DPoP.Came {
		t.Fatalf("without a nonce: %s, %+v", first.Reason, first.CORS)
	}
	v := try(one, nonce, start)
	if !v.Forward || nonceOf(v) == "" {
		t.Errorf("with the nonce: %s (%v), and the next is %q", v.Reason, v.Cause, nonceOf(v))
	}
	if v := try(other, nonce, start); !v.Forward {
		t.Errorf("at another pod: %s (%v)", v.Reason, v.Cause)
	}
	for name, tt := range map[string]struct {
		gate  *gate.Gate
		nonce any
		at    time.Time
		want  decision.Reason
	}{
		"as long as it is good":   {one, nonce, start.Add(90 * time.Second), decision.Allowed},
		"when it is not":          {one, nonce, start.Add(91 * time.Second), decision.UseNonce},
		"a nonce of another key":  {foreign, nonce, start, decision.UseNonce},
		"a nonce that is changed": {one, "A" + nonce[:len(nonce)-1], start, decision.UseNonce},
		"a nonce that is cut off": {one, nonce[:16], start, decision.UseNonce},
		"an empty nonce":          {one, "", start, decision.UseNonce},
		"a nonce that is no text": {one, 7, start, decision.BadProof},
	} {
		if v := try(tt.gate, tt.nonce, tt.at); v.Reason != tt.want {
			t.Errorf("%s: %s (%v), want %s", name, v.Reason, v.Cause, tt.want)
		}
	}
	if v := try(pod(t, ""), nonce, start); v.Reason != decision.KeysUnavailable {
		t.Errorf("before the secret is read: %s", v.Reason)
	}
	bearer := get("/orders/1", bearer(corp.Token(start, map[string]any{"scope": "orders.read"}))...)
	if v := one.Judge(bearer); !v.Forward || nonceOf(v) != "" {
		t.Errorf("a bearer token: %s, nonce %q", v.Reason, nonceOf(v))
	}
}

// While a secret is replaced, both are there: whichever makes a nonce, all pods take it.
func TestNoncesOfTwoKeys(t *testing.T) {
	t.Parallel()
	alice := gatetest.NewProver("alice")
	jwk := func(c string) string {
		return `{"kty":"oct","kid":"` + c + `","k":"` + strings.Repeat(c, 43) + `"}`
	}
	both, a, b := pod(t, `{"keys":[`+jwk("A")+`,`+jwk("E")+`]}`), pod(t, jwk("A")), pod(t, jwk("E"))
	for i, from := range []*gate.Gate{a, b} {
		r := attempt{token: bound(alice, nil), by: alice}.request()
		nonce := nonceOf(from.Judge(r))
		made := gatetest.Made{ID: fmt.Sprint(i), Claims: map[string]any{"nonce": nonce}}
		if v := both.Judge(attempt{token: bound(alice, nil), by: alice, made: made}.request()); !v.Forward {
			t.Errorf("key %d: %s (%v)", i, v.Reason, v.Cause)
		}
	}
}

func TestPagesMayReadNonces(t *testing.T) {
	t.Parallel()
	r := attempt{token: bound(gatetest.NewProver("alice"), nil), by: gatetest.NewProver("alice")}.request()
	r.Header = with(r.Header, "Origin", "https://page.example")
	for _, f := range pod(t, strings.Repeat("s", 32)).Judge(r).CORS.Set {
		if f.Name == "Access-Control-Expose-Headers" && strings.Contains(f.Value, "WWW-Authenticate") && strings.Contains(f.Value, "DPoP-Nonce") {
			return
		}
	}
	t.Error("a page may not read the nonce")
}
