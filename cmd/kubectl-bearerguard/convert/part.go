package convert

import (
	"net/netip"
	"slices"

	"github.com/bearerguard/bearerguard/api/policy"
)

// part is conditions that must all hold, in the terms of an AuthPolicy. The zero part always holds.
type part struct {
	match   policy.Match
	when    []string // CEL expressions
	asks    bool     // a token is needed
	limited bool     // issuers count
	issuers []string // names; any of them
	claims  []policy.ClaimCondition
	scopes  []string
	nots    []notClaim
}

// notClaim says that a claim does not fit. Without a token it holds.
type notClaim struct {
	condition policy.ClaimCondition // noneOf or notPatterns
	cel       string                // the same, which holds without a token too
	exact     bool                  // condition says the same as cel of every token
}

// both joins two parts: each must hold. It reports false if they contradict each other, or cannot be written as one; lost says it is
// the latter.
func (p part) both(q part) (out part, ok, lost bool) {
	out, ok, lost = p, true, false
	out.when = append(slices.Clone(p.when), q.when...)
	out.claims = append(slices.Clone(p.claims), q.claims...)
	out.scopes = union(p.scopes, q.scopes)
	out.nots = append(slices.Clone(p.nots), q.nots...)
	out.asks = p.asks || q.asks
	switch {
	case p.limited && q.limited:
		out.issuers = common(p.issuers, q.issuers, equal)
		ok = len(out.issuers) > 0
	case q.limited:
		out.limited, out.issuers = true, q.issuers
	}
	a, b := &out.match, q.match
	lists := []struct{ a, b *[]string }{{&a.Hosts, &b.Hosts}, {&a.Paths, &b.Paths}, {&a.Methods, &b.Methods}}
	for _, l := range lists { // each of these comes from one field alone
		if len(*l.b) > 0 {
			*l.a = *l.b
		}
	}
	for _, l := range []struct{ a, b *[]string }{{&a.NotHosts, &b.NotHosts}, {&a.NotPaths, &b.NotPaths}, {&a.NotMethods, &b.NotMethods}, {&a.NotRemoteIPs, &b.NotRemoteIPs}} {
		*l.a = union(*l.a, *l.b)
	}
	a.NotPorts = union(a.NotPorts, b.NotPorts)
	ok = intersect(&a.Ports, b.Ports, equal) && ok
	ok = intersect(&a.RemoteIPs, b.RemoteIPs, narrower) && ok
	for _, h := range b.Headers {
		if slices.ContainsFunc(a.Headers, func(o policy.HeaderMatch) bool { return o.Name == h.Name }) {
			lost = true
			continue
		}
		a.Headers = append(slices.Clone(a.Headers), h)
	}
	return out, ok, lost
}

// intersect leaves in a what is in both, if both say anything; it reports whether something is left.
func intersect[T comparable](a *[]T, b []T, narrow func(x, y T) (T, bool)) bool {
	switch {
	case len(b) == 0:
		return true
	case len(*a) == 0:
		*a = b
		return true
	}
	*a = common(*a, b, narrow)
	return len(*a) > 0
}

// common is what both lists have; narrow gives what two entries have in common.
func common[T comparable](a, b []T, narrow func(x, y T) (T, bool)) (out []T) {
	for _, x := range a {
		for _, y := range b {
			if z, ok := narrow(x, y); ok {
				out = union(out, []T{z})
			}
		}
	}
	return out
}

func equal[T comparable](x, y T) (T, bool) { return x, x == y }

// narrower is the block that lies in the other.
func narrower(x, y string) (string, bool) {
	a, errA := block(x)
	b, errB := block(y)
	switch {
	case errA != nil || errB != nil || !a.Overlaps(b):
		return "", false
	case a.Bits() >= b.Bits():
		return x, true
	}
	return y, true
}

// block reads an address or a CIDR block.
func block(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.ParsePrefix(s)
}

func union[T comparable](a, b []T) []T {
	out := slices.Clone(a)
	for _, x := range b {
		if !slices.Contains(out, x) {
			out = append(out, x)
		}
	}
	return out
}
