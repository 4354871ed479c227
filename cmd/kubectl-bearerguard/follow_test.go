package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// shown is what a command prints while it runs.
type shown struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *shown) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *shown) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// follow runs a command at the cluster until the test ends it by stop, which returns what the command returns.
func follow(t *testing.T, args ...string) (out *shown, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out = &shown{}
	root := newRoot("bearerguard", time.Now)
	root.SetArgs(append(args, "--kubeconfig", live.kubeconfig))
	root.SetOut(out)
	root.SetErr(out)
	ended := make(chan error, 1)
	go func() { ended <- root.ExecuteContext(ctx) }()
	return out, func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(20 * time.Second):
			return fmt.Errorf("%s does not end", args[0])
		}
	}
}

// until waits until a command has printed a text.
func (s *shown) until(t *testing.T, text string) {
	t.Helper()
	end := time.After(30 * time.Second)
	for !strings.Contains(s.String(), text) {
		select {
		case <-end:
			t.Fatalf("waiting for %q in vain:\n%s", text, s)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestStatusWatches(t *testing.T) {
	t.Parallel()
	atCluster(t)
	ns := newNamespace(t)
	out, stop := follow(t, "status", "-n", ns, "--watch")
	out.until(t, "There are no AuthPolicies here.")
	newAuthPolicy(t, ns, "orders", v1alpha1.AuthPolicyStatus{})
	out.until(t, "0 of 1 policies ready")
	newPod(t, ns, "orders-0", "orders", "")
	out.until(t, "1 of 1 pods selected, and without a sidecar: orders-0")
	if err := stop(); err != nil {
		t.Errorf("a watch that the user ends: %v", err)
	}
	if n := strings.Count(out.String(), "There are no AuthPolicies here."); n != 1 {
		t.Errorf("the first picture was shown %d times:\n%s", n, out)
	}
}

func TestLogsFollow(t *testing.T) {
	t.Parallel()
	atCluster(t)
	ns := newNamespace(t)
	newDeployment(t, ns, "orders")
	line := func(id, reason string) string {
		return fmt.Sprintf(`{"time":"2026-11-28T12:00:00.000Z","level":"INFO","msg":"request decided","requestID":%q,"decision":"deny","reason":%q,"method":"GET","path":"/x"}`+"\n", id, reason)
	}
	feeds := map[string]chan string{}
	for _, name := range []string{"orders-0", "orders-1"} {
		newPod(t, ns, name, "orders", "127.0.0.1:1")
		feeds[name] = make(chan string)
		live.mu.Lock()
		live.logs[ns+"/"+name], live.more[ns+"/"+name] = line("before-"+name, "NoToken"), feeds[name]
		live.mu.Unlock()
	}
	out, stop := follow(t, "logs", "deploy/orders", "-n", ns, "--follow", "--reason", "NoToken", "--reason", "NoRule")
	out.until(t, "before-orders-0")
	out.until(t, "before-orders-1")
	feeds["orders-1"] <- line("after-1", "NoRule") + line("other", "Expired")
	out.until(t, "after-1")
	feeds["orders-0"] <- line("after-0", "NoToken")
	out.until(t, "after-0")
	if err := stop(); err != nil {
		t.Errorf("logs that the user ends: %v", err)
	}
	if strings.Contains(out.String(), "other") {
		t.Errorf("a reason that was not asked for:\n%s", out)
	}
}

// TestStatusTellsWhoIsRefused has a real sidecar refuse something, beside one that cannot be asked.
func TestStatusTellsWhoIsRefused(t *testing.T) {
	t.Parallel()
	atCluster(t)
	ns := newNamespace(t)
	issuer := gatetest.NewIssuer("https://corp.example", "one")
	url, address := startSidecarIn(t, issuer, ns)
	newAuthPolicy(t, ns, "orders", v1alpha1.AuthPolicyStatus{})
	newPod(t, ns, "orders-0", "orders", address)
	newPod(t, ns, "orders-1", "orders", "127.0.0.1:1")
	for _, token := range []string{"", "", issuer.Token(time.Now(), map[string]any{"role": "cook"})} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/orders/7", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
	}
	text, _ := atLive(t, "status", "-n", ns)
	t.Logf("what one sees:\n%s", text)
	for _, want := range []string{
		"3 requests refused in the last 10m", "NoToken", "NoRule", "near clerks", "want it in the header Authorization", "explain --request-id ",
		"known of 1 of 2 sidecars", "pod orders-1: ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the status lacks %q", want)
		}
	}
	if text, _ := atLive(t, "status", "-n", ns, "--status-only"); strings.Contains(text, "NoToken") || strings.Contains(text, "known of") {
		t.Errorf("with --status-only:\n%s", text)
	}
	if _, err := atLive(t, "status", "-n", ns, "--since", "0s"); err == nil || !strings.Contains(err.Error(), "--since") {
		t.Errorf("a time that is none: %v", err)
	}
}
