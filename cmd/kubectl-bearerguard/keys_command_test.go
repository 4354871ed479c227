package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/fetch"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/admin"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/exit"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/fleet"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// newController makes a pod of a controller that has these sources.
func newController(t *testing.T, namespace string, sources map[string]fetch.Report) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(admin.Sources{Version: "0.1.0", Time: time.Now(), Sources: sources})
	}))
	t.Cleanup(server.Close)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "bearerguard-controller-0", Labels: map[string]string{
			"app.kubernetes.io/name": "bearerguard", "app.kubernetes.io/component": "controller",
		}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "controller", Image: "bearerguard:0.1.0"}}},
	}
	create(t, pod)
	live.mu.Lock()
	defer live.mu.Unlock()
	live.ports[namespace+"/"+pod.Name] = strings.TrimPrefix(server.URL, "http://")
}

// TestKeysInForce asks a real sidecar which keys it has, by way of the API server's port-forward.
func TestKeysInForce(t *testing.T) {
	t.Parallel()
	atCluster(t)
	ns := newNamespace(t)
	_, address := startSidecarIn(t, gatetest.NewIssuer("https://corp.example", "2026-11"), ns)
	fetched := metav1.NewTime(time.Now().Add(-10 * time.Minute))
	newAuthPolicy(t, ns, "orders", v1alpha1.AuthPolicyStatus{
		Issuers: []v1alpha1.IssuerStatus{{Name: "corp", Keys: 1, State: v1alpha1.KeysCurrent, LastFetched: &fetched}},
	})
	newPod(t, ns, "orders-0", "orders", address)
	newController(t, newNamespace(t), map[string]fetch.Report{
		bundle.SourceID(ns, policy.Issuer{Issuer: "https://login.example.com", Keys: policy.KeySource{Discovery: &policy.Discovery{}}}): {Fetched: time.Now().Add(-90 * time.Second), Next: time.Now().Add(4*time.Minute + 30*time.Second)},
	})
	text, err := atLive(t, "keys", "-n", ns)
	t.Logf("what one sees:\n%s", text)
	for _, want := range []string{"90s ago", "in 4m", "THUMBPRINT", "2026-11", "EdDSA", "OKP Ed25519", "sig"} {
		if !strings.Contains(text, want) {
			t.Errorf("the keys lack %q", want)
		}
	}
	if err != nil {
		t.Error(err)
	}
	var all []fleet.Keys
	text, err = atLive(t, "keys", "-n", ns, "-o", "json")
	if json.Unmarshal([]byte(text), &all) != nil || err != nil || len(all) != 1 || len(all[0].Held) != 1 || all[0].HeldBy != "orders-0" || len(all[0].Held[0].Thumbprint) != 43 {
		t.Errorf("as JSON: %v\n%s", err, text)
	}
	if text, err = atLive(t, "keys", "-n", ns, "--status-only"); err != nil || strings.Contains(text, "THUMBPRINT") {
		t.Errorf("with --status-only: %v\n%s", err, text)
	}
	newAuthPolicy(t, ns, "bills", v1alpha1.AuthPolicyStatus{})
	newPod(t, ns, "bills-0", "bills", "127.0.0.1:1") // nobody answers there
	text, stderr, err := atLiveToo(t, "keys", "-n", ns)
	if !errors.Is(err, exit.ErrNo) || !strings.Contains(text, "unknown") || !strings.Contains(text, "2026-11") || !strings.Contains(stderr, "pod bills-0: ") {
		t.Errorf("one that cannot be asked: %v\n%s%s", err, text, stderr)
	}
}
