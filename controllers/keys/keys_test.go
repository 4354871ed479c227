package keys_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/fetch"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/controllers/keys"
)

// objects is a small API server for Secrets and ConfigMaps.
type objects struct {
	client.Reader // List is never called

	mu      sync.Mutex
	secrets map[string]map[string][]byte
	maps    map[string]map[string]string
	down    bool
}

func (o *objects) Get(_ context.Context, at client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.down {
		return apierrors.NewServiceUnavailable("down")
	}
	switch x := into.(type) {
	case *corev1.Secret:
		if data, ok := o.secrets[at.String()]; ok {
			x.Data = data
			return nil
		}
	case *corev1.ConfigMap:
		if data, ok := o.maps[at.String()]; ok {
			x.Data = data
			return nil
		}
	}
	return apierrors.NewNotFound(schema.GroupResource{Resource: "objects"}, at.Name)
}

func (o *objects) change(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f()
}

// jwks is a JWK Set with one Ed25519 key for each kid.
func jwks(kids ...string) string {
	var out []string
	for i, kid := range kids {
		seed := make([]byte, ed25519.SeedSize)
		seed[0], seed[1] = byte(i), kid[0]
		x := base64.RawURLEncoding.EncodeToString(ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey))
		out = append(out, fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","kid":%q,"x":%q}`, kid, x))
	}
	return `{"keys":[` + strings.Join(out, ",") + `]}`
}

// svidBundle is a SPIFFE bundle with a key of each use.
func svidBundle(kid string) string {
	key := func(use, kid string) string {
		return strings.TrimSuffix(strings.TrimPrefix(strings.Replace(jwks(kid), `"kid"`, `"use":"`+use+`","kid"`, 1), `{"keys":[`), `]}`)
	}
	return `{"spiffe_sequence":7,"spiffe_refresh_hint":600,"keys":[` + key("x509-svid", "x") + "," + key("jwt-svid", kid) + "," + key("wit-svid", "w") + `]}`
}

// bench is a running Resolver.
type bench struct {
	*keys.Resolver
	objects *objects
	changed chan string
	checked chan keys.Checked
}

// system is the controller's namespace.
const system = "bearerguard-system"

func start(t *testing.T) *bench {
	t.Helper()
	return startOn(t, &objects{secrets: map[string]map[string][]byte{}, maps: map[string]map[string]string{}})
}

// startOn starts a Resolver on a cluster that is there.
func startOn(t *testing.T, o *objects) *bench {
	t.Helper()
	b := &bench{
		objects: o,
		changed: make(chan string, 1000), checked: make(chan keys.Checked, 1000),
	}
	var err error
	b.Resolver, err = keys.New(keys.Options{
		Reader: b.objects, Creator: b.objects, Namespace: system,
		Cluster: func(context.Context) (string, []byte, error) {
			return "https://kubernetes.default.svc", []byte(jwks("c")), nil
		},
		Fetch:   fetch.Options{AllowHTTP: true, AllowNets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
		Changed: func(ns string) { b.changed <- ns },
		Checked: func(k keys.Checked) { b.checked <- k },
		Poll:    10 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return b
}

// want makes a namespace want issuers, and returns their ids.
func (b *bench) want(namespace string, issuers ...policy.Issuer) []string {
	spec := policy.Spec{Issuers: issuers}
	b.Want(namespace, keys.SourcesOf(namespace, spec))
	var ids []string
	for _, i := range issuers {
		ids = append(ids, bundle.SourceID(namespace, i))
	}
	return ids
}

func (b *bench) until(t *testing.T, namespace, id, what string, ok func(keys.State) bool) keys.State {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		s := b.States(namespace)[id]
		if ok(s) {
			return s
		}
		select {
		case <-b.changed:
		case <-late:
			t.Fatalf("%s: still %d keys, error %v", what, s.Keys, s.Err)
		}
	}
}

func secretIssuer() policy.Issuer {
	return policy.Issuer{Name: "corp", Keys: policy.KeySource{SecretRef: &policy.KeyRef{Name: "corp", Key: "jwks"}}}
}

func TestEverySourceIsResolved(t *testing.T) {
	t.Parallel()
	b := start(t)
	idp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "openid-configuration") {
			fmt.Fprintf(w, `{"issuer":"http://%s","jwks_uri":"http://%[1]s/jwks"}`, r.Host)
			return
		}
		if r.URL.Path == "/bundle" {
			fmt.Fprint(w, svidBundle("b"))
			return
		}
		fmt.Fprint(w, jwks("u"))
	}))
	t.Cleanup(idp.Close)
	b.objects.change(func() {
		b.objects.maps["shop/bundle"] = map[string]string{"bundle": svidBundle("n")}
		b.objects.secrets["shop/corp"] = map[string][]byte{"jwks": []byte(jwks("s")), "raw": []byte(strings.Repeat("k", 32))}
		b.objects.maps["shop/public"] = map[string]string{"jwks": jwks("m")}
	})
	ref := func(name, key string) *policy.KeyRef { return &policy.KeyRef{Name: name, Key: key} }
	sources := map[string]policy.Issuer{
		"Secret":          secretIssuer(),
		"HMAC Secret":     {Keys: policy.KeySource{SecretRef: ref("corp", "raw")}, Algorithms: []policy.Algorithm{"HS256"}},
		"HMAC, so said":   {Keys: policy.KeySource{SecretRef: &policy.KeyRef{Name: "corp", Key: "raw", Format: policy.FormatHMAC}}, Algorithms: []policy.Algorithm{"HS256", "RS256"}},
		"ConfigMap":       {Keys: policy.KeySource{ConfigMapRef: ref("public", "jwks")}},
		"inline":          {Keys: policy.KeySource{JWKS: jwks("i")}},
		"URL":             {Keys: policy.KeySource{JWKSURL: idp.URL + "/jwks"}},
		"discovery":       {Issuer: idp.URL, Keys: policy.KeySource{Discovery: &policy.Discovery{}}},
		"a bundle":        {Keys: policy.KeySource{SPIFFE: &policy.SPIFFE{TrustDomain: "a", BundleURL: idp.URL + "/bundle"}}},
		"a bundle's map":  {Keys: policy.KeySource{SPIFFE: &policy.SPIFFE{TrustDomain: "a", ConfigMapRef: ref("bundle", "bundle")}}},
		"this cluster":    {Keys: policy.KeySource{Kubernetes: &policy.KubernetesKeys{}}},
		"with decryption": {Keys: policy.KeySource{JWKS: jwks("d")}, Decryption: &policy.Decryption{SecretRef: *ref("corp", "raw")}},
	}
	var all []policy.Issuer
	for _, i := range sources {
		all = append(all, i)
	}
	ids := b.want("shop", all...)
	for _, id := range ids {
		b.until(t, "shop", id, "read", func(s keys.State) bool { return s.Keys > 0 || s.Err != nil })
	}
	if !b.Settled("shop") {
		t.Error("not settled, though all have been read")
	}
	states := b.States("shop")
	for name, i := range sources {
		if s := states[bundle.SourceID("shop", i)]; s.Keys != 1 || s.Err != nil || s.Fetched.IsZero() {
			t.Errorf("%s: %d keys, error %v, fetched %s", name, s.Keys, s.Err, s.Fetched)
		}
	}
	if s := states["decryption:shop/corp/raw"]; s.Keys != 1 || s.Err != nil {
		t.Errorf("decryption: %d keys, error %v", s.Keys, s.Err)
	}
	if got := states["kubernetes"].ClusterIssuer; got != "https://kubernetes.default.svc" {
		t.Errorf("cluster issuer %q", got)
	}
}

func TestLastGoodKeysStayHoweverASourceBreaks(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		harm func(*objects)
		says string
	}{
		"deleted":     {func(o *objects) { delete(o.secrets, "shop/corp") }, "does not exist in namespace shop"},
		"emptied":     {func(o *objects) { o.secrets["shop/corp"] = map[string][]byte{"jwks": {}} }, `entry "jwks" is empty`},
		"without it":  {func(o *objects) { o.secrets["shop/corp"] = nil }, `has no entry "jwks"`},
		"garbled":     {func(o *objects) { o.secrets["shop/corp"] = map[string][]byte{"jwks": []byte("{canary")} }, ""},
		"a comment":   {func(o *objects) { o.secrets["shop/corp"] = map[string][]byte{"jwks": []byte("# keys\n" + jwks("a"))} }, "holds a JWK that is not the whole text"},
		"no key":      {func(o *objects) { o.secrets["shop/corp"] = map[string][]byte{"jwks": []byte(strings.Repeat("k", 40))} }, "is neither a JWK Set nor PEM"},
		"unreachable": {func(o *objects) { o.down = true }, "down"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t)
			b.objects.change(func() { b.objects.secrets["shop/corp"] = map[string][]byte{"jwks": []byte(jwks("a", "b"))} })
			id := b.want("shop", secretIssuer())[0]
			good := b.until(t, "shop", id, "first read", func(s keys.State) bool { return s.Keys == 2 })
			b.objects.change(func() { c.harm(b.objects) })
			s := b.until(t, "shop", id, "harm noticed", func(s keys.State) bool { return s.Err != nil })
			if s.Keys != 2 || string(s.Set.JWKS) != string(good.Set.JWKS) {
				t.Error("the last good keys are gone")
			}
			if !strings.Contains(s.Err.Error(), c.says) || strings.Contains(s.Err.Error(), "canary") {
				t.Errorf("error %q; want %q in it and nothing of the content", s.Err, c.says)
			}
			b.objects.change(func() {
				b.objects.down = false
				b.objects.secrets["shop/corp"] = map[string][]byte{"jwks": []byte(jwks("a"))}
			})
			b.until(t, "shop", id, "mended, and a removed key gone", func(s keys.State) bool { return s.Err == nil && s.Keys == 1 })
		})
	}
}

// Of 10,000 keys the first 500 are kept, and a note says so: memory and time stay bounded, and nobody is left in the dark.
func TestOfTenThousandKeysTheFirstAreKept(t *testing.T) {
	t.Parallel()
	b := start(t)
	var kids []string
	for i := range 10_000 {
		kids = append(kids, fmt.Sprintf("k%d", i))
	}
	b.objects.change(func() { b.objects.secrets["shop/corp"] = map[string][]byte{"jwks": []byte(jwks(kids...))} })
	id := b.want("shop", secretIssuer())[0]
	s := b.until(t, "shop", id, "read", func(s keys.State) bool { return s.Keys == 500 })
	if len(s.Notes) != 1 || s.Notes[0] != "has 10000 keys; the first 500 are kept" {
		t.Errorf("notes %q", s.Notes)
	}
}

func TestPrivateKeysInPublicPlacesAreRefused(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.objects.change(func() {
		b.objects.maps["shop/leak"] = map[string]string{"jwks": `{"keys":[{"kty":"oct","k":"` + strings.Repeat("YWFh", 16) + `"}]}`}
	})
	id := b.want("shop", policy.Issuer{Keys: policy.KeySource{ConfigMapRef: &policy.KeyRef{Name: "leak", Key: "jwks"}}})[0]
	s := b.until(t, "shop", id, "refused", func(s keys.State) bool { return s.Err != nil })
	if s.Keys != 0 || strings.Contains(s.Err.Error(), "YWFh") {
		t.Errorf("%d keys, error %v", s.Keys, s.Err)
	}
}

func TestASourceThatHangsDelaysNoOther(t *testing.T) {
	t.Parallel()
	b := start(t)
	release := make(chan struct{})
	hung := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(func() { close(release); hung.Close() })
	fine := policy.Issuer{Keys: policy.KeySource{JWKS: jwks("a")}}
	ids := b.want("shop", policy.Issuer{Keys: policy.KeySource{JWKSURL: hung.URL}}, fine)
	b.until(t, "shop", ids[1], "read", func(s keys.State) bool { return s.Keys > 0 })
	if b.Settled("shop") {
		t.Error("settled, though a source hangs")
	}
	if s := b.States("shop"); s[ids[1]].Keys != 1 || s[ids[0]].Keys != 0 || s[ids[0]].Err != nil {
		t.Errorf("states %v", s)
	}
}

func TestManyUnknownKeysMakeFewFetches(t *testing.T) {
	t.Parallel()
	b := start(t)
	var fetches atomic.Int32
	idp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetches.Add(1)
		fmt.Fprint(w, jwks("a"))
	}))
	t.Cleanup(idp.Close)
	issuer := policy.Issuer{Keys: policy.KeySource{JWKSURL: idp.URL}}
	ids := b.want("shop", issuer)
	b.want("bank", issuer) // the same set
	b.until(t, "bank", ids[0], "fetched", func(s keys.State) bool { return s.Keys == 1 })
	if k := <-b.checked; k.ID != ids[0] || len(k.JWKS) == 0 {
		t.Errorf("told of %s with %d bytes of keys", k.ID, len(k.JWKS))
	}
	began := time.Now()
	for range 10_000 {
		b.Refetch(ids[0])
	}
	asked := time.Now()
	b.Refetch(ids[0])
	for k := range b.checked {
		if k.Began.Before(began) {
			t.Error("told of a fetch that nobody asked for")
		}
		if !k.Began.Before(asked) {
			break
		}
	}
	if n, most := int(fetches.Load()), fetch.Burst+int(time.Since(began)/fetch.MinGap); n > most {
		t.Errorf("%d fetches, want %d at most", n, most)
	}
}

func TestWhatNobodyWantsIsForgotten(t *testing.T) {
	t.Parallel()
	b := start(t)
	inline := policy.Issuer{Keys: policy.KeySource{JWKS: jwks("a")}}
	id := b.want("shop", inline)[0]
	b.want("bank", inline)
	b.want("shop")
	if _, ok := b.States("shop")[id]; ok {
		t.Error("shop still has it")
	}
	if s := b.States("bank")[id]; s.Keys != 1 {
		t.Error("bank has lost it")
	}
}

func TestAnAuthorityThatIsReadAgainLeavesNoError(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, jwks("a")) }))
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	b := start(t)
	b.objects.change(func() { b.objects.secrets["shop/ca"] = map[string][]byte{"ca.crt": ca} })
	issuer := byURL(server.URL)
	issuer.CASecretRef = &policy.KeyRef{Name: "ca", Key: "ca.crt"}
	id := b.want("shop", issuer)[0]
	b.until(t, "shop", id, "fetched", func(s keys.State) bool { return s.Keys == 1 && s.Err == nil })
	b.objects.change(func() { b.objects.down = true })
	b.until(t, "shop", id, "the API server is down", func(s keys.State) bool { return s.Keys == 1 && s.Err != nil })
	b.objects.change(func() { b.objects.down = false })
	b.until(t, "shop", id, "the API server is back, with the same authority", func(s keys.State) bool { return s.Keys == 1 && s.Err == nil })
}

func TestFetchesAreToldOfThoseThatANamespaceWants(t *testing.T) {
	t.Parallel()
	b := start(t)
	idp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/down" {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		fmt.Fprint(w, jwks("a"))
	}))
	t.Cleanup(idp.Close)
	up := b.want("shop", policy.Issuer{Keys: policy.KeySource{JWKSURL: idp.URL}}, policy.Issuer{Keys: policy.KeySource{JWKS: jwks("a")}})[0]
	down := b.want("bank", policy.Issuer{Keys: policy.KeySource{JWKSURL: idp.URL + "/down"}})[0]
	end := time.After(20 * time.Second)
	for {
		all := b.Fetches("")
		if len(all) == 2 && !all[up].Next.IsZero() && !all[down].Next.IsZero() {
			break
		}
		select {
		case <-end:
			t.Fatalf("nobody tells of the next fetches: %+v", all)
		case <-time.After(10 * time.Millisecond):
		}
	}
	shop, bank := b.Fetches("shop"), b.Fetches("bank")
	if r := shop[up]; len(shop) != 1 || r.Error != "" || r.Fetched.IsZero() || time.Until(r.Next) < time.Minute {
		t.Errorf("shop has %+v", shop)
	}
	if r := bank[down]; len(bank) != 1 || r.Failures == 0 || !strings.Contains(r.Error, "502") || !r.Fetched.IsZero() {
		t.Errorf("bank has %+v", bank)
	}
}
