package main

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/mint"
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
	table := token.NewRevocations([]policy.Revocation{list}, now)
	// A thousand tokens in turns: their texts are at hand, as a request's are, and their slots all over the table.
	var known, unknown [1024]token.Verified
	for i := range known {
		known[i] = token.Verified{Issuer: issuerURL, JTI: strings.Clone(list.Entries[i*(entries/len(known))].JTI)}
		unknown[i] = token.Verified{Issuer: issuerURL, JTI: fmt.Sprintf("8d1f6a34-1d1c-4bb5-9f0f-%012d", i)}
	}
	lookup := func(tokens *[1024]token.Verified) func() {
		i := 0
		return func() { table.Revoked(&tokens[i%len(tokens)], now); i++ }
	}
	ns := fastest(lookup(&known), lookup(&unknown))
	fmt.Fprintln(out, "Revocation by jti, a million entries:\tns a lookup\tbytes an entry\ttarget\t")
	for i, name := range []string{"taken back", "not taken back"} {
		fmt.Fprintf(out, "%s\t%.0f\t%.1f\t%s\t\n", name, ns[i], float64(table.Bytes())/float64(table.Len()), target("< 100 ns", ns[i] < 100))
	}
	return nil
}

// memory prints what a cached token takes, as the heap grows and as the cache accounts for it.
func memory(out io.Writer) error {
	const tokens = 20_000
	k, err := newKey("EdDSA")
	if err != nil {
		return err
	}
	spec := policy.Spec{
		Issuers: []policy.Issuer{corp(k)},
		Rules:   []policy.Rule{rule(0)},
		Forward: &policy.Forward{Headers: []policy.IdentityHeader{{Name: "X-User", Claim: "sub"}}},
	}
	g, err := newGate([]bundle.Object{{Namespace: "shop", Name: "orders", Spec: spec}}, 1<<30)
	if err != nil {
		return err
	}
	signed := make([]string, tokens)
	length := 0
	for i := range signed {
		c := claims(time.Now())
		c["jti"] = fmt.Sprintf("0f7c2a3e-90c8-4d3e-b9d5-%012d", i)
		payload, err := mint.Encode(c)
		if err != nil {
			return err
		}
		if signed[i], err = mint.Sign(payload, k.keys, mint.SignOptions{}); err != nil {
			return err
		}
		length += len(signed[i])
	}
	before := heap()
	for _, s := range signed {
		if v := g.Judge(request("/service-0/orders/77", s)); !v.Forward {
			return errors.New("refused for " + string(v.Reason))
		}
	}
	grown := heap() - before
	stats := g.CacheStats()
	runtime.KeepAlive(signed)
	fmt.Fprintln(out, "A cached token, bytes:\tits text\ton the heap\taccounted for\t")
	fmt.Fprintf(out, "mean of %d\t%d\t%d\t%d\t\n", stats.Entries, length/tokens, grown/tokens, stats.Bytes/int64(stats.Entries))
	return nil
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
