package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"time"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate"
)

// cached prints what the judgement of a request costs whose token was seen before.
func cached(out io.Writer) error {
	k, err := newKey("ES256")
	if err != nil {
		return err
	}
	signed, err := k.token(time.Now(), "ES256")
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "A token seen before, to decision:\tns\tallocations\ttarget\t")
	var judged []func()
	for _, n := range []int{1, 10, 1000} {
		f, err := judgement(k, signed, n, rule)
		if err != nil {
			return err
		}
		judged = append(judged, f)
	}
	cel, err := judgement(k, signed, 1, ruleCEL)
	if err != nil {
		return err
	}
	text := []byte(signed)
	ns := fastest(append(judged, cel, func() { sum = sha256.Sum256(text) })...)
	for i, n := range []int{1, 10, 1000} {
		allocs := allocations(judged[i])
		aim := target("< 400 ns, 0 allocations", ns[i] < 400 && allocs == 0)
		if n == 1000 {
			aim += "; " + target("<= 2 x 1 rule", ns[i] <= 2*ns[0])
		}
		fmt.Fprintf(out, "rules: %d\t%.0f\t%.0f\t%s\t\n", n, ns[i], allocs, aim)
	}
	fmt.Fprintf(out, "rules: 1, with a CEL condition on the request\t%.0f\t%.0f\tthe condition alone: %.0f ns\t\n",
		ns[3], allocations(cel), ns[3]-ns[0])
	fmt.Fprintf(out, "SHA-256 of the token, for tokens that are not used often\t%.0f\t\t\t\n", ns[4])
	return nil
}

// sum keeps the compiler from leaving the hash out.
var sum [sha256.Size]byte

// corp is the issuer entry that takes the key's tokens.
func corp(k key) policy.Issuer {
	return policy.Issuer{Name: "corp", Issuer: issuerURL, Audiences: []string{audience}, Keys: policy.KeySource{JWKS: string(k.jwks)}}
}

func rule(i int) policy.Rule {
	return policy.Rule{
		Name:  fmt.Sprintf("r%d", i),
		Match: []policy.Match{{Paths: []string{fmt.Sprintf("/service-%d/orders/{id}", i)}, Methods: []string{"GET", "PUT"}}},
		Allow: &policy.Allow{Conditions: policy.Conditions{Scopes: []string{"orders.read"}}},
	}
}

func ruleCEL(i int) policy.Rule {
	r := rule(i)
	r.Allow.When = "path.id != claims.sub"
	return r
}

// judgement returns a call of the gate, with n rules of which one is about the request.
func judgement(k key, signed string, n int, rule func(int) policy.Rule) (func(), error) {
	var policies []bundle.Object
	for from := 0; from < n; from += 200 {
		spec := policy.Spec{
			Issuers: []policy.Issuer{corp(k)},
			Forward: &policy.Forward{Headers: []policy.IdentityHeader{{Name: "X-User", Claim: "sub"}}},
		}
		for i := from; i < min(n, from+200); i++ {
			spec.Rules = append(spec.Rules, rule(i))
		}
		policies = append(policies, bundle.Object{Namespace: "shop", Name: fmt.Sprintf("p%d", from), Spec: spec})
	}
	g, err := newGate(policies, 0)
	if err != nil {
		return nil, err
	}
	r := request(fmt.Sprintf("/service-%d/orders/77?page=2", n/2), signed)
	if v := g.Judge(r); !v.Forward {
		return nil, errors.New("refused for " + string(v.Reason))
	}
	return func() { g.Judge(r) }, nil
}

// request is one with its time of arrival, which a proxy reads anyway.
func request(target, signed string) *gate.Request {
	return &gate.Request{
		Time: time.Now(), Method: "GET", Target: target, Host: "orders.shop:8080", Port: 8080, Remote: netip.MustParseAddr("10.0.0.9"),
		Header: http.Header{
			"Authorization": {"Bearer " + signed}, "Accept": {"*/*"}, "User-Agent": {"curl/8.5.0"}, "X-Request-Id": {"1"},
		},
	}
}

func newGate(policies []bundle.Object, cacheBytes int64) (*gate.Gate, error) {
	keys := map[string]bundle.KeySet{}
	for _, p := range policies {
		for _, is := range p.Spec.Issuers {
			set, err := keyset.Parse([]byte(is.Keys.JWKS), keyset.Verify)
			if err != nil {
				return nil, err
			}
			keys[bundle.SourceID(p.Namespace, is)] = bundle.KeySet{JWKS: set.Canonical()}
		}
	}
	s, err := gate.NewSnapshot(bundle.Assemble(policies, keys), "bench", gate.SnapshotOptions{CacheBytes: cacheBytes})
	if err != nil {
		return nil, err
	}
	g := gate.New(gate.Options{})
	g.Swap(s)
	return g, nil
}
