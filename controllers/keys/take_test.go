package keys

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/fetch"
	"github.com/bearerguard/bearerguard/api/policy"
)

const oneKey = `{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`

// idle is a Resolver that reads nothing by itself: no source is wanted from it.
func idle(t *testing.T) *Resolver {
	t.Helper()
	r, err := New(Options{
		Reader:  struct{ client.Reader }{},
		Cluster: func(context.Context) (string, []byte, error) { return "", nil, nil },
		Fetch:   fetch.Options{AllowHTTP: true, AllowNets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// knows adds an entry for s by hand.
func (r *Resolver) knows(s fetch.Source, namespace string, size int) {
	e := &entry{from: &s, namespaces: map[string]bool{namespace: true}, source: Source{Keys: policy.KeySource{JWKSURL: s.JWKSURL}}}
	e.state.Set.JWKS = make([]byte, size)
	r.entries[s.JWKSURL] = e
	r.wanted[namespace] = append(r.wanted[namespace], s.JWKSURL)
}

func TestOfAnAnswerTheKeysAloneAreKept(t *testing.T) {
	t.Parallel()
	idp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"keys":[%s,{"kty":"XYZ","kid":"odd"}],"junk":%q}`, oneKey, strings.Repeat("j", 500<<10))
	}))
	t.Cleanup(idp.Close)
	r, s := idle(t), fetch.Source{JWKSURL: idp.URL}
	r.knows(s, "shop", 0)
	data, _, err := r.fetchOnce(t.Context(), s)
	if err != nil || len(data) > 200 {
		t.Errorf("%d bytes are kept, error %v; want the one key", len(data), err)
	}
	if p := r.notes[s]; len(p) != 1 || !strings.Contains(p[0], "odd") {
		t.Errorf("problems %q; want the key that is left out", p)
	}
}

func TestANamespaceDoesNotFillTheMemoryWithFetchedKeys(t *testing.T) {
	t.Parallel()
	r := idle(t)
	fresh, common := fetch.Source{JWKSURL: "https://fresh.test"}, fetch.Source{JWKSURL: "https://common.test"}
	r.knows(fetch.Source{JWKSURL: "https://hoard.test"}, "greedy", maxFetched)
	r.knows(fresh, "greedy", 0)
	r.knows(common, "greedy", 0)
	set := []byte(`{"keys":[` + oneKey + `]}`)
	if _, err := r.keep(fresh, set); err == nil || !strings.Contains(err.Error(), "together") {
		t.Errorf("error %v; want a refusal", err)
	}
	r.entries[common.JWKSURL].namespaces["modest"] = true
	r.wanted["modest"] = []string{common.JWKSURL}
	if _, err := r.keep(common, set); err != nil {
		t.Errorf("one namespace's hoard costs another its keys: %v", err)
	}
}
