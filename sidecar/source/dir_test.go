package source_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/fetch"
	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
	"github.com/bearerguard/bearerguard/sidecar/source"
)

// patience bounds every wait of a test; none takes long unless it fails.
const patience = 20 * time.Second

// sink takes bundles as a sidecar does: it compiles them first.
type sink struct {
	applied chan *bundle.Bundle
	checked chan checked
	revoked atomic.Pointer[revoked.Set]
	log     logr.Logger

	mu    sync.Mutex
	lines []string
}

func newSink() *sink {
	s := &sink{applied: make(chan *bundle.Bundle, 100), checked: make(chan checked, 100)}
	s.log = funcr.New(func(_, args string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.lines = append(s.lines, args)
	}, funcr.Options{})
	return s
}

func (s *sink) apply(b *bundle.Bundle, version string) error {
	if _, err := gate.NewSnapshot(b, version, gate.SnapshotOptions{}); err != nil {
		return err
	}
	s.applied <- b
	return nil
}

// checked is what a source tells of a look at keys.
type checked struct {
	id    string
	began time.Time
}

func (s *sink) check(id string, began time.Time) { s.checked <- checked{id, began} }

// hearsChecked waits for news of a look at keys.
func (s *sink) hearsChecked(t *testing.T) checked {
	t.Helper()
	select {
	case c := <-s.checked:
		return c
	case <-time.After(patience):
		t.Fatalf("nothing is told of a look at keys; log:\n%s", s.text())
		return checked{}
	}
}

// next waits for a bundle.
func (s *sink) next(t *testing.T) *bundle.Bundle {
	t.Helper()
	select {
	case b := <-s.applied:
		return b
	case <-time.After(patience):
		t.Fatalf("no bundle came; log:\n%s", s.text())
		return nil
	}
}

func (s *sink) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

// logged waits for a line with this in it.
func (s *sink) logged(t *testing.T, part string) {
	t.Helper()
	eventually(t, func() bool { return strings.Contains(s.text(), part) }, func() string {
		return fmt.Sprintf("no line with %q in the log:\n%s", part, s.text())
	})
}

func eventually(t *testing.T, ok func() bool, complaint func() string) {
	t.Helper()
	end := time.After(patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-end:
			t.Fatal(complaint())
		case <-tick.C:
		}
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// authPolicy is a policy whose keys are as given, in YAML flow style.
func authPolicy(name, keys string) string {
	return `apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: ` + name + `}
spec:
  selector: {matchLabels: {app: ` + name + `}}
  issuers:
  - name: corp
    issuer: https://corp.example
    audiences: [orders]
    keys: ` + keys + `
  rules:
  - name: all
    allow: {authenticated: true}
`
}

func secret(name, key, value string) string {
	return "---\napiVersion: v1\nkind: Secret\nmetadata: {name: " + name + "}\nstringData:\n  " + key + ": '" + value + "'\n"
}

func jwks(keyID string) string { return gatetest.NewIssuer("https://corp.example", keyID).JWKS() }

// start loads a folder and follows it for the length of the test.
func start(t *testing.T, c source.DirConfig) *source.Dir {
	t.Helper()
	d := source.NewDir(c)
	if err := d.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		d.Close()
	})
	return d
}

func TestDirFollowsTheFolder(t *testing.T) {
	t.Parallel()
	dir, s := t.TempDir(), newSink()
	write(t, dir, "a.yaml", authPolicy("a", "{secretRef: {name: corp, key: jwks}}")+secret("corp", "jwks", jwks("one")))
	write(t, dir, "notes.txt", "this is not YAML: [")
	write(t, dir, ".hidden.yaml", "this is not YAML: [")
	start(t, source.DirConfig{Path: dir, Apply: s.apply, Log: s.log})
	b := s.next(t)
	if len(b.Policies) != 1 || b.Policies[0].ID() != "default/a" || len(b.KeySets) != 1 {
		t.Fatalf("first bundle: %d policies, %d key sets", len(b.Policies), len(b.KeySets))
	}

	write(t, dir, "b.yaml", authPolicy("b", `{jwks: '`+jwks("two")+`'}`))
	if b = s.next(t); len(b.Policies) != 2 || len(b.KeySets) != 2 {
		t.Errorf("after a new file: %d policies, %d key sets, want 2 and 2", len(b.Policies), len(b.KeySets))
	}

	write(t, dir, "b.yaml", "apiVersion: bearerguard.dev/v1alpha1\nkind: AuthPolicy\nmetadata: {name: b}\nspec:\n  rulez: []\n")
	s.logged(t, "b.yaml:5: spec.rulez: is not a known field")
	if len(s.applied) != 0 {
		t.Error("a broken file changed the rules")
	}

	if err := os.Remove(filepath.Join(dir, "b.yaml")); err != nil {
		t.Fatal(err)
	}
	if b = s.next(t); len(b.Policies) != 1 {
		t.Errorf("after the file is gone: %d policies, want 1", len(b.Policies))
	}
	s.logged(t, "in order again")
	if strings.Contains(s.text(), `"x":`) || strings.Contains(s.text(), "kty") {
		t.Errorf("keys in the log:\n%s", s.text())
	}
}

// A standalone sidecar makes nonces with a secret of its own, the same as long as it runs, and another for each namespace.
func TestStandaloneNonces(t *testing.T) {
	t.Parallel()
	policies := func(rule string) string {
		one := strings.Replace(authPolicy("a", `{jwks: '`+jwks("one")+`'}`), "    keys:",
			"    proof: {dpop: Required, publicURLs: ['https://a.example'], nonce: Required}\n    keys:", 1)
		one = strings.Replace(one, "name: all", "name: "+rule, 1)
		return one + "---\n" + strings.Replace(one, "{name: a}", "{name: a, namespace: bank}", 1)
	}
	run := func() (first, later *bundle.Bundle) {
		dir, s := t.TempDir(), newSink()
		write(t, dir, "a.yaml", policies("all"))
		start(t, source.DirConfig{Path: dir, Apply: s.apply, Log: s.log})
		first = s.next(t)
		write(t, dir, "a.yaml", policies("other"))
		return first, s.next(t)
	}
	of := func(b *bundle.Bundle, namespace string) string { return string(b.KeySets["nonce:"+namespace].JWKS) }
	first, later := run()
	another, _ := run()
	switch shop := of(first, "default"); {
	case shop == "" || of(later, "default") != shop:
		t.Error("it is another one after an edit")
	case of(first, "bank") == shop:
		t.Error("two namespaces have the same")
	case of(another, "default") == shop:
		t.Error("two processes have the same")
	}
}

func TestDirFollowsAKubernetesVolume(t *testing.T) {
	t.Parallel()
	dir, s := t.TempDir(), newSink()
	version := func(n, name string) {
		if err := os.Mkdir(filepath.Join(dir, "..v"+n), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, dir, filepath.Join("..v"+n, "policy.yaml"), authPolicy(name, `{jwks: '`+jwks("one")+`'}`))
		if err := os.Symlink("..v"+n, filepath.Join(dir, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	version("1", "old")
	if err := os.Symlink(filepath.Join("..data", "policy.yaml"), filepath.Join(dir, "policy.yaml")); err != nil {
		t.Fatal(err)
	}
	start(t, source.DirConfig{Path: dir, Apply: s.apply, Log: s.log})
	if got := s.next(t).Policies[0].Name; got != "old" {
		t.Errorf("policy %q, want old", got)
	}
	version("2", "new")
	if got := s.next(t).Policies[0].Name; got != "new" {
		t.Errorf("policy %q after the swap, want new", got)
	}
}

func TestDirTakesPoliciesByLabels(t *testing.T) {
	t.Parallel()
	dir, s := t.TempDir(), newSink()
	write(t, dir, "a.yaml", authPolicy("a", `{jwks: '`+jwks("one")+`'}`)+"---\n"+authPolicy("b", `{jwks: '`+jwks("one")+`'}`))
	start(t, source.DirConfig{Path: dir, Namespace: "shop", Labels: map[string]string{"app": "b"}, Apply: s.apply, Log: s.log})
	if b := s.next(t); len(b.Policies) != 1 || b.Policies[0].ID() != "shop/b" {
		t.Errorf("policies: %+v, want shop/b alone", b.Policies)
	}
}

func TestDirRefusesToStart(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ yaml, want string }{
		"without the Secret": {authPolicy("a", "{secretRef: {name: corp, key: jwks}}"),
			"a.yaml:10: default/a: spec.issuers[0].keys.secretRef: no file has the Secret default/corp"},
		"without the Secret's entry": {authPolicy("a", "{secretRef: {name: corp, key: jwks}}") + secret("corp", "other", "x"),
			"the Secret default/corp has no entry"},
		"without the ConfigMap": {authPolicy("a", "{configMapRef: {name: corp, key: jwks}}"), "no file has the ConfigMap default/corp"},
		"with a secret too short": {authPolicy("a", "{secretRef: {name: corp, key: jwks}}") + secret("corp", "jwks", "canary-short"),
			"a.yaml:10: default/a: spec.issuers[0].keys.secretRef: "},
		"with text that may be anything": {authPolicy("a", "{secretRef: {name: corp, key: jwks}}\n    algorithms: [RS256, HS256]") + secret("corp", "jwks", strings.Repeat("canary", 8)),
			"a.yaml:10: default/a: spec.issuers[0].keys.secretRef: is neither a JWK Set nor PEM nor a certificate; it is an HMAC secret only if"},
		"with a public key said to be a secret": {authPolicy("a", "{secretRef: {name: corp, key: jwks, format: HMAC}}\n    algorithms: [HS256]") + secret("corp", "jwks", jwks("k")),
			"a.yaml:10: default/a: spec.issuers[0].keys.secretRef: is a JWK Set; as format: HMAC says, want a secret"},
		"with keys for no algorithm": {authPolicy("a", "{secretRef: {name: corp, key: jwks}}\n    algorithms: [RS256]") + secret("corp", "jwks", jwks("k")),
			"a.yaml:10: default/a: spec.issuers[0].keys.secretRef: holds no key for the issuer's algorithms (RS256); its keys fit Ed25519, EdDSA"},
		"with garbage inline":         {authPolicy("a", "{jwks: 'canary'}"), "a.yaml:10: "},
		"with the cluster's own keys": {authPolicy("a", "{kubernetes: {}}"), "spec.issuers[0].keys.kubernetes: needs a cluster"},
		"without its CA":              {authPolicy("a", "{jwksURL: 'https://corp.example/'}\n    caSecretRef: {name: ca, key: ca.crt}"), "a.yaml:11: default/a: spec.issuers[0].caSecretRef: no file has the Secret default/ca"},
		"with a wrong rule":           {strings.Replace(authPolicy("a", "{jwks: '{}'}"), "allow: {authenticated: true}", "allow: {when: claims.}", 1), "a.yaml:13: default/a: spec.rules[0].allow.when: "},
		"with an issuer without aud":  {strings.Replace(authPolicy("a", "{jwks: '{}'}"), "    audiences: [orders]\n", "", 1), "a.yaml:7: default/a: spec.issuers[0].audiences"},
		"with the same policy twice":  {authPolicy("a", "{kubernetes: {}}") + "---\n" + authPolicy("a", "{kubernetes: {}}"), "is defined at a.yaml:1 already"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, s := t.TempDir(), newSink()
			write(t, dir, "a.yaml", test.yaml)
			d := source.NewDir(source.DirConfig{Path: dir, Apply: s.apply, Log: s.log})
			defer d.Close()
			err := d.Load(t.Context())
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error = %v\nwant one with %s", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("the error repeats key material: %v", err)
			}
		})
	}
	d := source.NewDir(source.DirConfig{Path: filepath.Join(t.TempDir(), "none")})
	defer d.Close()
	if err := d.Load(t.Context()); err == nil {
		t.Error("a folder that is not there loads")
	}
}

// What there is to say of keys is logged at info: those that are left out, a secret that ends in a line break, keys that were fetched
// and fit no algorithm.
func TestDirLogsWhatItHasToSayOfKeys(t *testing.T) {
	t.Parallel()
	dir, s, idp := t.TempDir(), newSink(), newKeyServer(t, `{"keys":[{"kty":"XYZ","kid":"fetched"},`+strings.TrimPrefix(jwks("k"), `{"keys":[`))
	write(t, dir, "a.yaml", authPolicy("a", "{secretRef: {name: corp, key: k}}\n    algorithms: [HS256]")+
		"---\napiVersion: v1\nkind: Secret\nmetadata: {name: corp}\nstringData: {k: \""+strings.Repeat("canary", 8)+"\\n\"}\n")
	write(t, dir, "b.yaml", authPolicy("b", `{jwks: '{"keys":[{"kty":"XYZ","kid":"inline"},`+strings.TrimPrefix(jwks("k"), `{"keys":[`)+"'}"))
	write(t, dir, "c.yaml", authPolicy("c", "{jwksURL: '"+idp.URL+"/jwks'}\n    algorithms: [RS256]"))
	start(t, source.DirConfig{Path: dir, Apply: s.apply, Log: s.log, Fetch: reachable()})
	s.next(t)
	s.logged(t, "a.yaml:10: default/a: spec.issuers[0].keys.secretRef: the secret ends in a line break")
	s.logged(t, `default/b: spec.issuers[0].keys.jwks: left out: kid \"inline\": has a kty that is none of`)
	s.logged(t, `left out: kid \"fetched\": has a kty that is none of`)
	s.logged(t, "default/c: spec.issuers[0].keys: holds no key for the issuer's algorithms (RS256); its keys fit Ed25519, EdDSA")
	if strings.Contains(s.text(), "canary") {
		t.Errorf("the log repeats key material:\n%s", s.text())
	}
}

// keyServer serves a JWK Set that a test changes.
type keyServer struct {
	*httptest.Server
	mu   sync.Mutex
	body string
}

func newKeyServer(t *testing.T, body string) *keyServer {
	t.Helper()
	k := &keyServer{body: body}
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k.mu.Lock()
		defer k.mu.Unlock()
		if strings.HasSuffix(r.URL.Path, "openid-configuration") {
			fmt.Fprintf(w, `{"issuer":"https://corp.example","jwks_uri":"%s/jwks"}`, k.URL)
			return
		}
		fmt.Fprint(w, k.body)
	}))
	t.Cleanup(k.Close)
	return k
}

func (k *keyServer) say(body string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.body = body
}

func reachable() fetch.Options {
	return fetch.Options{AllowHTTP: true, AllowNets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
}

func TestDirFetchesKeysAlsoWhileAFileIsBroken(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string]string{
		"by URL":       "{jwksURL: '%s/jwks'}",
		"by discovery": "{discovery: {url: '%s/.well-known/openid-configuration'}}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newKeyServer(t, jwks("one"))
			dir, s := t.TempDir(), newSink()
			write(t, dir, "a.yaml", authPolicy("a", fmt.Sprintf(keys, server.URL)))
			d := start(t, source.DirConfig{Path: dir, Fetch: reachable(), Apply: s.apply, Log: s.log})
			b := s.next(t)
			if len(b.KeySets) != 1 {
				t.Fatalf("%d key sets at first, want 1: Load waits for them", len(b.KeySets))
			}
			write(t, dir, "b.yaml", "kind: Broken\n")
			s.logged(t, "b.yaml:1: kind:")
			server.say(jwks("two"))
			d.UnknownKey(b.Policies[0].Keys[0])
			d.UnknownKey("url:unknown")
			b = s.next(t)
			if got := string(b.KeySets[b.Policies[0].Keys[0]].JWKS); !strings.Contains(got, `"two"`) {
				t.Error("the rotated key did not come")
			}
			server.say("garbage")
			d.UnknownKey(b.Policies[0].Keys[0])
			s.logged(t, "keys cannot be fetched; the last good ones stay")
			if len(s.applied) > 0 {
				t.Error("garbage changed the rules")
			}
		})
	}
}

func TestDirServesOtherIssuersWhileKeysAreMissing(t *testing.T) {
	t.Parallel()
	dir, s := t.TempDir(), newSink()
	write(t, dir, "a.yaml", authPolicy("a", "{jwksURL: 'http://127.0.0.1:1/jwks'}")+"---\n"+authPolicy("b", `{jwks: '`+jwks("one")+`'}`))
	start(t, source.DirConfig{Path: dir, Fetch: reachable(), Apply: s.apply, Log: s.log})
	if b := s.next(t); len(b.Policies) != 2 || len(b.KeySets) != 1 {
		t.Errorf("%d policies and %d key sets, want 2 and 1", len(b.Policies), len(b.KeySets))
	}
	s.logged(t, "connection refused")
	s.logged(t, "keys cannot be fetched; tokens of the issuer get 503 until there are any")
}

func TestDirTellsOfKeysOnceTheyAreInForce(t *testing.T) {
	t.Parallel()
	var keys atomic.Value
	var fetches atomic.Int32
	keys.Store(jwks("one"))
	idp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetches.Add(1)
		_, _ = io.WriteString(w, keys.Load().(string))
	}))
	t.Cleanup(idp.Close)
	dir, s := t.TempDir(), newSink()
	write(t, dir, "a.yaml", authPolicy("a", "{jwksURL: "+idp.URL+"/jwks}"))
	write(t, dir, "b.yaml", authPolicy("b", "{secretRef: {name: corp, key: jwks}}")+secret("corp", "jwks", jwks("two")))
	d := start(t, source.DirConfig{Path: dir, Fetch: fetch.Options{AllowHTTP: true, AllowNets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, Apply: s.apply, Checked: s.check, Log: s.log})
	b := s.next(t)
	id, file := b.Policies[0].Keys[0], b.Policies[1].Keys[0]
	s.hearsChecked(t) // of the first fetch

	if _, ok := d.UnknownKey(file); ok {
		t.Error("keys in a file are to be fetched")
	}
	asked := time.Now()
	if in, ok := d.UnknownKey(id); in != 0 || !ok {
		t.Errorf("the fetch is due in %s, %t; want at once", in, ok)
	}
	if told := s.hearsChecked(t); told.id != id || told.began.Before(asked) {
		t.Errorf("told of %s since %s before it was asked for", told.id, asked.Sub(told.began))
	}
	if len(s.applied) != 0 {
		t.Error("the same keys were applied again")
	}
	keys.Store(jwks("three"))
	d.UnknownKey(id)
	s.hearsChecked(t)
	if len(s.applied) != 1 {
		t.Error("told of the new keys before they were in force")
	}
	idp.Close()
	d.UnknownKey(id)
	if told := s.hearsChecked(t); told.id != id || fetches.Load() != 3 {
		t.Errorf("told of %s, after %d fetches", told.id, fetches.Load())
	}
}

// TestStandaloneIntrospection: the credential comes from the files, with the rules of the command line, and what it lacks is told.
func TestStandaloneIntrospection(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const corp = `apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: orders}
spec:
  issuers:
  - {name: corp, issuer: "https://corp", audiences: [a], introspection: {url: "https://corp/i", credentialsSecretRef: {name: sidecar}}}
  rules: [{name: r, allow: {authenticated: true}}]
`
	write(t, dir, "policy.yaml", corp)
	rules := fetch.Options{AllowHTTP: true}
	load := func() (*bundle.Bundle, error) {
		s := newSink()
		d := source.NewDir(source.DirConfig{Path: dir, Apply: s.apply, Log: s.log, Fetch: rules})
		defer d.Close()
		if err := d.Load(t.Context()); err != nil {
			return nil, err
		}
		return s.next(t), nil
	}
	const at = "policy.yaml:6: default/orders: spec.issuers[0].introspection.credentialsSecretRef: "
	if _, err := load(); err == nil || !strings.Contains(err.Error(), at+"no file has the Secret default/sidecar") {
		t.Errorf("without a Secret: %v", err)
	}
	secret := "apiVersion: v1\nkind: Secret\nmetadata: {name: sidecar}\nstringData: {client_id: x"
	write(t, dir, "secret.yaml", secret+"}\n")
	if _, err := load(); err == nil || !strings.Contains(err.Error(), at+`the Secret default/sidecar has no entry "client_secret"`) {
		t.Errorf("without an entry: %v", err)
	}
	write(t, dir, "secret.yaml", secret+", client_secret: y}\n")
	b, err := load()
	if err != nil {
		t.Fatal(err)
	}
	if b.Features&bundle.FeatureIntrospection == 0 {
		t.Error("an older sidecar would take the bundle")
	}
	if got := string(b.KeySets[b.Policies[0].Introspection[0]].JWKS); got != `{"clientID":"x","clientSecret":"y","allowHTTP":true}` {
		t.Error(got)
	}
	write(t, dir, "secret.yaml", secret+", client_secret: y, ca.crt: no PEM}\n")
	write(t, dir, "policy.yaml", strings.Replace(corp, "audiences", "caSecretRef: {name: sidecar, key: ca.crt}, audiences", 1))
	if _, err := load(); err == nil || !strings.Contains(err.Error(), `caSecretRef: the Secret default/sidecar: entry "ca.crt" holds no PEM certificate`) {
		t.Errorf("an authority that is none: %v", err)
	}
	rules.AllowHTTP = false
	write(t, dir, "policy.yaml", strings.Replace(corp, "https://corp/i", "http://corp/i", 1))
	if _, err := load(); err == nil || !strings.Contains(err.Error(), "policy.yaml:6: default/orders: spec.issuers[0].introspection.url: scheme is http") {
		t.Errorf("plain http: %v", err)
	}
}
