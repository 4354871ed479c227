package flow_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
	"github.com/lestrrat-go/jwx/v2/jwt"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// TestALogoutAtTheProviderIsFeltAtTheApp is OpenID Connect Back-Channel Logout from the provider's request to the refusal, and what is left of
// it when the controller and the sidecar restart.
func TestALogoutAtTheProviderIsFeltAtTheApp(t *testing.T) {
	ns := newNamespace(t)
	key := newKey(t)
	create(t, newPolicy(t, ns, key))
	source := newSource(t, ns, key)
	create(t, source)

	app, port, state := newApp(t), freePort(), t.TempDir()
	pod := newPod(ns, fmt.Sprintf("%d:%d", port, portOf(app.URL)))
	create(t, pod)
	sidecar := containerNamed(t, pod.Spec.InitContainers, "bearerguard")
	stop := startSidecar(t, pod, sidecar, state)
	ask := func(token string) func() string {
		return func() string { return get(t, fmt.Sprintf("http://127.0.0.1:%d/orders", port), token) }
	}
	first := key.token(t, map[string]any{"scope": "orders.read", "sid": "s1"})
	second := key.token(t, map[string]any{"scope": "orders.read", "sid": "s2"})
	eventually(t, "the sidecar has its policy", ask(first), "200")
	eventually(t, "the source is served", sourceConditions(t, source), "Accepted=True Connected=Unknown Programmed=True Ready=True ResolvedRefs=True /logout/"+ns+"/login")

	expect(t, "a logout token of another provider", logout(t, ns, newKey(t).logoutToken(t, "s1")), "400")
	expect(t, "an access token as logout token", logout(t, ns, first), "400")
	expect(t, "after both", ask(first)(), "200")

	began := time.Now()
	expect(t, "a log-out", logout(t, ns, key.logoutToken(t, "s1")), "200")
	answered := time.Since(began)
	eventually(t, "it bites", ask(first), "401")
	t.Logf("acknowledged after %s, felt after %s", answered.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	expect(t, "another session of the user", ask(second)(), "200")
	eventually(t, "the status says so", sourceConditions(t, source), "Accepted=True Connected=True Programmed=True Ready=True ResolvedRefs=True /logout/"+ns+"/login 1")

	stop()
	restartController(t)
	startSidecar(t, pod, sidecar, t.TempDir())
	eventually(t, "new processes know it", ask(first), "401")
	expect(t, "and nothing more", ask(second)(), "200")

	var chunks v1alpha1.RevocationChunkList
	if err := world.client.List(t.Context(), &chunks, client.InNamespace(ns)); err != nil || len(chunks.Items) != 1 {
		t.Fatalf("%d chunks, %v", len(chunks.Items), err)
	}
	if o := chunks.Items[0].OwnerReferences; len(o) != 1 || o[0].UID != source.UID {
		t.Errorf("the chunk is owned by %+v; want the source, with which it is to go", o)
	}
}

func TestAMistakeInARevocationSourceIsRefusedByName(t *testing.T) {
	ns := newNamespace(t)
	key := newKey(t)
	for what, c := range map[string]struct {
		change func(*policy.RevocationSource)
		want   string
	}{
		"no audience":        {func(s *policy.RevocationSource) { s.Audiences = nil }, "audiences"},
		"nothing to receive": {func(s *policy.RevocationSource) { s.BackChannelLogout = nil }, "backChannelLogout"},
		"both at once": {func(s *policy.RevocationSource) {
			s.SharedSignals = &policy.SharedSignals{Delivery: policy.Push, CredentialsSecretRef: policy.SecretName{Name: "a"}}
		}, "backChannelLogout"},
		"polling of nobody": {func(s *policy.RevocationSource) {
			s.BackChannelLogout, s.SharedSignals = nil, &policy.SharedSignals{Delivery: policy.Poll, CredentialsSecretRef: policy.SecretName{Name: "a"}}
		}, "transmitter"},
		"an event that there is not": {func(s *policy.RevocationSource) {
			s.BackChannelLogout, s.SharedSignals = nil, &policy.SharedSignals{
				Delivery: policy.Push, CredentialsSecretRef: policy.SecretName{Name: "a"}, Events: []policy.SignalEvent{"logout"},
			}
		}, "spec.sharedSignals.events[0]"},
		"a path with a slash":     {func(s *policy.RevocationSource) { s.BackChannelLogout.Path = "a/b" }, "backChannelLogout.path"},
		"a life of a second":      {func(s *policy.RevocationSource) { s.TokenLifetime = &policy.Duration{Duration: time.Second} }, "spec.tokenLifetime"},
		"two places for keys":     {func(s *policy.RevocationSource) { s.Keys.JWKSURL = "https://a.test" }, "spec.keys"},
		"keys that are none":      {func(s *policy.RevocationSource) { s.Keys.JWKS = "{}" }, "spec.keys.jwks"},
		"discovery of no address": {func(s *policy.RevocationSource) { s.Issuer, s.Keys = "corp", nil }, "spec.issuer"},
		"a shared secret": {func(s *policy.RevocationSource) {
			s.Keys = &policy.KeySource{SecretRef: &policy.KeyRef{Name: "a", Key: "b", Format: policy.FormatHMAC}}
		}, "spec.keys.secretRef"},
	} {
		source := newSource(t, ns, key)
		c.change(&source.Spec)
		if err := world.client.Create(t.Context(), source); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: err = %v; want one that names %s", what, err, c.want)
		}
	}
	source := newSource(t, ns, key)
	create(t, source)
	before := source.DeepCopy()
	source.Spec.Issuer = "https://other.example.com"
	if err := world.client.Patch(t.Context(), source, client.MergeFrom(before)); err == nil || !strings.Contains(err.Error(), "issuer cannot be changed") {
		t.Errorf("another issuer: %v", err)
	}
}

func newSource(t *testing.T, ns string, key signingKey) *v1alpha1.RevocationSource {
	return &v1alpha1.RevocationSource{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "login"},
		Spec: policy.RevocationSource{
			Issuer: issuerURL, Audiences: []string{"shop"}, Keys: &policy.KeySource{JWKS: key.jwks(t)},
			BackChannelLogout: &policy.BackChannelLogout{},
		},
	}
}

// sourceConditions returns what a source's status says: its conditions, endpoint and entries.
func sourceConditions(t *testing.T, s *v1alpha1.RevocationSource) func() string {
	return func() string {
		if err := world.client.Get(t.Context(), client.ObjectKeyFromObject(s), s); err != nil {
			return err.Error()
		}
		var out []string
		for _, c := range s.Status.Conditions {
			out = append(out, fmt.Sprintf("%s=%s", c.Type, c.Status))
		}
		slices.Sort(out)
		return fmt.Sprintf("%s %s %d", strings.Join(out, " "), s.Status.Endpoint, s.Status.Entries)
	}
}

// logoutToken signs a logout token of a session.
func (k signingKey) logoutToken(t *testing.T, sid string) string {
	t.Helper()
	token, err := jwt.NewBuilder().Issuer(issuerURL).Audience([]string{"shop"}).Subject("alice").IssuedAt(time.Now()).
		Expiration(time.Now().Add(time.Minute)).JwtID(sid+time.Now().String()).Claim("sid", sid).
		Claim("events", map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}).Build()
	if err != nil {
		t.Fatal(err)
	}
	headers := jws.NewHeaders()
	_ = headers.Set(jws.TypeKey, "logout+jwt")
	signed, err := jwt.Sign(token, jwt.WithKey(jwa.RS256, k.private, jws.WithProtectedHeaders(headers)))
	if err != nil {
		t.Fatal(err)
	}
	return string(signed)
}

// logout posts a logout token as a provider does, and returns "CODE BODY".
func logout(t *testing.T, ns, token string) string {
	t.Helper()
	ca, err := os.ReadFile(world.ca)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	body := url.Values{"logout_token": {token}}.Encode()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, world.events+"/logout/"+ns+"/login", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	if response.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("Cache-Control: %q", response.Header.Get("Cache-Control"))
	}
	return fmt.Sprintf("%d %s", response.StatusCode, text)
}
