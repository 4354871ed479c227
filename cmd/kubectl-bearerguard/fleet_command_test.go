package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/exit"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/fleet"
)

// newAuthPolicy makes a policy for an app, and the status that a controller would have written.
func newAuthPolicy(t *testing.T, namespace, app string, status v1alpha1.AuthPolicyStatus) {
	t.Helper()
	p := &v1alpha1.AuthPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: app},
		Spec: v1alpha1.AuthPolicySpec{
			Selector: policy.Selector{MatchLabels: map[string]string{"app": app}},
			Spec: policy.Spec{
				Issuers: []policy.Issuer{{Name: "corp", Issuer: "https://login.example.com", Audiences: []string{app}, Keys: policy.KeySource{Discovery: &policy.Discovery{}}}},
				Rules:   []policy.Rule{{Name: "all", Allow: &policy.Allow{Authenticated: true}}},
			},
		},
	}
	create(t, p)
	p.Status = status
	p.Status.ObservedGeneration = p.Generation
	for i := range p.Status.Conditions {
		p.Status.Conditions[i].LastTransitionTime = metav1.Now()
	}
	if err := live.client.Status().Update(t.Context(), p); err != nil {
		t.Fatal(err)
	}
}

func TestStatusShowsWhatIsWrong(t *testing.T) {
	t.Parallel()
	atCluster(t)
	ns := newNamespace(t)
	if text, err := atLive(t, "status", "-n", ns); err != nil || !strings.Contains(text, "There are no AuthPolicies here.") {
		t.Errorf("an empty namespace: %v\n%s", err, text)
	}
	fetched := metav1.NewTime(time.Now().Add(-3 * time.Hour))
	newAuthPolicy(t, ns, "orders", v1alpha1.AuthPolicyStatus{
		Conditions: []metav1.Condition{{Type: "Ready", Status: "True", Reason: "Ready"}},
		Issuers:    []v1alpha1.IssuerStatus{{Name: "corp", Keys: 2, State: v1alpha1.KeysCurrent, LastFetched: &fetched}},
		Sidecars:   &v1alpha1.SidecarStatus{Total: 1, Current: 1, Summary: "1/1"},
	})
	newPod(t, ns, "orders-0", "orders", "127.0.0.1:1")
	text, err := atLive(t, "status", "-n", ns)
	if err != nil || !strings.Contains(text, "read 3h ago") || !strings.Contains(text, "1/1") {
		t.Errorf("all is well: %v\n%s", err, text)
	}
	newAuthPolicy(t, ns, "bills", v1alpha1.AuthPolicyStatus{
		Conditions: []metav1.Condition{
			{Type: "Ready", Status: "False", Reason: "Rejected"},
			{Type: "Programmed", Status: "False", Reason: "Rejected", Message: "pod bills-0 refuses it: no such field"},
			{Type: "Guarded", Status: "False", Reason: "Bypassable", Message: "pod bills-0: port 8080 is open past the sidecar"},
		},
		Issuers:  []v1alpha1.IssuerStatus{{Name: "corp", State: v1alpha1.KeysMissing, PodsWithoutKeys: 2, Message: "GET https://login.example.com: no such host"}},
		Sidecars: &v1alpha1.SidecarStatus{Total: 5, Current: 1, Rejecting: 1, Disconnected: 1, Missing: 1, Summary: "1/5"},
	})
	newPod(t, ns, "bills-0", "bills", "127.0.0.1:1")
	newPod(t, ns, "bills-1", "bills", "")
	newPod(t, ns, "stray-0", "stray", "127.0.0.1:1")
	newPod(t, ns, "plain-0", "plain", "")
	text, err = atLive(t, "status", "-n", ns)
	t.Logf("what one sees:\n%s", text)
	for _, want := range []string{
		"False (Rejected)", "1/5", "corp: missing", "Programmed=False (Rejected): pod bills-0 refuses it: no such field", "port 8080 is open past the sidecar",
		"1 of 1 pods selected, and without a sidecar: bills-1", "no policy selects them", "0.1.0",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the status lacks %q", want)
		}
	}
	if !errors.Is(err, exit.ErrNo) || strings.Contains(text, "plain-0") {
		t.Errorf("%v, and pods that nobody guards are no matter", err)
	}
	var r fleet.Report
	text, _ = atLive(t, "status", "-n", ns, "-o", "json")
	if err := json.Unmarshal([]byte(text), &r); err != nil || len(r.Policies) != 2 || len(r.Workloads) != 4 || r.Fine() {
		t.Errorf("as JSON: %v\n%s", err, text)
	}
	text, err = atLive(t, "keys", "-n", ns)
	t.Logf("what one sees:\n%s", text)
	for _, want := range []string{"Missing", "Current", "3h ago", "no such host", "discovery of https://login.example.com"} {
		if !strings.Contains(text, want) {
			t.Errorf("the keys lack %q:\n%s", want, text)
		}
	}
	if !errors.Is(err, exit.ErrNo) {
		t.Errorf("keys that are missing: %v", err)
	}
}

func TestLogsOfAWorkload(t *testing.T) {
	t.Parallel()
	atCluster(t)
	ns := newNamespace(t)
	newDeployment(t, ns, "orders")
	for i := range 2 {
		name := fmt.Sprint("orders-", i)
		newPod(t, ns, name, "orders", "127.0.0.1:1")
		live.mu.Lock()
		live.logs[ns+"/"+name] = fmt.Sprintf(`{"time":"2026-11-28T12:00:0%d.000Z","level":"INFO","msg":"sidecar runs"}
not JSON
{"time":"2026-11-28T12:00:0%d.500Z","level":"INFO","msg":"request decided","requestID":"id-%d","decision":"deny","reason":"NoRule","nearestPolicy":"shop/orders","nearestRule":"read","failed":"spec.rules[0]: x","method":"GET","path":"/orders/%d\u001b[2J","remote":"10.0.0.1"}
{"time":"2026-11-28T12:00:09.%d00Z","level":"INFO","msg":"request decided","requestID":"ok-%d","decision":"allow","reason":"Allowed","policy":"shop/orders","rule":"write","method":"POST","path":"/orders","remote":"10.0.0.2"}
`, i, 1-i, i, i, i, i)
		live.mu.Unlock()
	}
	newPod(t, ns, "bare", "bare", "")
	order := func(text string, ids ...string) bool {
		at := -1
		for _, id := range ids {
			next := strings.Index(text, id)
			if next <= at {
				return false
			}
			at = next
		}
		return strings.Count(text, "\n") == len(ids)
	}
	for name, tt := range map[string]struct{ args, ids []string }{
		"all of a workload":      {[]string{"deploy/orders"}, []string{"id-1", "id-0", "ok-0", "ok-1"}},
		"all of the namespace":   {nil, []string{"id-1", "id-0", "ok-0", "ok-1"}},
		"of one pod":             {[]string{"orders-1"}, []string{"id-1", "ok-1"}},
		"by decision":            {[]string{"--decision", "deny"}, []string{"id-1", "id-0"}},
		"by reason":              {[]string{"--reason", "Allowed"}, []string{"ok-0", "ok-1"}},
		"by the nearest rule":    {[]string{"--rule", "read"}, []string{"id-1", "id-0"}},
		"by policy":              {[]string{"--policy", "orders", "--decision", "allow"}, []string{"ok-0", "ok-1"}},
		"by the id of a request": {[]string{"--request-id", "id-0"}, []string{"id-0"}},
	} {
		text, err := atLive(t, append([]string{"logs", "-n", ns}, tt.args...)...)
		if err != nil || !order(text, tt.ids...) || strings.Contains(text, "\x1b[2J") {
			t.Errorf("%s: %v, want %v\n%s", name, err, tt.ids, text)
		}
		if name == "all of a workload" {
			t.Logf("what one sees:\n%s", text)
		}
	}
	text, err := atLive(t, "logs", "-n", ns, "--request-id", "ok-1", "-o", "json")
	var line map[string]any
	if err != nil || json.Unmarshal([]byte(text), &line) != nil || line["pod"] != "orders-1" || line["rule"] != "write" {
		t.Errorf("as JSON: %v\n%s", err, text)
	}
	for want, args := range map[string][]string{
		`--reason: "Norule" is none`: {"--reason", "Norule"}, `--decision: "no" is neither`: {"--decision", "no"}, "no pod of bare has a sidecar": {"bare"},
	} {
		if _, err := atLive(t, append([]string{"logs", "-n", ns}, args...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %s", args, err, want)
		}
	}
}

// An identifier of a token may begin with a dash, as base64url has one.
func TestRevokeTakesAValueThatBeginsWithADash(t *testing.T) {
	t.Parallel()
	_, err := atLive(t, "revoke", "jti", "-0lSCpm", "--issuer", "https://login.example.com")
	if err == nil || !strings.Contains(err.Error(), "begins with a dash goes behind --") {
		t.Errorf("before the flags: %v", err)
	}
	atCluster(t)
	text, err := atLive(t, "revoke", "-n", newNamespace(t), "--issuer", "https://login.example.com", "--", "jti", "-0lSCpm")
	if err != nil || !strings.Contains(text, "1 of 1 entries taken back") {
		t.Errorf("behind --: %v\n%s", err, text)
	}
}

func TestRevokeWritesTokenRevocations(t *testing.T) {
	t.Parallel()
	atCluster(t)
	ns := newNamespace(t)
	const issuer = "https://login.example.com"
	file := filepath.Join(t.TempDir(), "leaked")
	var lines strings.Builder
	for i := range 12_000 {
		fmt.Fprintf(&lines, "token-%d\n", i)
	}
	if err := os.WriteFile(file, []byte("# leaked\n\n"+lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	entries := func() (objects, n int) {
		var list v1alpha1.TokenRevocationList
		if err := live.client.List(t.Context(), &list, client.InNamespace(ns)); err != nil {
			t.Fatal(err)
		}
		for _, o := range list.Items {
			n += len(o.Spec.Entries)
		}
		return len(list.Items), n
	}
	do := func(want string, args ...string) string {
		t.Helper()
		text, err := atLive(t, append([]string{"revoke", "-n", ns}, args...)...)
		if err != nil || !strings.Contains(text, want) {
			t.Fatalf("%v: %v, want %s\n%s", args, err, want, text)
		}
		return text
	}
	do("12000 of 12000 entries taken back (the API server would take it; nothing was changed)", "jti", "--file", file, "--issuer", issuer, "--dry-run")
	if objects, n := entries(); objects != 0 || n != 0 {
		t.Fatalf("a dry run wrote %d objects", objects)
	}
	do("12000 of 12000 entries taken back", "jti", "--file", file, "--issuer", issuer, "--reason", "leak")
	if objects, n := entries(); objects != 2 || n != 12_000 {
		t.Errorf("%d objects with %d entries, want 2 with 12000", objects, n)
	}
	do("nothing to do", "jti", "--file", file, "--issuer", issuer, "--reason", "leak")
	do("1 of 1 entries taken back", "subject", "alice", "--issuer", issuer, "--all-before", "now", "--expires", "24h")
	do("2 of 2 entries taken back", "session", "s1", "s2", "--issuer", "https://other.example", "--expires", "2020-01-01T00:00:00Z")
	text := do("alice", "--list", "--issuer", issuer)
	if strings.Contains(text, "s1") || !strings.Contains(text, "not everywhere") {
		t.Errorf("the list of one issuer:\n%.600s", text)
	}
	short := do("s2", "--list", "--issuer", "https://other.example")
	t.Logf("what one sees:\n%s", short)
	do("2 entries that were over are left out", "--prune")
	do("1 of 1 entries given back", "subject", "alice", "--issuer", issuer, "--undo")
	do("nothing to do", "subject", "alice", "--issuer", issuer, "--undo")
	do("12000 of 12000 entries given back", "jti", "--file", file, "--issuer", issuer, "--undo")
	if objects, n := entries(); objects != 0 {
		t.Errorf("%d objects with %d entries are left", objects, n)
	}
	create(t, &v1alpha1.TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "by-hand"},
		Spec:       policy.Revocation{Issuer: issuer, Entries: []policy.RevocationEntry{{Subject: "bob"}}},
	})
	do("tokenrevocation/by-hand has some of them, too; it is somebody else's", "subject", "bob", "--issuer", issuer, "--undo")
	for want, args := range map[string][]string{
		"--issuer: is missing":       {"jti", "a"},
		"is nothing to take tokens":  {"user", "a", "--issuer", issuer},
		"want the jti to take back":  {"jti", "--issuer", issuer},
		"--all-before: \"x\" is no":  {"jti", "a", "--issuer", issuer, "--all-before", "x"},
		"say by what":                {"--issuer", issuer},
		"--list and --prune take no": {"jti", "--list"},
	} {
		if _, err := atLive(t, append([]string{"revoke", "-n", ns}, args...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %s", args, err, want)
		}
	}
}
