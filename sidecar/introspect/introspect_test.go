package introspect_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/credential"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/introspect"
)

const secretText = "s3cret/+ of the test"

var client = netip.MustParseAddr("192.0.2.1")

// loopback is what an operator allows so that tests can be asked.
func loopback() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

// open returns an endpoint at a TLS server; change may alter how it is asked.
func open(t *testing.T, o introspect.Options, h http.HandlerFunc, change ...func(*policy.Issuer, *credential.Credential)) *introspect.Endpoint {
	t.Helper()
	server := httptest.NewTLSServer(h)
	t.Cleanup(server.Close)
	spec := policy.Issuer{Name: "corp", Issuer: server.URL, Introspection: &policy.Introspection{URL: server.URL + "/introspect"}}
	cred := credential.Credential{ClientID: "side car", ClientSecret: secretText, Rules: credential.Rules{
		CA: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})), AllowNets: loopback(),
	}}
	for _, c := range change {
		c(&spec, &cred)
	}
	all, err := introspect.NewPool(o).Open([]introspect.Wanted{{Issuer: spec, Credential: cred.Encode()}})
	if err != nil {
		t.Fatal(err)
	}
	return all[0]
}

func answer(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	fmt.Fprint(w, body)
}

func TestTheQuestionIsThatOfTheStandard(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	private := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	for auth, check := range map[policy.IntrospectionAuth]func(r *http.Request) error{
		policy.AuthBasic: func(r *http.Request) error {
			id, secret, _ := r.BasicAuth()
			if id != "side+car" || secret != url.QueryEscape(secretText) || len(r.PostForm) != 2 {
				return errors.New("not Basic as RFC 6749 section 2.3.1 has it")
			}
			return nil
		},
		policy.AuthPost: func(r *http.Request) error {
			if r.PostForm.Get("client_id") != "side car" || r.PostForm.Get("client_secret") != secretText || r.Header.Get("Authorization") != "" {
				return errors.New("the credential is not in the body alone")
			}
			return nil
		},
		policy.AuthPrivateKeyJWT: func(r *http.Request) error {
			parts := strings.Split(r.PostForm.Get("client_assertion"), ".")
			if len(parts) != 3 || r.PostForm.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
				return errors.New("no assertion")
			}
			var claims struct {
				Iss, Sub, Aud, Jti string
				Iat, Exp           int64
			}
			text, _ := base64.RawURLEncoding.DecodeString(parts[1])
			if err := json.Unmarshal(text, &claims); err != nil {
				return err
			}
			if claims.Iss != "side car" || claims.Sub != "side car" || claims.Jti == "" || claims.Exp-claims.Iat > 60 || claims.Aud != "https://"+r.Host {
				return fmt.Errorf("claims are %+v", claims)
			}
			return nil
		},
	} {
		t.Run(string(auth), func(t *testing.T) {
			t.Parallel()
			var wrong atomic.Pointer[error]
			e := open(t, introspect.Options{}, func(w http.ResponseWriter, r *http.Request) {
				err := r.ParseForm()
				switch {
				case err != nil:
				case r.Method != http.MethodPost || r.URL.Path != "/introspect" || r.Header.Get("Accept") != "application/json":
					err = fmt.Errorf("asked %s %s", r.Method, r.URL.Path)
				case r.PostForm.Get("token") != "t0ken" || r.PostForm.Get("token_type_hint") != "access_token":
					err = errors.New("asked about another token")
				case r.Header.Get("Idempotency-Key") != "":
					err = errors.New("Idempotency-Key was sent")
				default:
					err = check(r)
				}
				if err != nil {
					wrong.Store(&err)
				}
				answer(w, `{"active":true}`)
			}, func(i *policy.Issuer, c *credential.Credential) {
				i.Introspection.Auth = auth
				c.PrivateKey = private
			})
			got, err := e.Ask(t.Context(), client, "t0ken")
			if err != nil || got.Body != `{"active":true}` || got.Signed {
				t.Errorf("%+v, %v", got, err)
			}
			if err := wrong.Load(); err != nil {
				t.Error(*err)
			}
		})
	}
}

func TestAnEndpointThatLies(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		handler http.HandlerFunc
		change  func(*policy.Issuer, *credential.Credential)
		want    introspect.Result
	}{
		"an answer of more than 64 KiB": {want: introspect.TooLarge, handler: func(w http.ResponseWriter, _ *http.Request) {
			answer(w, `{"active":true,"x":"`+strings.Repeat("x", introspect.MaxBytes)+`"}`)
		}},
		"an answer without end": {want: introspect.TooLarge, handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			for r.Context().Err() == nil {
				if _, err := w.Write(bytes.Repeat([]byte(" "), 4096)); err != nil {
					return
				}
			}
		}},
		"an answer that is cut off": {want: introspect.Unreachable, handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, `{"active":true}`)
		}},
		"HTML": {want: introspect.Garbage, handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, `{"active":true}`)
		}},
		"no media type": {want: introspect.Garbage, handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			fmt.Fprint(w, `{"active":true}`)
		}},
		"a signed answer that nobody asked for": {want: introspect.Garbage, handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/token-introspection+jwt")
			fmt.Fprint(w, `a.b.c`)
		}},
		"a plain answer where a signed one is wanted": {want: introspect.Garbage,
			change:  func(i *policy.Issuer, _ *credential.Credential) { i.Introspection.SignedResponse = true },
			handler: func(w http.ResponseWriter, _ *http.Request) { answer(w, `{"active":true}`) }},
		"a compressed answer": {want: introspect.Garbage, handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			answer(w, `{"active":true}`)
		}},
		"a redirect, which would take the token elsewhere": {want: introspect.Status, handler: func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/introspect" {
				t.Error("a redirect was followed")
			}
			w.Header().Set("Location", "/other")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}},
		"201 with an answer": {want: introspect.Status, handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusCreated)
			fmt.Fprint(w, `{"active":true}`)
		}},
		"401, our credential is wrong": {want: introspect.Status, handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }},
		"500":                          {want: introspect.Status, handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }},
		"a certificate of another authority": {want: introspect.Unreachable,
			change:  func(_ *policy.Issuer, c *credential.Credential) { c.CA = "" },
			handler: func(w http.ResponseWriter, _ *http.Request) { answer(w, `{"active":true}`) }},
		"an address that the operator did not allow": {want: introspect.Unreachable,
			change:  func(_ *policy.Issuer, c *credential.Credential) { c.AllowNets = nil },
			handler: func(w http.ResponseWriter, _ *http.Request) { answer(w, `{"active":true}`) }},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			var seen []introspect.Result
			change := c.change
			if change == nil {
				change = func(*policy.Issuer, *credential.Credential) {}
			}
			e := open(t, introspect.Options{Observe: func(r introspect.Result, _ time.Duration) { seen = append(seen, r) }}, c.handler, change)
			got, err := e.Ask(t.Context(), client, "t0ken-of-somebody")
			var f *introspect.Failure
			if !errors.As(err, &f) || f.Result != c.want || got.Body != "" {
				t.Fatalf("%+v, %v; want %s", got, err, c.want)
			}
			for _, secret := range []string{"t0ken", "s3cret", "side"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error holds %q: %v", secret, err)
				}
			}
			if len(seen) != 1 || seen[0] != c.want {
				t.Errorf("counted %v", seen)
			}
		})
	}
}

// TestAnEndpointThatCannotBeUsed says so to whoever asks it, and takes nothing from the others.
func TestAnEndpointThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	const plain, secure = "http://login.example.com/introspect", "https://login.example.com/introspect"
	fine := credential.Credential{ClientID: "x"}.Encode()
	garbled := credential.Credential{ClientID: "x", Rules: credential.Rules{CA: "no PEM"}}.Encode()
	for what, c := range map[string]struct {
		issuer policy.Issuer
		shown  []byte
		want   string
	}{
		"plain http without the operator's leave": {policy.Issuer{Introspection: &policy.Introspection{URL: plain}}, fine, "introspection.url: scheme is http"},
		"metadata over plain http": {policy.Issuer{Introspection: &policy.Introspection{Discovery: &policy.Discovery{URL: plain}}}, fine,
			"introspection.discovery.url: scheme is http"},
		"metadata below an issuer over plain http": {policy.Issuer{Issuer: "http://login.example.com", Introspection: &policy.Introspection{Discovery: &policy.Discovery{}}}, fine,
			"issuer: scheme is http"},
		"an authority that is no PEM": {policy.Issuer{Introspection: &policy.Introspection{URL: secure}}, garbled, "caSecretRef: ca: holds no PEM certificate"},
		"no key to sign with": {policy.Issuer{Introspection: &policy.Introspection{URL: secure, Auth: policy.AuthPrivateKeyJWT}}, fine,
			"introspection.credentialsSecretRef: entry"},
		"a credential that is none": {policy.Issuer{Introspection: &policy.Introspection{URL: secure}}, []byte(`{"s3cret":1}`), "introspection.credentialsSecretRef: is no credential"},
	} {
		pool := introspect.NewPool(introspect.Options{})
		usable := policy.Issuer{Introspection: &policy.Introspection{URL: "https://192.0.2.1:1/"}}
		wanted := []introspect.Wanted{{Issuer: c.issuer, Credential: c.shown}, {Issuer: usable, Credential: fine}}
		all, err := pool.Open(wanted)
		if err != nil || all[0] == nil || all[1] == nil {
			t.Fatalf("%s: %v", what, err)
		}
		for range 10 { // never left alone for a moment: the cause is to be told
			_, err = all[0].Ask(t.Context(), client, "t0ken")
			var f *introspect.Failure
			if !errors.As(err, &f) || f.Result != introspect.Unreachable || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret") {
				t.Fatalf("%s: %v", what, err)
			}
		}
		again, err := pool.Open(wanted)
		if err != nil || again[0] != all[0] || again[1] != all[1] {
			t.Errorf("%s: opened anew: %v", what, err)
		}
		if _, err := pool.Open(nil); err != nil {
			t.Errorf("%s: given up: %v", what, err)
		}
	}
	allowed := credential.Credential{ClientID: "x", Rules: credential.Rules{AllowHTTP: true}}
	all, err := introspect.NewPool(introspect.Options{}).Open([]introspect.Wanted{{Issuer: policy.Issuer{Introspection: &policy.Introspection{URL: "http://127.0.0.1:1/"}}, Credential: allowed.Encode()}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := all[0].Ask(t.Context(), client, "t0ken"); err == nil || strings.Contains(err.Error(), "scheme") {
		t.Errorf("with the operator's leave: %v", err)
	}
}

func TestDiscoveryFindsTheEndpoint(t *testing.T) {
	t.Parallel()
	var found, asked atomic.Int32
	e := open(t, introspect.Options{}, func(w http.ResponseWriter, r *http.Request) {
		base := "https://" + r.Host
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			found.Add(1)
			answer(w, `{"issuer":"`+base+`","introspection_endpoint":"`+base+`/there"}`)
		case "/there":
			asked.Add(1)
			answer(w, `{"active":false}`)
		}
	}, func(i *policy.Issuer, _ *credential.Credential) {
		i.Introspection.URL, i.Introspection.Discovery = "", &policy.Discovery{}
	})
	for range 3 {
		if got, err := e.Ask(t.Context(), client, "x"); err != nil || got.Body != `{"active":false}` {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	if found.Load() != 1 || asked.Load() != 3 {
		t.Errorf("metadata was read %d times, the endpoint asked %d times", found.Load(), asked.Load())
	}
}

// TestAnEndpointThatFailsIsLeftAlone goes by a clock of its own, so that nothing is waited for.
func TestAnEndpointThatFailsIsLeftAlone(t *testing.T) {
	t.Parallel()
	var now atomic.Int64
	var calls, status atomic.Int32
	status.Store(500)
	e := open(t, introspect.Options{Now: func() time.Time { return time.Unix(1000, now.Load()) }}, func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		if s := int(status.Load()); s != 200 {
			w.WriteHeader(s)
			return
		}
		answer(w, `{"active":true}`)
	})
	ask := func() introspect.Result {
		_, err := e.Ask(t.Context(), client, "x")
		var f *introspect.Failure
		if errors.As(err, &f) {
			return f.Result
		}
		return introspect.Answered
	}
	for range 50 {
		ask()
	}
	if n := calls.Load(); n != 5 {
		t.Fatalf("was asked %d times; want 5", n)
	}
	if got := ask(); got != introspect.Open {
		t.Fatalf("%s; want %s", got, introspect.Open)
	}
	now.Add(int64(1100 * time.Millisecond)) // one probe, which fails: a rest of 2 s
	if got := ask(); got != introspect.Status {
		t.Fatalf("probe: %s", got)
	}
	now.Add(int64(1100 * time.Millisecond))
	if got := ask(); got != introspect.Open {
		t.Fatalf("after a probe that failed: %s", got)
	}
	status.Store(200)
	now.Add(int64(time.Second))
	for range 3 {
		if got := ask(); got != introspect.Answered {
			t.Fatalf("after it came back: %s", got)
		}
	}
	for _, odd := range []int32{400, 403, 404} { // what an odd token leads to cuts off nobody
		status.Store(odd)
		for range 50 {
			if got := ask(); got != introspect.Status {
				t.Fatalf("odd tokens, %d: %s", odd, got)
			}
		}
	}
	for _, theirs := range []int32{401, 429, 503} {
		status.Store(200)
		now.Add(int64(time.Minute))
		ask()
		status.Store(theirs)
		for range 5 {
			ask()
		}
		if got := ask(); got != introspect.Open {
			t.Errorf("after five times %d: %s", theirs, got)
		}
	}
}

// transport is a function as an http.RoundTripper.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestAPanicGivesBackWhatItHeld: the turn, and the probe, or the endpoint would never be asked again.
func TestAPanicGivesBackWhatItHeld(t *testing.T) {
	t.Parallel()
	var now atomic.Int64
	e := open(t, introspect.Options{Now: func() time.Time { return time.Unix(1000, now.Load()) }}, func(http.ResponseWriter, *http.Request) {})
	ask := func() (result introspect.Result, panicked bool) {
		defer func() { panicked = recover() != nil }()
		_, err := e.Ask(t.Context(), client, "x")
		var f *introspect.Failure
		if errors.As(err, &f) {
			return f.Result, false
		}
		return introspect.Answered, false
	}
	e.Through(transport(func(*http.Request) (*http.Response, error) { return nil, errors.New("down") }))
	for range 5 {
		_, _ = ask()
	}
	if got, _ := ask(); got != introspect.Open {
		t.Fatalf("%s; want %s", got, introspect.Open)
	}
	e.Through(transport(func(*http.Request) (*http.Response, error) { panic("of the test") }))
	for i := range 100 { // more than there are turns
		now.Add(int64(time.Minute))
		if got, panicked := ask(); !panicked {
			t.Fatalf("question %d did not get through: %s", i, got)
		}
	}
}

// TestOneClientLeavesTurnsToOthers: a client whose questions hang has not all turns.
func TestOneClientLeavesTurnsToOthers(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	began := make(chan struct{}, 100)
	e := open(t, introspect.Options{}, func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		if r.PostForm.Get("token") == "slow" {
			began <- struct{}{}
			<-hang
		}
		answer(w, `{"active":false}`)
	})
	t.Cleanup(func() { close(hang) })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 60 {
		go func() { _, _ = e.Ask(ctx, client, "slow") }()
	}
	for range 24 { // all that one client has
		<-began
	}
	if _, err := e.Ask(t.Context(), netip.MustParseAddr("192.0.2.2"), "quick"); err != nil {
		t.Error(err)
	}
	select {
	case <-began:
		t.Error("one client has more turns than it may")
	default:
	}
}

// TestResultsAreDocumented: they are the values of a metric's label.
func TestResultsAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/tokens.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range introspect.Results() {
		if !strings.Contains(string(page), "`"+string(r)+"`") {
			t.Errorf("docs/tokens.md does not name the result %s", r)
		}
	}
}
