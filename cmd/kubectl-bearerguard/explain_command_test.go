package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/admin"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/exit"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// TestExplainAsksARunningSidecar asks a real sidecar, by way of the API server's port-forward, about requests to come and one that has been.
func TestExplainAsksARunningSidecar(t *testing.T) {
	t.Parallel()
	atCluster(t)
	issuer := gatetest.NewIssuer("https://corp.example", "one")
	url, address := startSidecar(t, issuer)
	ns := newNamespace(t)
	newDeployment(t, ns, "orders")
	newPod(t, ns, "orders-0", "orders", address)
	newPod(t, ns, "orders-1", "orders", "127.0.0.1:1") // nobody answers there
	newPod(t, ns, "bare", "bare", "")
	file := filepath.Join(t.TempDir(), "token")
	for _, tt := range [][2]string{ // the last one's token is asked about below
		{"clerk", "ALLOWED  Allowed, by rule clerks of shop/orders"}, {"cook", "REFUSED  403 NoRule"},
	} {
		role, want := tt[0], tt[1]
		if err := os.WriteFile(file, []byte("Bearer "+issuer.Token(time.Now(), map[string]any{"role": role})+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		text, err := atLive(t, "explain", "orders-0", "-n", ns, "--request", "GET /orders/7", "--token-file", file)
		if !strings.Contains(text, want) || !strings.Contains(text, "pod orders-0 of "+ns+", rules ") || errors.Is(err, exit.ErrNo) != (role == "cook") {
			t.Errorf("role %s: %v\n%s", role, err, text)
		}
		if role == "cook" && (!strings.Contains(text, "what to do: The token is good, and no rule lets it do this.") || !strings.Contains(text, "reasons.md#norule") || !strings.Contains(text, "claims[0]")) {
			t.Errorf("role %s: it does not say what to do:\n%s", role, text)
		}
		if role == "cook" {
			t.Logf("what one sees:\n%s", text)
		}
	}
	text, err := atLive(t, "explain", "deploy/orders", "-n", ns, "--request", "GET /orders/7", "--token-file", file, "-o", "json")
	var e admin.Explanation
	if json.Unmarshal([]byte(text), &e) != nil || e.Pod != "orders-0" || e.Report.Reason != "NoRule" || len(e.Report.Rules) != 1 {
		t.Errorf("as JSON: %v\n%s", err, text)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/orders/9?secret=1", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Request-Id", "complaint-1")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	for _, target := range [][]string{{"deploy/orders"}, {"pod/orders-0"}, {}} {
		text, err := atLive(t, append([]string{"explain", "-n", ns, "--request-id", "complaint-1"}, target...)...)
		if err != nil || !strings.Contains(text, "REFUSED  NoToken") || !strings.Contains(text, "request: GET /orders/9 of ") || strings.Contains(text, "secret") {
			t.Errorf("%v: %v\n%s", target, err, text)
		}
		if len(target) == 0 {
			t.Logf("what one sees:\n%s", text)
		}
	}
	if text, err := atLive(t, "explain", "orders-0", "-n", ns, "--request-id", "nobody"); !errors.Is(err, exit.ErrNo) || !strings.Contains(text, "None of 1 sidecars remembers a request nobody.") {
		t.Errorf("an id that nobody knows: %v\n%s", err, text)
	}
	for target, want := range map[string]string{
		"bare": "no pod of bare has a sidecar", "orders-1": "nobody listens there", "nothing": "a workload is named as deploy/nothing",
		"deploy/nothing": "there is no deploy nothing", "cow/x": `"cow" is no type of workload`,
	} {
		if _, err := atLive(t, "explain", target, "-n", ns, "--request", "GET /"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", target, err, want)
		}
	}
}
