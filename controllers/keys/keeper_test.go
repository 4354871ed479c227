package keys_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/controllers/keys"
)

// writer makes objects writable, with resource versions.
type writer struct {
	client.Client // nothing else is called
	objects       *objects
	writes        int
}

func (w *writer) Get(ctx context.Context, at client.ObjectKey, into client.Object, o ...client.GetOption) error {
	if err := w.objects.Get(ctx, at, into, o...); err != nil {
		return err
	}
	into.SetNamespace(at.Namespace)
	into.SetName(at.Name)
	into.SetResourceVersion(strconv.Itoa(w.writes))
	return nil
}

func (w *writer) Create(_ context.Context, o client.Object, _ ...client.CreateOption) error {
	return w.put(o)
}

func (w *writer) Update(_ context.Context, o client.Object, _ ...client.UpdateOption) error {
	if o.GetResourceVersion() != strconv.Itoa(w.writes) {
		return apierrors.NewConflict(schema.GroupResource{Resource: "secrets"}, o.GetName(), nil)
	}
	return w.put(o)
}

func (w *writer) put(o client.Object) error {
	w.writes++
	w.objects.change(func() { w.objects.secrets[client.ObjectKeyFromObject(o).String()] = o.(*corev1.Secret).Data })
	return nil
}

// fickle is a key server that can be broken.
func fickle(t *testing.T) (url string, broken *atomic.Bool) {
	t.Helper()
	broken = &atomic.Bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if broken.Load() {
			http.Error(w, "down", http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, jwks("a", "b"))
	}))
	t.Cleanup(server.Close)
	return server.URL, broken
}

func byURL(url string) policy.Issuer {
	return policy.Issuer{Name: "corp", Issuer: "https://corp.test", Keys: policy.KeySource{JWKSURL: url}}
}

// A replica that starts while a key server is down has the keys that another replica had.
func TestAReplicaThatStartsDuringAnOutageHasTheLastGoodKeys(t *testing.T) {
	t.Parallel()
	url, broken := fickle(t)
	a := start(t)
	id := a.want("shop", byURL(url))[0]
	first := a.until(t, "shop", id, "fetched", func(s keys.State) bool { return s.Keys == 2 })
	w := &writer{objects: a.objects}
	keeper := &keys.Keeper{Resolver: a.Resolver, Client: w, Namespace: system, Log: logr.Discard()}
	keeper.Keep(t.Context(), true)
	writes := w.writes
	keeper.Keep(t.Context(), true)
	if writes != 1 || w.writes != 1 {
		t.Errorf("%d and %d writes, want one for one key set that does not change", writes, w.writes)
	}

	broken.Store(true)
	b := startOn(t, a.objects)
	if err := b.Recall(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.want("shop", byURL(url))
	if s := b.States("shop")[id]; s.Keys != 2 || !bytes.Equal(s.Set.JWKS, first.Set.JWKS) || !s.Fetched.Equal(first.Fetched) {
		t.Errorf("at once: %d keys, fetched %v; want 2 of %v", s.Keys, s.Fetched, first.Fetched)
	}
	s := b.until(t, "shop", id, "the fetch has failed", func(s keys.State) bool { return s.Err != nil })
	if s.Keys != 2 || !s.Fetched.Equal(first.Fetched) {
		t.Errorf("after the failure: %d keys, fetched %v; want 2 of %v", s.Keys, s.Fetched, first.Fetched)
	}
	broken.Store(false)
	b.Refetch(id)
	b.until(t, "shop", id, "fetched again", func(s keys.State) bool { return s.Err == nil && s.Fetched.After(first.Fetched) })
}

// A replica that cannot reach a key server takes what another has fetched in the meantime.
func TestAReplicaThatIsCutOffTakesWhatOthersFetch(t *testing.T) {
	t.Parallel()
	url, broken := fickle(t)
	broken.Store(true)
	a := start(t)
	b := startOn(t, a.objects)
	id := b.want("shop", byURL(url))[0]
	b.until(t, "shop", id, "failed", func(s keys.State) bool { return s.Err != nil })
	broken.Store(false)
	a.want("shop", byURL(url))
	a.until(t, "shop", id, "fetched", func(s keys.State) bool { return s.Keys == 2 })
	broken.Store(true)
	(&keys.Keeper{Resolver: a.Resolver, Client: &writer{objects: a.objects}, Namespace: system, Log: logr.Discard()}).Keep(t.Context(), false)
	if err := b.Recall(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := b.States("shop")[id]; s.Keys != 2 {
		t.Errorf("%d keys, error %v", s.Keys, s.Err)
	}
}

func TestWhatIsSharedIsGivenToNobodyElse(t *testing.T) {
	t.Parallel()
	url, broken := fickle(t)
	a := start(t)
	id := a.want("shop", byURL(url))[0]
	a.until(t, "shop", id, "fetched", func(s keys.State) bool { return s.Keys == 2 })
	w := &writer{objects: a.objects}
	keeper := &keys.Keeper{Resolver: a.Resolver, Client: w, Namespace: system, Log: logr.Discard()}
	keeper.Keep(t.Context(), true)
	broken.Store(true)
	a.objects.change(func() { a.objects.secrets["shop/ca"] = map[string][]byte{"ca.crt": []byte("another authority")} })
	withCA := byURL(url)
	withCA.CASecretRef = &policy.KeyRef{Name: "ca", Key: "ca.crt"}
	discovered := policy.Issuer{Name: "corp", Issuer: url, Keys: policy.KeySource{Discovery: &policy.Discovery{}}}
	for name, issuer := range map[string]policy.Issuer{
		"another path": byURL(url + "/other"), "with another authority": withCA, "by discovery": discovered,
	} {
		b := startOn(t, a.objects)
		if err := b.Recall(t.Context()); err != nil {
			t.Fatal(err)
		}
		id := b.want("shop", issuer)[0]
		if s := b.until(t, "shop", id, name, func(s keys.State) bool { return s.Err != nil }); s.Keys != 0 {
			t.Errorf("%s: got %d keys of another source", name, s.Keys)
		}
	}

	// What no namespace wants any more goes, but not right after a start.
	a.Want("shop", nil)
	keeper.Keep(t.Context(), false)
	if got := stored(t, a.objects); len(got) != 1 {
		t.Errorf("right after the start: %d key sets", len(got))
	}
	keeper.Keep(t.Context(), true)
	if got := stored(t, a.objects); len(got) != 0 {
		t.Errorf("what nobody wants is still shared: %v", got)
	}
}

func TestOnlyPublicKeysAreTakenFromWhatIsShared(t *testing.T) {
	t.Parallel()
	url, broken := fickle(t)
	a := start(t)
	id := a.want("shop", byURL(url))[0]
	a.until(t, "shop", id, "fetched", func(s keys.State) bool { return s.Keys == 2 })
	keeper := &keys.Keeper{Resolver: a.Resolver, Client: &writer{objects: a.objects}, Namespace: system, Log: logr.Discard()}
	keeper.Keep(t.Context(), true)
	broken.Store(true)
	for name, change := range map[string]func(string) string{
		"a symmetric key": func(s string) string {
			return strings.Replace(s, `"kty":"OKP"`, `"kty":"oct","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"`, 2)
		},
		"garbage": func(s string) string { return s[:len(s)/2] },
	} {
		var changed *objects
		a.objects.change(func() {
			changed = &objects{secrets: map[string]map[string][]byte{}, maps: a.objects.maps}
			for at, data := range a.objects.secrets {
				changed.secrets[at] = map[string][]byte{"keys.json.gz": zip(t, change(unzip(t, data["keys.json.gz"])))}
			}
		})
		b := startOn(t, changed)
		_ = b.Recall(t.Context())
		b.want("shop", byURL(url))
		if s := b.until(t, "shop", id, name, func(s keys.State) bool { return s.Err != nil }); s.Keys != 0 {
			t.Errorf("%s: %d keys", name, s.Keys)
		}
		keeper := &keys.Keeper{Resolver: a.Resolver, Client: &writer{objects: changed}, Namespace: system, Log: logr.Discard()}
		keeper.Keep(t.Context(), true)
		if diff := cmp.Diff(stored(t, a.objects), stored(t, changed)); diff != "" {
			t.Errorf("%s: is not put right:\n%s", name, diff)
		}
	}
}

// stored is what the Secrets hold.
func stored(t *testing.T, o *objects) []string {
	t.Helper()
	var out []string
	o.change(func() {
		for at, data := range o.secrets {
			if text := unzip(t, data["keys.json.gz"]); strings.HasPrefix(at, system) && strings.TrimSpace(text) != "null" {
				out = append(out, text)
			}
		}
	})
	return out
}

func unzip(t *testing.T, data []byte) string {
	t.Helper()
	if data == nil {
		return "null"
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(z); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zip(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
