package bundle_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/policy"
)

func orders() bundle.Object {
	yes := true
	return bundle.Object{
		Namespace: "shop", Name: "orders", Generation: 3,
		Spec: policy.Spec{
			Issuers: []policy.Issuer{
				{
					Name: "corp", Issuer: "https://login.example.com", Audiences: []string{"orders"},
					Keys:       policy.KeySource{SecretRef: &policy.KeyRef{Name: "corp", Key: "jwks"}},
					Decryption: &policy.Decryption{SecretRef: policy.KeyRef{Name: "jwe", Key: "k"}},
					ClockSkew:  &policy.Duration{Duration: 90 * time.Second},
				},
				{
					Name: "other", Issuer: "https://other.example.com", AnyAudience: true,
					Keys: policy.KeySource{JWKSURL: "https://other.example.com/jwks"},
				},
			},
			Rules: []policy.Rule{{
				Name:  "read",
				Match: []policy.Match{{Paths: []string{"/orders/{id}"}, Methods: []string{"GET"}}},
				Allow: &policy.Allow{Conditions: policy.Conditions{
					Scopes: []string{"orders.read"},
					Claims: []policy.ClaimCondition{{Claim: "tenant", Exists: &yes}},
				}},
			}},
		},
	}
}

func keys() map[string]bundle.KeySet {
	return map[string]bundle.KeySet{
		"secret:shop/corp/jwks as:Keys":                {JWKS: []byte(`{"keys":[1]}`)},
		"decryption:shop/jwe/k":                        {JWKS: []byte(`{"keys":[2]}`)},
		"secret:elsewhere/unrelated/jwks":              {JWKS: []byte(`{"keys":[3]}`)},
		"url:https://login.example.com/unrelated/jwks": {JWKS: []byte(`{"keys":[4]}`)},
	}
}

func TestAssembleGivesOnlyTheKeysThatThePoliciesName(t *testing.T) {
	t.Parallel()
	b := bundle.Assemble([]bundle.Object{orders()}, keys())
	got := map[string]string{}
	for id, k := range b.KeySets {
		got[id] = string(k.JWKS)
	}
	want := map[string]string{"secret:shop/corp/jwks as:Keys": `{"keys":[1]}`, "decryption:shop/jwe/k": `{"keys":[2]}`}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("key sets (-want +got):\n%s", d)
	}
	wantIDs := []string{"secret:shop/corp/jwks as:Keys", "url:https://other.example.com/jwks"}
	if d := cmp.Diff(wantIDs, b.Policies[0].Keys); d != "" {
		t.Errorf("the ids also name unresolved sources (-want +got):\n%s", d)
	}
}

func TestKeysStayWhileTheirSourceCannotBeRead(t *testing.T) {
	t.Parallel()
	old := map[string]bundle.KeySet{
		"secret:shop/corp/jwks as:Keys": {JWKS: []byte("old")}, "url:https://other.example.com/jwks": {JWKS: []byte("kept")},
		"decryption:shop/jwe/k": {JWKS: []byte("kept too")}, "secret:shop/gone/jwks": {JWKS: []byte("of no policy now")},
	}
	b := bundle.Assemble([]bundle.Object{orders()}, map[string]bundle.KeySet{"secret:shop/corp/jwks as:Keys": {JWKS: []byte("new")}})
	if !b.KeepKeys(old) {
		t.Error("nothing was kept")
	}
	got := map[string]string{}
	for id, k := range b.KeySets {
		got[id] = string(k.JWKS)
	}
	want := map[string]string{
		"secret:shop/corp/jwks as:Keys": "new", "url:https://other.example.com/jwks": "kept", "decryption:shop/jwe/k": "kept too",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("key sets (-want +got):\n%s", d)
	}
	if b.KeepKeys(old) {
		t.Error("a second time, something was kept")
	}
}

func TestEncodeDoesNotDependOnOrder(t *testing.T) {
	t.Parallel()
	x, y := orders(), orders()
	y.Name = "billing"
	one := encode(t, bundle.Assemble([]bundle.Object{x, y}, keys()))
	two := encode(t, bundle.Assemble([]bundle.Object{y, x}, keys()))
	if bundle.Version(one) != bundle.Version(two) {
		t.Error("the version depends on the order of the policies")
	}
}

// A set that was read as keys must never stand in for one that is read as a secret, nor the reverse.
func TestSourcesReadInAnotherWayAreOthers(t *testing.T) {
	t.Parallel()
	issuer := func(format policy.KeyFormat, algorithms ...policy.Algorithm) policy.Issuer {
		ref := policy.KeyRef{Name: "corp", Key: "k", Format: format}
		return policy.Issuer{Keys: policy.KeySource{SecretRef: &ref}, Algorithms: algorithms, Decryption: &policy.Decryption{SecretRef: ref}}
	}
	want := map[string]policy.Issuer{
		"secret:shop/corp/k as:Keys":         issuer("", "RS256", "HS256"),
		"secret:shop/corp/k as:KeysOrSecret": issuer(policy.FormatAuto, "HS256"),
		"secret:shop/corp/k as:HMAC":         issuer(policy.FormatHMAC, "HS256"),
		"secret:shop/corp/k as:PEM":          issuer(policy.FormatPEM),
	}
	for id, i := range want {
		if got := bundle.SourceID("shop", i); got != id {
			t.Errorf("got %s, want %s", got, id)
		}
	}
	if a, b := bundle.DecryptionID("shop", issuer("")), bundle.DecryptionID("shop", issuer(policy.FormatPEM)); a != "decryption:shop/corp/k" || b != a+" as:PEM" {
		t.Errorf("decryption: %s, %s", a, b)
	}
}

func TestVersionChangesWithWhatASidecarMustKnow(t *testing.T) {
	t.Parallel()
	base := bundle.Version(encode(t, bundle.Assemble([]bundle.Object{orders()}, keys())))
	for what, change := range map[string]func(*bundle.Object, map[string]bundle.KeySet){
		"the generation": func(o *bundle.Object, _ map[string]bundle.KeySet) { o.Generation++ },
		"a rule":         func(o *bundle.Object, _ map[string]bundle.KeySet) { o.Spec.Rules[0].Name = "x" },
		"a key": func(_ *bundle.Object, k map[string]bundle.KeySet) {
			k["secret:shop/corp/jwks as:Keys"] = bundle.KeySet{JWKS: []byte("{}")}
		},
		"a key that is gone": func(_ *bundle.Object, k map[string]bundle.KeySet) { delete(k, "secret:shop/corp/jwks as:Keys") },
	} {
		o, k := orders(), keys()
		change(&o, k)
		if bundle.Version(encode(t, bundle.Assemble([]bundle.Object{o}, k))) == base {
			t.Errorf("%s changes and the version does not", what)
		}
	}
}

func TestDecodeGivesBackWhatWasEncoded(t *testing.T) {
	t.Parallel()
	want := bundle.Assemble([]bundle.Object{orders()}, keys())
	got, err := bundle.Decode(encode(t, want))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("decoded (-want +got):\n%s", d)
	}
}

func TestDecodeRefusesAFeatureThatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	b := bundle.Assemble([]bundle.Object{orders()}, nil)
	b.Features |= 1 << 63
	_, err := bundle.Decode(encode(t, b))
	if !errors.Is(err, bundle.ErrUnknownFeature) {
		t.Errorf("err = %v; want ErrUnknownFeature", err)
	}
}

func TestSourcesDifferWhereWhatIsReadDiffers(t *testing.T) {
	t.Parallel()
	ref := &policy.KeyRef{Name: "a", Key: "b"}
	issuers := map[string]policy.Issuer{
		"url":                      {Keys: policy.KeySource{JWKSURL: "https://a/b"}},
		"url with a CA":            {Keys: policy.KeySource{JWKSURL: "https://a/b"}, CASecretRef: ref},
		"discovery of one issuer":  {Issuer: "https://a", Keys: policy.KeySource{Discovery: &policy.Discovery{}}},
		"discovery of another":     {Issuer: "https://c", Keys: policy.KeySource{Discovery: &policy.Discovery{}}},
		"discovery at another URL": {Issuer: "https://a", Keys: policy.KeySource{Discovery: &policy.Discovery{URL: "https://d"}}},
		"inline":                   {Keys: policy.KeySource{JWKS: `{"keys":[]}`}},
		"other inline":             {Keys: policy.KeySource{JWKS: `{"keys":[{}]}`}},
		"secret":                   {Keys: policy.KeySource{SecretRef: ref}},
		"config map":               {Keys: policy.KeySource{ConfigMapRef: ref}},
		"kubernetes":               {Keys: policy.KeySource{Kubernetes: &policy.KubernetesKeys{}}},
		"discovery with a CA": {
			Issuer: "https://a", Keys: policy.KeySource{Discovery: &policy.Discovery{}}, CASecretRef: ref,
		},
		"an issuer that reads like one with that CA": {
			Issuer: "https://a ca:shop/a/b", Keys: policy.KeySource{Discovery: &policy.Discovery{}},
		},
		"a URL that reads like one with a CA": {Keys: policy.KeySource{JWKSURL: "https://a/b ca:shop/a/b"}},
		"an issuer in quotes":                 {Issuer: `"https://a ca:shop/a/b"`, Keys: policy.KeySource{Discovery: &policy.Discovery{}}},
	}
	seen := map[string]string{}
	for what, issuer := range issuers {
		id := bundle.SourceID("shop", issuer)
		if other, ok := seen[id]; ok || id == "" {
			t.Errorf("%s has the id %q of %s", what, id, other)
		}
		seen[id] = what
	}
	if strings.Contains(bundle.SourceID("shop", issuers["inline"]), "keys") {
		t.Error("an id holds key material")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(f, bundle.Assemble([]bundle.Object{orders()}, keys())))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := bundle.Decode(data)
		if err != nil {
			return
		}
		again, err := bundle.Decode(encode(t, b))
		if err != nil {
			t.Fatalf("what was decoded cannot be decoded again: %v", err)
		}
		if len(again.Policies) != len(b.Policies) {
			t.Error("policies were lost")
		}
	})
}

func encode(tb testing.TB, b *bundle.Bundle) []byte {
	tb.Helper()
	out, err := bundle.Encode(b)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}
