package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/dashboard"
	"github.com/bearerguard/bearerguard/hack/freeport"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// startDashboard runs the command at the cluster and returns its address.
func startDashboard(t *testing.T, args ...string) string {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	root := newRoot("bearerguard", time.Now)
	root.SetArgs(append([]string{"dashboard", "--address", "127.0.0.1:0"}, args...))
	out, in := io.Pipe()
	root.SetOut(in)
	done := make(chan error, 1)
	go func() {
		err := root.ExecuteContext(ctx)
		_ = in.CloseWithError(err)
		done <- err
	}()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(url)
}

func getJSON(t *testing.T, url string, body []byte, into any) {
	t.Helper()
	method := http.MethodGet
	if body != nil {
		method = http.MethodPost
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(response.Body).Decode(into); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, response.Status, err)
	}
}

// until waits for a state of a dashboard.
func until(t *testing.T, url, what string, ok func(*dashboard.State) bool) dashboard.State {
	t.Helper()
	end := time.After(30 * time.Second)
	for {
		var s dashboard.State
		getJSON(t, url+"api/state", nil, &s)
		if ok(&s) {
			return s
		}
		select {
		case <-end:
			t.Fatalf("%s: never: %+v", what, s)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// TestDashboardOfACluster has a real API server and a real sidecar behind it.
func TestDashboardOfACluster(t *testing.T) {
	t.Parallel()
	atCluster(t)
	ns := newNamespace(t)
	issuer := gatetest.NewIssuer("https://corp.example", "one")
	app, admin := startSidecar(t, issuer)
	newAuthPolicy(t, ns, "orders", v1alpha1.AuthPolicyStatus{Sidecars: &v1alpha1.SidecarStatus{Total: 2, Current: 1, Missing: 1}})
	newPod(t, ns, "orders-0", "orders", admin)
	newPod(t, ns, "orders-1", "orders", "")
	response, err := http.Get(app + "/orders/1")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()

	url := startDashboard(t, "-n", ns, "--kubeconfig", live.kubeconfig)
	s := until(t, url, "a refusal", func(s *dashboard.State) bool { return s.Refusals.Count > 0 && len(s.Policies) > 0 })
	if s.Pods.Total != 2 || s.Pods.Bare != 1 || s.Pods.Guarded != 1 || s.Refusals.Recent[0].Reason != "NoToken" || s.Refusals.Recent[0].Path != "/orders/1" {
		t.Errorf("%+v", s)
	}
	if s.Context != "c" || s.Namespace != ns || len(s.Troubles) > 0 {
		t.Errorf("%+v, %+v", s.About, s.Troubles)
	}
	var found dashboard.Found
	getJSON(t, url+"api/requests?id="+s.Refusals.Recent[0].ID, nil, &found)
	if len(found.Requests) != 1 || found.Requests[0].Pod != "orders-0" || found.Requests[0].Do == "" {
		t.Errorf("by its id: %+v", found)
	}
	token := issuer.Token(time.Now(), map[string]any{"role": "guest"})
	body, err := json.Marshal(dashboard.Question{Namespace: ns, Pod: "orders-0", Method: "GET", Target: "/orders/1", Token: token})
	if err != nil {
		t.Fatal(err)
	}
	var answer dashboard.Answer
	getJSON(t, url+"api/explain", body, &answer)
	if answer.Report == nil || answer.Report.Reason != "NoRule" || answer.By != "sidecar" || len(answer.Policies) != 1 || answer.Policies[0].Rules[0].Rule != "clerks" {
		t.Errorf("by its sidecar: %+v", answer)
	}
}

func TestDashboardOfAClusterThatIsAway(t *testing.T) {
	t.Parallel()
	kubeconfig := filepath.Join(t.TempDir(), "config")
	text := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"c","clusters":[{"name":"c","cluster":{"server":"http://%s"}}],`+
		`"users":[{"name":"u","user":{}}],"contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}]}`, freeport.For(t))
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	url := startDashboard(t, "--kubeconfig", kubeconfig)
	s := until(t, url, "a trouble", func(s *dashboard.State) bool { return len(s.Troubles) > 0 })
	if s.Troubles[0].Kind != dashboard.Unreachable || s.PoliciesKnown || s.PodsKnown {
		t.Errorf("%+v", *s.Troubles[0])
	}
}
