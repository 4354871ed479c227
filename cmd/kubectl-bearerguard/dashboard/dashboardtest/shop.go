package dashboardtest

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/admin"
)

const corp = "https://login.example.com"

// Empty is a cluster without policies.
func Empty(now func() time.Time) *Fleet {
	return &Fleet{Now: now, Refused: map[string][]admin.Request{}}
}

// Well is a small fleet with which nothing is wrong.
func Well(now func() time.Time) *Fleet {
	f := Empty(now)
	for _, app := range []string{"cart", "orders", "search"} {
		f.add(workload{namespace: "shop", name: app, pods: 3, release: "0.1.0"})
		f.guard(guard{namespace: "shop", app: app, issuers: []issuer{{name: "corp", url: corp, state: v1alpha1.KeysCurrent, age: 3 * time.Minute}},
			sidecars: v1alpha1.SidecarStatus{Total: 3, Current: 3}})
	}
	return f
}

// Shop is a fleet of several teams, with much that is wrong.
func Shop(now func() time.Time) *Fleet {
	f := Empty(now)
	current := func(name, url string, age time.Duration) issuer {
		return issuer{name: name, url: url, state: v1alpha1.KeysCurrent, age: age}
	}
	login := current("corp", corp, 4*time.Minute)
	all := func(n int32) v1alpha1.SidecarStatus { return v1alpha1.SidecarStatus{Total: n, Current: n} }
	for _, w := range []workload{
		{namespace: "shop", name: "orders", pods: 6, release: "0.1.0"}, {namespace: "shop", name: "cart", pods: 4, bare: 1, release: "0.1.0"},
		{namespace: "shop", name: "search", pods: 8, release: "0.1.0"}, {namespace: "shop", name: "catalog", pods: 5, release: "0.1.0", older: "0.0.9"},
		{namespace: "pay", name: "ledger", pods: 3, release: "0.1.0"}, {namespace: "pay", name: "checkout", pods: 4, unready: 1, release: "0.1.0"},
		{namespace: "pay", name: "invoices", pods: 2, release: "0.1.0"}, {namespace: "media", name: "thumbnails", pods: 12, release: "0.1.0"},
		{namespace: "media", name: "uploads", pods: 3, release: "0.1.0"}, {namespace: "tools", name: "mcp-files", pods: 2, release: "0.1.0"},
		{namespace: "tools", name: "batch", pods: 2, plain: true},
	} {
		f.add(w)
	}
	bypassed := ""
	for _, p := range f.AllPods {
		if p.Labels["app"] == "invoices" {
			bypassed = p.Name
		}
	}
	for _, g := range []guard{
		{namespace: "shop", app: "orders", issuers: []issuer{login, current("partners", "https://partners.example.net", 9*time.Minute)}, sidecars: v1alpha1.SidecarStatus{Total: 6, Current: 4, Disconnected: 1}, behind: true,
			wrong: []metav1.Condition{{Type: v1alpha1.ConditionProgrammed, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonPending, Message: "4 of 6 sidecars use this generation"}}},
		{namespace: "shop", app: "cart", issuers: []issuer{login}, sidecars: v1alpha1.SidecarStatus{Total: 4, Current: 3, Missing: 1},
			wrong: []metav1.Condition{{Type: v1alpha1.ConditionGuarded, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonUnguarded, Message: "1 of 4 pods has no sidecar"}}},
		{namespace: "shop", app: "search", issuers: []issuer{login}, sidecars: all(8)}, {namespace: "shop", app: "catalog", mode: policy.Audit, issuers: []issuer{login}, sidecars: all(5)},
		{namespace: "pay", app: "ledger", issuers: []issuer{{name: "bank", url: "https://id.bank.example", state: v1alpha1.KeysMissing, without: 3, message: "GET https://id.bank.example/.well-known/openid-configuration: no such host"}},
			sidecars: all(3), wrong: []metav1.Condition{{Type: v1alpha1.ConditionResolvedRefs, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonKeySourceFailed,
				Message: "issuer bank: GET https://id.bank.example/.well-known/openid-configuration: no such host"}}},
		{namespace: "pay", app: "checkout", issuers: []issuer{login, {name: "wallet", url: "https://wallet.example.org", state: v1alpha1.KeysStale, age: 7 * time.Hour, message: "GET https://wallet.example.org/jwks.json: 503"}},
			sidecars: all(4), wrong: []metav1.Condition{{Type: v1alpha1.ConditionResolvedRefs, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonKeySourceFailed,
				Message: "issuer wallet: GET https://wallet.example.org/jwks.json: 503"}}},
		{namespace: "pay", app: "invoices", issuers: []issuer{login}, sidecars: all(2), wrong: []metav1.Condition{{Type: v1alpha1.ConditionGuarded, Status: metav1.ConditionFalse,
			Reason: v1alpha1.ReasonBypassable, Message: "pod " + bypassed + ": port 9000 is open past the sidecar"}}},
		{namespace: "media", app: "thumbnails", issuers: []issuer{current("media", "https://auth.media.example", 2*time.Minute)}, sidecars: all(12)},
		{namespace: "tools", app: "mcp-files", issuers: []issuer{login}, sidecars: all(2)},
	} {
		f.guard(g)
	}
	f.refuse("orders", 5, request{reason: decision.InsufficientScope, cause: "", rule: "read", failed: "the token lacks the scope orders.read", method: "GET", path: "/orders/1001"})
	f.refuse("orders", 3, request{reason: decision.Expired, cause: "it expired 6 min ago", method: "GET", path: "/orders/77"})
	f.refuse("orders", 1, request{reason: decision.WrongAudience, cause: "issuer corp takes orders", method: "POST", path: "/orders"})
	f.refuse("search", 9, request{reason: decision.NoToken, method: "GET", path: "/search/suggest"})
	f.refuse("search", 2, request{reason: decision.NoRule, rule: "read", failed: "the path", method: "GET", path: "/internal/reindex"})
	f.refuse("thumbnails", 2, request{reason: decision.Expired, cause: "it expired 2 h ago", method: "GET", path: "/thumbnails/9/small"})
	f.refuse("ledger", 4, request{reason: decision.KeysUnavailable, cause: "the keys of issuer bank have not been read yet", method: "POST", path: "/ledger/entries"})
	f.refuse("uploads", 6, request{reason: decision.NoPolicy, method: "PUT", path: "/uploads/a.png"})
	f.refuse("mcp-files", 1, request{reason: decision.InsufficientScope, rule: "write", failed: "the token lacks the scope mcp-files.write", method: "POST", path: "/mcp-files/mcp"})
	return f
}

type request struct {
	reason              decision.Reason
	cause, rule, failed string
	method, path        string
}

// waves is how much there is of something by minutes.
var waves = []int{5, 7, 6, 3, 4, 2, 1, 2, 0, 1, 3, 2}

// refuse has the sidecars of an app remember refusals of the last twelve minutes: some each minute, more of late.
func (f *Fleet) refuse(app string, often int, r request) {
	for i := range f.AllPods {
		p := &f.AllPods[i]
		if p.Labels["app"] != app || len(p.Spec.InitContainers) == 0 {
			continue
		}
		key := p.Namespace + "/" + p.Name
		for minute := range 12 {
			for n := range often * waves[(minute+len(app))%len(waves)] / (4 + i%3) {
				at := f.Now().Add(-time.Duration(minute)*time.Minute - time.Duration(n*1700+i*331)*time.Millisecond)
				q := admin.Request{
					Decision: "deny", Time: at, RequestID: fmt.Sprintf("%08x%08x%08x%08x", i*7919+minute*104729+n, len(key)*65537+n, often*31+minute, n*2654435761&0xffffffff),
					Reason: r.reason, Cause: r.cause, Method: r.method, Path: r.path, Host: app + "." + p.Namespace, Remote: "10.42.3.17", KeyID: "2026-11",
				}
				switch {
				case r.reason == decision.NoPolicy:
				case r.rule != "":
					q.NearestPolicy, q.NearestRule, q.Failed = p.Namespace+"/"+app, r.rule, r.failed
				default:
					q.Policy = p.Namespace + "/" + app
				}
				f.Refused[key] = append(f.Refused[key], q)
			}
		}
		newestFirst(f.Refused[key])
	}
}

func newestFirst(all []admin.Request) {
	slices.SortStableFunc(all, func(a, b admin.Request) int { return b.Time.Compare(a.Time) })
}

// Large is a fleet of a thousand pods in fifty workloads.
func Large(now func() time.Time) *Fleet {
	f := Shop(now)
	for i := range 48 {
		name := fmt.Sprintf("service-%02d", i)
		f.add(workload{namespace: fmt.Sprintf("team-%c", 'a'+i%6), name: name, pods: 20, release: "0.1.0"})
		f.guard(guard{namespace: fmt.Sprintf("team-%c", 'a'+i%6), app: name, issuers: []issuer{{name: "corp", url: corp, state: v1alpha1.KeysCurrent, age: time.Minute}},
			sidecars: v1alpha1.SidecarStatus{Total: 20, Current: 20}})
	}
	return f
}
