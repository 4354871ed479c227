package revsource

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/fair"
	"github.com/bearerguard/bearerguard/api/fetch"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/keys"
	"github.com/bearerguard/bearerguard/controllers/revstore"
)

const (
	issuer      = "https://login.example.com"
	backChannel = "http://schemas.openid.net/event/backchannel-logout"
)

// shelf is a store in memory.
type shelf struct {
	mu      sync.Mutex
	records []revoked.Record
	err     error
}

func (s *shelf) Put(_ context.Context, _ revstore.Source, records []revoked.Record, _ time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.records = append(s.records, records...)
	}
	return s.err
}

func (s *shelf) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *shelf) has() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.records)
}

// provider signs, and serves its keys.
type provider struct {
	mu      sync.Mutex
	key     jwk.Key
	fetches atomic.Int32
}

func newProvider(t *testing.T, kid string) *provider {
	t.Helper()
	p := &provider{}
	p.rotate(t, kid)
	return p
}

func (p *provider) rotate(t *testing.T, kid string) {
	t.Helper()
	raw, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.key, err = jwk.FromRaw(raw); err != nil {
		t.Fatal(err)
	}
	_ = p.key.Set(jwk.KeyIDKey, kid)
}

func (p *provider) jwks() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	public, _ := p.key.PublicKey()
	text, _ := json.Marshal(map[string]any{"keys": []any{public}})
	return string(text)
}

func (p *provider) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	p.fetches.Add(1)
	_, _ = w.Write([]byte(p.jwks()))
}

// token signs claims; those that are nil are left out.
func (p *provider) token(t *testing.T, typ string, claims map[string]any) string {
	t.Helper()
	now := time.Now()
	all := map[string]any{"iss": issuer, "aud": "shop", "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "jti": rand.Text()}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	headers := jws.NewHeaders()
	_ = headers.Set(jws.TypeKey, typ)
	p.mu.Lock()
	defer p.mu.Unlock()
	signed, err := jws.Sign(text, jws.WithKey(jwa.ES256, p.key, jws.WithProtectedHeaders(headers)))
	if err != nil {
		t.Fatal(err)
	}
	return string(signed)
}

func (p *provider) logout(t *testing.T, with map[string]any) string {
	t.Helper()
	claims := map[string]any{"sub": "alice", "sid": "s1", "events": map[string]any{backChannel: map[string]any{}}}
	maps.Copy(claims, with)
	return p.token(t, "logout+jwt", claims)
}

// reader has no Secrets and no ConfigMaps.
type reader struct{ client.Reader }

// receive makes a receiver with sources of namespace shop whose keys have been read, or tried to.
func receive(t *testing.T, store putter, sources ...*v1alpha1.RevocationSource) *Receiver {
	t.Helper()
	r, settled := begin(t, store, sources...)
	for !r.keys.Settled("shop") {
		<-settled
	}
	return r
}

// begin is receive without waiting for keys.
func begin(t *testing.T, store putter, sources ...*v1alpha1.RevocationSource) (r *Receiver, settled chan struct{}) {
	t.Helper()
	r = newReceiver(store, reader{}, NewMetrics(), logr.Discard())
	settled = make(chan struct{}, 100)
	resolver, err := keys.New(keys.Options{
		Reader: reader{}, Cluster: func(context.Context) (string, []byte, error) { return "", nil, errors.New("none") },
		Fetch:   fetch.Options{AllowHTTP: true, AllowNets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
		Checked: r.fresh.checked, Changed: func(string) { settled <- struct{}{} },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(resolver.Close)
	r.keys = resolver
	all := prepare(sources, true)
	resolver.Want("shop", wanted(all))
	r.sources.set("shop", all)
	return r, settled
}

// A controller that has just started reads keys first, and many a provider sends a log-out once.
func TestAnEventWaitsForTheFirstKeys(t *testing.T) {
	t.Parallel()
	p, store := newProvider(t, "k"), &shelf{}
	asked, answer := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		close(asked)
		<-answer
		p.ServeHTTP(w, req)
	}))
	defer server.Close()
	r, _ := begin(t, store, newSource("login", policy.KeySource{JWKSURL: server.URL}))
	<-asked
	done := make(chan *httptest.ResponseRecorder)
	go func() { done <- postLogout(r, p.logout(t, nil)) }()
	select {
	case w := <-done:
		t.Errorf("is answered %d before there are keys", w.Code)
		close(answer)
		return
	case <-time.After(2 * keysPoll):
	}
	close(answer)
	if w := <-done; w.Code != 200 || store.has() != 1 {
		t.Errorf("with keys: %d %s", w.Code, w.Body)
	}
}

func newSource(name string, keys policy.KeySource) *v1alpha1.RevocationSource {
	return &v1alpha1.RevocationSource{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: "u1"},
		Spec: policy.RevocationSource{
			Issuer: issuer, Audiences: []string{"shop"}, Keys: &keys, BackChannelLogout: &policy.BackChannelLogout{},
		},
	}
}

func post(r http.Handler, path, kind, body string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	req.Header.Set("Content-Type", kind)
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w
}

const form = "application/x-www-form-urlencoded"

func postLogout(r http.Handler, token string) *httptest.ResponseRecorder {
	return post(r, "/logout/shop/login", form, url.Values{"logout_token": {token}}.Encode())
}

func TestLogoutRequests(t *testing.T) {
	t.Parallel()
	p := newProvider(t, "k")
	good := func() string { return "logout_token=" + p.logout(t, nil) }
	for name, tc := range map[string]struct {
		method, path, kind, body string
		want                     int
	}{
		"as the specification has it":       {"POST", "/logout/shop/login", form, good(), 200},
		"with a charset":                    {"POST", "/logout/shop/login", form + "; charset=utf-8", good(), 200},
		"with more members":                 {"POST", "/logout/shop/login", form, "a=b&" + good(), 200},
		"a GET":                             {"GET", "/logout/shop/login", "", "", 405},
		"JSON":                              {"POST", "/logout/shop/login", "application/json", "{}", 415},
		"no token":                          {"POST", "/logout/shop/login", form, "a=b", 400},
		"two tokens":                        {"POST", "/logout/shop/login", form, good() + "&" + good(), 400},
		"the token in the query alone":      {"POST", "/logout/shop/login?" + good(), form, "", 400},
		"100 KiB":                           {"POST", "/logout/shop/login", form, "logout_token=" + strings.Repeat("a", 100<<10), 413},
		"another namespace":                 {"POST", "/logout/pay/login", form, good(), 404},
		"another source":                    {"POST", "/logout/shop/other", form, good(), 404},
		"a path that goes round":            {"POST", "/logout/pay/../shop/login", form, good(), 404},
		"a slash more":                      {"POST", "/logout/shop/login/", form, good(), 404},
		"a token that is none":              {"POST", "/logout/shop/login", form, "logout_token=x", 400},
		"a token of another client":         {"POST", "/logout/shop/login", form, "logout_token=" + p.logout(t, map[string]any{"aud": "mail"}), 400},
		"a token of an unknown, inline key": {"POST", "/logout/shop/login", form, "logout_token=" + newProvider(t, "z").logout(t, nil), 400},
	} {
		store := &shelf{}
		r := receive(t, store, newSource("login", policy.KeySource{JWKS: p.jwks()}))
		req := httptest.NewRequest(tc.method, tc.path, strings.NewReader(tc.body))
		req.Header.Set("Content-Type", tc.kind)
		w := httptest.NewRecorder()
		r.ServeHTTP(w, req)
		if w.Code != tc.want {
			t.Errorf("%s: %d %s, want %d", name, w.Code, w.Body, tc.want)
		}
		if stored := store.has() > 0; stored != (tc.want == 200) {
			t.Errorf("%s: stored %v", name, stored)
		}
		if tc.want == 200 && w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: Cache-Control %q", name, w.Header().Get("Cache-Control"))
		}
		if tc.want == 400 && !strings.HasPrefix(w.Body.String(), `{"error":"invalid_request","error_description":"`) {
			t.Errorf("%s: %s", name, w.Body)
		}
	}
}

func TestReplayedLogoutTokens(t *testing.T) {
	t.Parallel()
	p, store := newProvider(t, "k"), &shelf{}
	r := receive(t, store, newSource("login", policy.KeySource{JWKS: p.jwks()}))
	token := p.logout(t, map[string]any{"jti": "j"})
	if w := postLogout(r, token); w.Code != 200 {
		t.Fatal(w.Code, w.Body)
	}
	for range 3 { // whose answer was lost
		if w := postLogout(r, token); w.Code != 200 {
			t.Errorf("the same token: %d %s", w.Code, w.Body)
		}
	}
	if w := postLogout(r, p.logout(t, map[string]any{"jti": "j", "sub": "bob", "sid": nil})); w.Code != 400 {
		t.Errorf("another token with its jti: %d", w.Code)
	}
	if store.has() != 1 {
		t.Errorf("%d entries, want 1", store.has())
	}
	for result, want := range map[string]float64{resultStored: 1, resultDuplicate: 3, resultRefused: 1} {
		if got := testutil.ToFloat64(r.metrics.events.WithLabelValues("shop", "login", result)); got != want {
			t.Errorf("%v counted as %s, want %v", got, result, want)
		}
	}
}

func TestAnEventThatIsNotStoredIsToBeSentAgain(t *testing.T) {
	t.Parallel()
	p, store := newProvider(t, "k"), &shelf{}
	r := receive(t, store, newSource("login", policy.KeySource{JWKS: p.jwks()}))
	token := p.logout(t, nil)
	for _, err := range []error{revstore.ErrNoRoom, revstore.ErrBusy, fmt.Errorf("%w: etcd", revstore.ErrNotStored), context.DeadlineExceeded} {
		store.set(err)
		if w := postLogout(r, token); w.Code != 503 || w.Header().Get("Retry-After") == "" {
			t.Errorf("%v: %d, Retry-After %q", err, w.Code, w.Header().Get("Retry-After"))
		}
	}
	store.set(nil)
	if w := postLogout(r, token); w.Code != 200 || store.has() != 1 {
		t.Errorf("sent again: %d %s", w.Code, w.Body)
	}
}

func TestKeysThatAreNotThereOrNew(t *testing.T) {
	t.Parallel()
	p, store := newProvider(t, "k1"), &shelf{}
	server := httptest.NewServer(p)
	defer server.Close()
	r := receive(t, store, newSource("login", policy.KeySource{JWKSURL: server.URL}))
	p.rotate(t, "k2")
	if w := postLogout(r, p.logout(t, nil)); w.Code != 200 {
		t.Errorf("of a key that is new: %d %s", w.Code, w.Body)
	}
	before := p.fetches.Load()
	var all sync.WaitGroup
	stranger := newProvider(t, "k3")
	for range 50 { // a flood of unknown keys
		token := stranger.logout(t, nil)
		all.Go(func() {
			if w := postLogout(r, token); w.Code == 200 {
				t.Error("of a stranger: taken")
			}
		})
	}
	all.Wait()
	if n := p.fetches.Load() - before; n > fetch.Burst+2 {
		t.Errorf("50 tokens of unknown keys made %d fetches", n)
	}
	server.Close()
	r = receive(t, store, newSource("login", policy.KeySource{JWKSURL: server.URL}))
	if w := postLogout(r, p.logout(t, nil)); w.Code != 503 {
		t.Errorf("without keys: %d", w.Code)
	}
}

func TestWhoWaitsForNewKeysInVainPaysForIt(t *testing.T) {
	t.Parallel()
	p, stranger, store := newProvider(t, "k"), newProvider(t, "z"), &shelf{}
	asked, answer := make(chan struct{}, 10), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if p.fetches.Load() > 0 {
			asked <- struct{}{}
			<-answer
		}
		p.ServeHTTP(w, req)
	}))
	defer server.Close()
	defer close(answer)
	r := receive(t, store, newSource("login", policy.KeySource{JWKSURL: server.URL}))
	at := time.Now()
	r.now = func() time.Time { return at }
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/logout/shop/login", strings.NewReader("logout_token="+stranger.logout(t, nil)))
	req.Header.Set("Content-Type", form)
	w, done := httptest.NewRecorder(), make(chan struct{})
	go func() {
		defer close(done)
		r.ServeHTTP(w, req)
	}()
	<-asked
	leave()
	<-done
	if w.Code != 503 {
		t.Errorf("of a key that cannot be looked for: %d %s", w.Code, w.Body)
	}
	if left, want := r.shares.of[fair.Place(req.RemoteAddr)].TokensAt(at), float64(requestsAtOnce-1-refusedCost); left != want {
		t.Errorf("the address has %v left of its share, want %v", left, want)
	}
	if n := testutil.ToFloat64(r.metrics.events.WithLabelValues("shop", "login", resultUnavailable)); n != 1 {
		t.Errorf("%v counted as unavailable", n)
	}
}

func TestWhoSendsGarbageHasLittleShare(t *testing.T) {
	t.Parallel()
	p, store := newProvider(t, "k"), &shelf{}
	r := receive(t, store, newSource("login", policy.KeySource{JWKS: p.jwks()}))
	at := time.Now()
	r.now = func() time.Time { return at }
	refused, limited := 0, 0
	for range 1000 {
		switch w := postLogout(r, "x.y.z"); w.Code {
		case 400:
			refused++
		case 429:
			limited++
		}
	}
	if refused > requestsAtOnce/refusedCost || limited == 0 {
		t.Errorf("of 1000 %d were looked at and %d were not", refused, limited)
	}
	req := httptest.NewRequest(http.MethodPost, "/logout/shop/login", strings.NewReader("logout_token="+p.logout(t, nil)))
	req.Header.Set("Content-Type", form)
	req.RemoteAddr = "198.51.100.7:1"
	w := httptest.NewRecorder()
	if r.ServeHTTP(w, req); w.Code != 200 {
		t.Errorf("another address: %d", w.Code)
	}
	for i := range 3 * maxAddresses {
		r.shares.take(fair.Place(fmt.Sprintf("10.%d.%d.1:1", i>>8, i&255)), 1, at)
	}
	if len(r.shares.of) > maxAddresses {
		t.Errorf("%d addresses are remembered", len(r.shares.of))
	}
}

func TestOfTwoSourcesWithOnePathTheOlderHasIt(t *testing.T) {
	t.Parallel()
	jwks := policy.KeySource{JWKS: newProvider(t, "k").jwks()}
	older, newer := newSource("b", jwks), newSource("a", jwks)
	older.Spec.BackChannelLogout.Path, newer.Spec.BackChannelLogout.Path = "x", "x"
	newer.UID, newer.CreationTimestamp = "u2", metav1.NewTime(older.CreationTimestamp.Add(time.Hour))
	for _, order := range [][]*v1alpha1.RevocationSource{{older, newer}, {newer, older}} {
		for _, s := range prepare(order, true) {
			if want := s.ref.Name == "a"; (s.reason == v1alpha1.ReasonPathConflict) != want {
				t.Errorf("%s: %s %v", s.ref.Name, s.reason, s.problem)
			}
		}
	}
	for _, s := range prepare([]*v1alpha1.RevocationSource{older}, false) {
		if s.reason != v1alpha1.ReasonReceiverDisabled {
			t.Errorf("without a port: %s", s.reason)
		}
	}
}

func TestTheMemoryOfTokensIsBounded(t *testing.T) {
	t.Parallel()
	m := newMemory()
	for i := range 5 * maxRemembered {
		k := tokenKey(fmt.Sprint(i))
		if !m.claim(k, k) || !m.has(k) {
			t.Fatal("is forgotten at once")
		}
	}
	if n := len(m.now) + len(m.last); n > 2*maxRemembered {
		t.Errorf("%d are remembered", n)
	}
}
