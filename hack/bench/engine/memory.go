package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"time"
	"unsafe"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/mint"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/token"
)

// revocations prints what a million entries cost.
func revocations(out io.Writer) error {
	const entries = 1_000_000
	list := policy.Revocation{Issuer: issuerURL, Entries: make([]policy.RevocationEntry, entries)}
	for i := range list.Entries {
		list.Entries[i].JTI = fmt.Sprintf("0f7c2a3e-90c8-4d3e-b9d5-%012d", i)
	}
	now := time.Now()
	table := revoked.SetOf(list)
	// A thousand tokens in turns: their marks are at hand, as a cached token's are, and their slots all over the table.
	var known, unknown [1024]token.Marks
	for i := range known {
		known[i] = token.MarksOf(&token.Verified{Issuer: issuerURL, JTI: list.Entries[i*(entries/len(known))].JTI})
		unknown[i] = token.MarksOf(&token.Verified{Issuer: issuerURL, JTI: fmt.Sprintf("8d1f6a34-1d1c-4bb5-9f0f-%012d", i)})
	}
	lookup := func(tokens *[1024]token.Marks) func() {
		i := 0
		return func() { token.Revoked(table, &tokens[i%len(tokens)], now); i++ }
	}
	ns := fastest(lookup(&known), lookup(&unknown))
	fmt.Fprintln(out, "Revocation by jti, a million entries:\tns a lookup\tbytes an entry\ttarget\t")
	for i, name := range []string{"taken back", "not taken back"} {
		fmt.Fprintf(out, "%s\t%.0f\t%.1f\t%s\t\n", name, ns[i], float64(revoked.Size), target("< 100 ns", ns[i] < 100))
	}
	return nil
}

// memory prints what cached tokens take, as the heap grows and as the cache accounts for it, and what it takes to find
// one, for so many tokens that come in turns. The cache is the default one, and what it has for itself counts, as do its
// texts of the tokens that are used most.
func memory(out io.Writer) error {
	k, err := newKey("EdDSA")
	if err != nil {
		return err
	}
	spec := policy.Spec{
		Issuers: []policy.Issuer{corp(k)},
		Rules:   []policy.Rule{rule(0)},
		Forward: &policy.Forward{Headers: []policy.IdentityHeader{{Name: "X-User", Claim: "sub"}}},
	}
	fmt.Fprintln(out, "Cached tokens, in the default cache:\tbytes of text\tkept\theap, bytes each\taccounted for\tns a hit, to decision\ttarget\t")
	for _, n := range []int{1, 1000, 50_000} {
		signed, length, err := many(k, n)
		if err != nil {
			return err
		}
		before := heap()
		g, err := newGate([]bundle.Object{{Namespace: "shop", Name: "orders", Spec: spec}}, 0)
		if err != nil {
			return err
		}
		in := newBuffer()
		for _, token := range signed {
			if v := g.Judge(in.request(token)); !v.Forward {
				return errors.New("refused for " + string(v.Reason))
			}
		}
		each := (heap() - before) / int64(n)
		stats := g.CacheStats()
		i, j := 0, 0
		ns := fastest(
			func() { g.Judge(in.request(signed[i%n])); i += 7919 },
			func() { in.request(signed[j%n]); j += 7919 }, // what is not the gate's: to fetch the token
		)
		aim := ""
		if n == 50_000 {
			aim = target("all kept, <= 350 bytes", each <= 350 && stats.Entries == n)
		}
		fmt.Fprintf(out, "%d\t%d\t%d\t%d\t%d\t%.0f\t%s\t\n", n, length/n, stats.Entries, each, stats.Bytes/int64(stats.Entries), ns[0]-ns[1], aim)
		runtime.KeepAlive(g)
		runtime.KeepAlive(signed)
	}
	return nil
}

// buffer is where a connection reads its requests: the text of a token is at hand when it is judged.
type buffer struct {
	space []byte
	field []string
	r     *gate.Request
}

func newBuffer() *buffer {
	b := &buffer{space: append(make([]byte, 0, 4<<10), "Bearer "...), field: make([]string, 1)}
	b.r = request("/service-0/orders/77", "")
	b.r.Header = http.Header{"Authorization": b.field}
	return b
}

// request returns a request with the token, in place of the one before.
func (b *buffer) request(token string) *gate.Request {
	b.space = append(b.space[:len("Bearer ")], token...)
	b.field[0] = unsafe.String(&b.space[0], len(b.space))
	return b.r
}

// many signs tokens that differ, and returns their length together.
func many(k key, n int) (signed []string, length int, err error) {
	for i := range n {
		c := claims(time.Now())
		c["jti"], c["sub"] = fmt.Sprintf("0f7c2a3e-90c8-4d3e-b9d5-%012d", i), fmt.Sprintf("f:8d1f6a34-1d1c-4bb5:%05d", i)
		payload, err := mint.Encode(c)
		if err != nil {
			return nil, 0, err
		}
		one, err := mint.Sign(payload, k.keys, mint.SignOptions{})
		if err != nil {
			return nil, 0, err
		}
		signed = append(signed, one)
		length += len(one)
	}
	return signed, length, nil
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
