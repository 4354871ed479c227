package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	keyfetch "github.com/bearerguard/bearerguard/api/fetch"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// provider serves a key set over HTTP that may be changed, and lets it be cached for an hour.
type provider struct {
	*httptest.Server
	fetches atomic.Int64
	signer  atomic.Pointer[gatetest.Issuer]
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{}
	p.signer.Store(gatetest.NewIssuer("https://corp.example", "one"))
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		p.fetches.Add(1)
		w.Header().Set("Cache-Control", "max-age=3600")
		_, _ = io.WriteString(w, p.signer.Load().JWKS())
	}))
	t.Cleanup(p.Close)
	return p
}

// asked is a policy whose issuer is asked about tokens, and signs what it answers (RFC 9701).
func (p *provider) asked(t *testing.T) string {
	t.Helper()
	desk := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/token-introspection+jwt")
		now := time.Now()
		_, _ = io.WriteString(w, p.signer.Load().Answer(now, "sidecar", map[string]any{
			"active": strings.HasPrefix(r.FormValue("token"), "good"), "sub": "alice", "aud": "orders", "exp": now.Add(time.Hour).Unix(),
		}))
	}))
	t.Cleanup(desk.Close)
	return strings.Replace(p.policy(), `/jwks"}}`, `/jwks"}, introspection: {url: "`+desk.URL+`", signedResponse: true, credentialsSecretRef: {name: asks}}}`, 1) + `---
apiVersion: v1
kind: Secret
metadata: {name: asks}
stringData: {client_id: sidecar, client_secret: x}
`
}

// policy is one that lets in whom the provider vouches for.
func (p *provider) policy() string {
	return `apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: orders}
spec:
  issuers:
  - {name: corp, issuer: "https://corp.example", audiences: [orders], keys: {jwksURL: "` + p.URL + `/jwks"}}
  rules:
  - {name: all, allow: {authenticated: true}}
`
}

// flood sends tokens with made-up key ids, so many at a time, until stop is called.
func flood(t *testing.T, url string, workers int) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	transport := &http.Transport{MaxIdleConnsPerHost: workers}
	c := &http.Client{Transport: transport}
	var all sync.WaitGroup
	var n atomic.Int64
	for range workers {
		all.Go(func() {
			for ctx.Err() == nil {
				forged := gatetest.NewIssuer("https://corp.example", fmt.Sprint("made-up-", n.Add(1))).Token(time.Now(), nil)
				r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set("Authorization", "Bearer "+forged)
				res, err := c.Do(r)
				if err != nil {
					continue
				}
				_, _ = io.Copy(io.Discard, res.Body)
				if _ = res.Body.Close(); res.StatusCode != http.StatusUnauthorized {
					t.Errorf("a made-up key id: %d", res.StatusCode)
				}
			}
		})
	}
	return func() { cancel(); all.Wait(); transport.CloseIdleConnections() }
}

func TestARotationRefusesNobodyAmidAFlood(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]func(*gatetest.Issuer) *gatetest.Issuer{
		"a new key id":               func(i *gatetest.Issuer) *gatetest.Issuer { return gatetest.NewIssuer(i.URL, "two") },
		"a new key under the old id": gatetest.Rekey,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			idp, dir, began := newProvider(t), t.TempDir(), time.Now()
			write(t, dir, "orders.yaml", idp.policy())
			p := start(t, newApp(t), "--policies", dir, "--key-allow-http", "--key-allow-nets", "127.0.0.0/8")
			if got := p.get(t, p.url+"/", idp.signer.Load().Token(time.Now(), nil)); got != http.StatusOK {
				t.Fatalf("before: %d, want 200", got)
			}
			stop := flood(t, p.url+"/", 40)
			defer stop()
			p.eventually(t, "the flood has used up what may be fetched at once", func() bool { return idp.fetches.Load() >= keyfetch.Burst })
			before := idp.fetches.Load()
			signer := next(idp.signer.Load())
			idp.signer.Store(signer) // right after a fetch
			var all sync.WaitGroup
			for i := range 20 {
				all.Go(func() {
					token := signer.Token(time.Now(), map[string]any{"jti": fmt.Sprint(i)})
					if status, body := fetchAs(t, p.url+"/", token); status != http.StatusOK {
						t.Errorf("genuine token %d: %d %s", i, status, body)
					}
				})
			}
			all.Wait()
			if n, most := idp.fetches.Load(), keyfetch.Burst+int64(time.Since(began)/keyfetch.MinGap); n > most || n <= before {
				t.Errorf("%d fetches, want %d at most, and more than %d", n, most, before)
			}
		})
	}
}

// TestARotationOfAnswersRefusesNobody, though keys may be cached for an hour.
func TestARotationOfAnswersRefusesNobody(t *testing.T) {
	t.Parallel()
	idp, dir := newProvider(t), t.TempDir()
	write(t, dir, "orders.yaml", idp.asked(t))
	p := start(t, newApp(t), "--policies", dir, "--key-allow-http", "--key-allow-nets", "127.0.0.0/8")
	if got := p.get(t, p.url+"/", "good-before"); got != http.StatusOK {
		t.Fatalf("before: %d, want 200\n%s", got, p.log)
	}
	before := idp.fetches.Load()
	idp.signer.Store(gatetest.NewIssuer("https://corp.example", "two"))
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			token, want := fmt.Sprint("good-", i), http.StatusOK
			if i%4 == 0 {
				token, want = fmt.Sprint("bad-", i), http.StatusUnauthorized
			}
			if status, body := fetchAs(t, p.url+"/", token); status != want {
				t.Errorf("%s: %d %s, want %d", token, status, body, want)
			}
		})
	}
	all.Wait()
	if n := idp.fetches.Load(); n <= before || n > keyfetch.Burst+1 {
		t.Errorf("%d fetches, want %d at most, and more than %d", n, keyfetch.Burst+1, before)
	}
}

// fetchAs sends a token on a connection of its own.
func fetchAs(t *testing.T, url, token string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, err.Error()
	}
	r.Close = true
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(body)
}

func TestTheDocsNameTheIntervals(t *testing.T) {
	t.Parallel()
	for file, want := range map[string][]string{
		"tokens.md": {
			fmt.Sprintf("every %d min;", keyfetch.DefaultRefresh/time.Minute),
			fmt.Sprintf("not sooner than after %d min and not later than after %d h", keyfetch.MinRefresh/time.Minute, keyfetch.MaxRefresh/time.Hour),
			fmt.Sprintf("at once, up to %d times; then once in %d s", keyfetch.Burst, keyfetch.MinGap/time.Second),
			fmt.Sprintf("A fetch takes %d s at most", keyfetch.DefaultTimeout/time.Second),
			fmt.Sprintf("at most %d fetches and one more in each %d s", keyfetch.Burst, keyfetch.MinGap/time.Second),
			fmt.Sprintf("No request waits longer than %d s", gate.DefaultKeyWait/time.Second),
			fmt.Sprintf("%d requests wait at a time", gate.DefaultMaxWaiting),
		},
		"limits.md": {
			fmt.Sprintf("%d requests at a time wait for keys", gate.DefaultMaxWaiting),
			fmt.Sprintf("They wait for %d s at most", gate.DefaultKeyWait/time.Second),
			fmt.Sprintf("A key set is fetched %d times", keyfetch.Burst),
		},
	} {
		text, err := os.ReadFile(filepath.Join("../../docs", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(string(text), w) {
				t.Errorf("docs/%s does not say %q, which is what the code does", file, w)
			}
		}
	}
}
