package flow_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// TestSharedSignalsOfATransmitter takes events of a transmitter that signs with jose, pushed (RFC 8935) and polled (RFC 8936), to the app.
func TestSharedSignalsOfATransmitter(t *testing.T) {
	ns := newNamespace(t)
	issuer := startNode(t, "transmitter.mjs", map[string]any{
		"token": "out", "polled": "https://polled.example.com", "pushed": "https://pushed.example.com",
		"push": world.events + "/events/" + ns + "/pushed", "received": "in",
	})
	create(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "stream"},
		StringData: map[string]string{"token": "out", "received": "in"},
	})
	key := newKey(t)
	guarded := newPolicy(t, ns, key)
	guarded.Spec.Issuers[0].Issuer = issuer
	create(t, guarded)
	sources := map[policy.Delivery]*v1alpha1.RevocationSource{}
	for name, delivery := range map[string]policy.Delivery{"pushed": policy.Push, "polled": policy.Poll} {
		s := &v1alpha1.RevocationSource{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
			Spec: policy.RevocationSource{
				Issuer: issuer, Audiences: []string{"https://" + name + ".example.com"}, Keys: &policy.KeySource{JWKSURL: issuer + "/jwks"},
				SharedSignals: &policy.SharedSignals{
					Transmitter: issuer, Delivery: delivery, CredentialsSecretRef: policy.SecretName{Name: "stream"},
				},
			},
		}
		create(t, s)
		sources[delivery] = s
	}
	app, port := newApp(t), freePort()
	pod := newPod(ns, fmt.Sprintf("%d:%d", port, portOf(app.URL)))
	create(t, pod)
	startSidecar(t, pod, containerNamed(t, pod.Spec.InitContainers, "bearerguard"), t.TempDir())
	ask := func(token string) func() string {
		return func() string { return get(t, fmt.Sprintf("http://127.0.0.1:%d/orders", port), token) }
	}
	of := func(user string) string {
		return key.token(t, map[string]any{"iss": issuer, "scope": "orders.read", "sub": user, "sid": "of-" + user, "iat": time.Now().Add(-time.Minute)})
	}
	for delivery, s := range sources {
		eventually(t, string(delivery)+": the stream is verified", sourceConditions(t, s), "Accepted=True Connected=True Programmed=True Ready=True ResolvedRefs=True")
	}
	eventually(t, "the sidecar has its policy", ask(of("zoe")), "200")

	caep, risc := "https://schemas.openid.net/secevent/caep/event-type/", "https://schemas.openid.net/secevent/risc/event-type/"
	user := func(sub string) map[string]any { return map[string]any{"format": "iss_sub", "iss": issuer, "sub": sub} }
	for i, event := range []struct {
		name, to, event, who string
		subject              map[string]any
	}{
		{"a session, pushed", "pushed", caep + "session-revoked", "ann", map[string]any{
			"format": "complex", "user": user("ann"), "session": map[string]any{"format": "opaque", "id": "of-ann"},
		}},
		{"a password, polled", "polled", caep + "credential-change", "ben", user("ben")},
		{"an account, pushed", "pushed", risc + "account-disabled", "cem", user("cem")},
		{"a session, polled", "polled", caep + "session-revoked", "dan", user("dan")},
	} {
		token, began := of(event.who), time.Now()
		expect(t, event.name+": before", ask(token)(), "200")
		emit(t, issuer, map[string]any{"to": "https://" + event.to + ".example.com", "event": event.event, "sub_id": event.subject, "claims": map[string]any{}})
		eventually(t, event.name, ask(token), "401")
		t.Logf("%s: felt after %s", event.name, time.Since(began).Round(time.Millisecond))
		expect(t, fmt.Sprint("others after ", i), ask(of("zoe"))(), "200")
	}
	for delivery, s := range sources {
		eventually(t, string(delivery)+": the status says so", sourceConditions(t, s), "Connected=True Programmed=True Ready=True ResolvedRefs=True")
	}
}

// emit has the transmitter send an event.
func emit(t *testing.T, issuer string, event map[string]any) {
	t.Helper()
	text, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, issuer+"/emit", bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK || strings.Contains(string(body), `"status":`) && !strings.Contains(string(body), `"status":202`) {
		t.Fatalf("the event is answered %d %s", resp.StatusCode, body)
	}
}
