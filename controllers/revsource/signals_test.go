package revsource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/fetch"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/revstore"
)

const (
	revokedEvent      = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
	verificationEvent = "https://schemas.openid.net/secevent/ssf/event-type/verification"
	setType           = "application/secevent+jwt"
)

func (p *provider) set(t *testing.T, with map[string]any) string {
	t.Helper()
	claims := map[string]any{
		"exp": nil, "events": map[string]any{revokedEvent: map[string]any{}},
		"sub_id": map[string]any{"format": "iss_sub", "iss": issuer, "sub": "alice"},
	}
	for name, v := range with {
		claims[name] = v
	}
	return p.token(t, "secevent+jwt", claims)
}

// secrets has one Secret, or none.
type secrets struct {
	client.Reader
	mu   sync.Mutex
	data map[string][]byte
}

func (s *secrets) set(data map[string][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data = data
}

func (s *secrets) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.data == nil || key.Name != "stream" {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, key.Name)
	}
	into.(*corev1.Secret).Data = s.data
	return nil
}

func signalSource(p *provider, signals policy.SharedSignals) *v1alpha1.RevocationSource {
	s := newSource("login", policy.KeySource{JWKS: p.jwks()})
	s.Spec.BackChannelLogout = nil
	signals.CredentialsSecretRef.Name = "stream"
	s.Spec.SharedSignals = &signals
	return s
}

func pushSET(r http.Handler, authorization, kind, body string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodPost, "/events/shop/login", strings.NewReader(body))
	req.Header.Set("Content-Type", kind)
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w
}

func TestPushedEvents(t *testing.T) {
	t.Parallel()
	p := newProvider(t, "k")
	for name, tc := range map[string]struct {
		authorization, kind, body string
		want                      int
		code                      string
		stored                    int
	}{
		"as RFC 8935 has it":       {"Bearer in", setType, p.set(t, nil), 202, "", 1},
		"the scheme in lower case": {"bearer in", setType, p.set(t, nil), 202, "", 1},
		"nothing to take back":     {"Bearer in", setType, p.set(t, map[string]any{"events": map[string]any{"urn:x": map[string]any{}}}), 202, "", 0},
		"a verification":           {"Bearer in", setType, p.set(t, map[string]any{"events": map[string]any{verificationEvent: map[string]any{"state": "bearerguard:u1"}}}), 202, "", 0},
		"another's verification":   {"Bearer in", setType, p.set(t, map[string]any{"events": map[string]any{verificationEvent: map[string]any{"state": "bearerguard:u2"}}}), 400, codeRequest, 0},
		"without Authorization":    {"", setType, p.set(t, nil), 401, codeAuthentication, 0},
		"with another token":       {"Bearer inn", setType, p.set(t, nil), 401, codeAuthentication, 0},
		"with another scheme":      {"Basic in", setType, p.set(t, nil), 401, codeAuthentication, 0},
		"as a form":                {"Bearer in", form, "logout_token=" + p.set(t, nil), 415, codeRequest, 0},
		"of another issuer":        {"Bearer in", setType, p.set(t, map[string]any{"iss": "https://evil.example.com"}), 400, codeIssuer, 0},
		"for another receiver":     {"Bearer in", setType, p.set(t, map[string]any{"aud": "mail"}), 400, codeAudience, 0},
		"of another key":           {"Bearer in", setType, newProvider(t, "k").set(t, nil), 400, codeKey, 0},
		"of an unknown key":        {"Bearer in", setType, newProvider(t, "z").set(t, nil), 400, codeKey, 0},
		"a logout token":           {"Bearer in", setType, p.logout(t, nil), 400, codeRequest, 0},
		"garbage":                  {"Bearer in", setType, "x", 400, codeRequest, 0},
		"100 KiB":                  {"Bearer in", setType, strings.Repeat("x", 100<<10), 413, codeRequest, 0},
	} {
		store := &shelf{}
		r := receive(t, store, signalSource(p, policy.SharedSignals{Delivery: policy.Push}))
		r.credentials.reader = &secrets{data: map[string][]byte{"received": []byte("in")}}
		w := pushSET(r, tc.authorization, tc.kind, tc.body)
		var told setError
		_ = json.Unmarshal(w.Body.Bytes(), &told)
		if w.Code != tc.want || told.Err != tc.code || store.has() != tc.stored {
			t.Errorf("%s: %d %s, %d stored; want %d %s, %d", name, w.Code, w.Body, store.has(), tc.want, tc.code, tc.stored)
		}
		if tc.want == 202 && w.Body.Len() > 0 {
			t.Errorf("%s: has a body", name)
		}
	}
}

func TestPushedEventsThatCannotBeTakenNow(t *testing.T) {
	t.Parallel()
	p, store, kept := newProvider(t, "k"), &shelf{}, &secrets{}
	r := receive(t, store, signalSource(p, policy.SharedSignals{Delivery: policy.Push}))
	r.credentials.reader = kept
	at := time.Now()
	r.credentials.now = func() time.Time { return at }
	token := p.set(t, nil)
	if w := pushSET(r, "Bearer in", setType, token); w.Code != 503 {
		t.Errorf("without the Secret: %d", w.Code)
	}
	kept.set(map[string][]byte{"received": []byte("in")})
	at = at.Add(credentialsAge + 1)
	store.set(revstore.ErrNoRoom)
	if w := pushSET(r, "Bearer in", setType, token); w.Code != 503 || w.Header().Get("Retry-After") != "60" {
		t.Errorf("without room: %d", w.Code)
	}
	store.set(nil)
	for range 2 { // the second one is the first once more
		if w := pushSET(r, "Bearer in", setType, token); w.Code != 202 {
			t.Errorf("sent again: %d %s", w.Code, w.Body)
		}
	}
	if store.has() != 1 {
		t.Errorf("%d entries", store.has())
	}
	kept.set(map[string][]byte{"received": []byte("new")})
	at = at.Add(credentialsNew + 1)
	if w := pushSET(r, "Bearer new", setType, p.set(t, nil)); w.Code != 202 {
		t.Errorf("after the token was changed: %d", w.Code)
	}
	if w := pushSET(r, "Bearer in", setType, token); w.Code != 401 {
		t.Errorf("the former token: %d", w.Code)
	}
}

// transmitter is one with a stream for polling.
type transmitter struct {
	*httptest.Server
	provider *provider

	mu       sync.Mutex
	sets     map[string]string   // guarded by mu; not acknowledged yet
	errs     map[string]setError // guarded by mu
	verifies int                 // guarded by mu
	method   string              // guarded by mu
}

func newTransmitter(t *testing.T, p *provider) *transmitter {
	t.Helper()
	x := &transmitter{provider: p, sets: map[string]string{}, errs: map[string]setError{}, method: "urn:ietf:rfc:8936"}
	x.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { x.serve(t, w, req) }))
	t.Cleanup(x.Close)
	return x
}

func (x *transmitter) serve(t *testing.T, w http.ResponseWriter, req *http.Request) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if req.Header.Get("Authorization") != "Bearer out" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	answer := func(v any) { _ = json.NewEncoder(w).Encode(v) }
	switch req.URL.Path {
	case "/.well-known/ssf-configuration/one":
		answer(map[string]any{"issuer": x.URL + "/one", "configuration_endpoint": x.URL + "/streams", "verification_endpoint": x.URL + "/verify"})
	case "/streams":
		answer([]any{
			map[string]any{"stream_id": "s", "aud": []string{"shop"}, "delivery": map[string]string{"method": x.method, "endpoint_url": x.URL + "/poll"}},
			map[string]any{"stream_id": "other", "aud": "mail", "delivery": map[string]string{"method": x.method, "endpoint_url": x.URL + "/other"}},
		})
	case "/verify":
		var asked struct {
			ID    string `json:"stream_id"`
			State string `json:"state"`
		}
		body, _ := io.ReadAll(req.Body)
		if json.Unmarshal(body, &asked) != nil || asked.ID != "s" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		x.verifies++
		x.sets["verification"] = x.provider.set(t, map[string]any{"jti": "verification", "events": map[string]any{verificationEvent: map[string]any{"state": asked.State}}})
		w.WriteHeader(http.StatusNoContent)
	case "/poll":
		var asked struct {
			Ack  []string            `json:"ack"`
			Errs map[string]setError `json:"setErrs"`
		}
		_ = json.NewDecoder(req.Body).Decode(&asked)
		for _, jti := range asked.Ack {
			delete(x.sets, jti)
		}
		for jti, e := range asked.Errs {
			x.errs[jti] = e
			delete(x.sets, jti)
		}
		answer(map[string]any{"sets": x.sets})
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// add puts events into the stream.
func (x *transmitter) add(t *testing.T, jti string, with map[string]any) {
	t.Helper()
	claims := map[string]any{"jti": jti}
	for name, v := range with {
		claims[name] = v
	}
	token := x.provider.set(t, claims)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sets[jti] = token
}

func (x *transmitter) left() (n int, errs map[string]setError) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.sets), x.errs
}

func follow(t *testing.T, x *transmitter, store putter, delivery policy.Delivery) *streams {
	t.Helper()
	r := receive(t, store, signalSource(x.provider, policy.SharedSignals{Transmitter: x.URL + "/one", Delivery: delivery}))
	r.credentials.reader = &secrets{data: map[string][]byte{"received": []byte("in"), "token": []byte("out")}}
	s := &streams{
		receiver: r, now: time.Now,
		fetch: fetch.Options{AllowHTTP: true, AllowNets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return s
}

func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for !ok() {
		select {
		case <-look.C:
		case <-ctx.Done():
			t.Fatal(what)
		}
	}
}

func TestPolledEvents(t *testing.T) {
	t.Parallel()
	x, store := newTransmitter(t, newProvider(t, "k")), &shelf{}
	for i := range 30 {
		x.add(t, fmt.Sprint("j", i), map[string]any{"sub_id": map[string]any{"format": "opaque", "id": fmt.Sprint(i)}})
	}
	x.add(t, "wrong", map[string]any{"aud": "mail"})
	s := follow(t, x, store, policy.Poll)
	soon(t, "events are fetched, acknowledged, and gone", func() bool { n, _ := x.left(); return n == 0 })
	if store.has() != 30 {
		t.Errorf("%d entries, want 30", store.has())
	}
	if _, errs := x.left(); errs["wrong"].Err != codeAudience || len(errs) != 1 {
		t.Errorf("errors told: %+v", errs)
	}
	soon(t, "the stream stands well", func() bool { st := s.of("u1"); return st.err == nil && !st.fetched.IsZero() })
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.verifies != 1 {
		t.Errorf("verified %d times", x.verifies)
	}
	if got := testutil.ToFloat64(s.receiver.metrics.events.WithLabelValues("shop", "login", resultStored)); got != 30 {
		t.Errorf("%v counted", got)
	}
}

func TestPolledEventsAreAcknowledgedOnlyWhenStored(t *testing.T) {
	t.Parallel()
	x, store := newTransmitter(t, newProvider(t, "k")), &shelf{err: fmt.Errorf("%w: etcd is away", revstore.ErrNotStored)}
	x.add(t, "j", nil)
	s := follow(t, x, store, policy.Poll)
	soon(t, "it is told that nothing can be stored", func() bool { return errors.Is(s.of("u1").err, revstore.ErrNotStored) })
	if n, errs := x.left(); n == 0 || len(errs) > 0 {
		t.Errorf("acknowledged though not stored: %d left, errors %v", n, errs)
	}
	store.set(nil)
	soon(t, "it is stored and acknowledged", func() bool { n, _ := x.left(); return n == 0 && store.has() == 1 })
}

func TestTransmittersThatAreNotWhatTheyShouldBe(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*transmitter)
		want   string
	}{
		"with streams for others": {func(x *transmitter) { x.method = "urn:ietf:rfc:8935" }, "has 0 streams with delivery Poll"},
		"that is away":            {func(x *transmitter) { x.Close() }, "connection refused"},
	} {
		x := newTransmitter(t, newProvider(t, "k"))
		tc.change(x)
		s := follow(t, x, &shelf{}, policy.Poll)
		soon(t, name+": is told of", func() bool { err := s.of("u1").err; return err != nil && strings.Contains(err.Error(), tc.want) })
	}
}

func TestAPushedStreamIsVerified(t *testing.T) {
	t.Parallel()
	x := newTransmitter(t, newProvider(t, "k"))
	x.method = "urn:ietf:rfc:8935"
	s := follow(t, x, &shelf{}, policy.Push)
	soon(t, "it is asked for", func() bool { return !s.of("u1").asked.IsZero() })
}
