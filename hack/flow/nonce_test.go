package flow_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

const publicURL = "https://api.example.com"

// caller asks pods with a token that is bound to its key.
type caller struct {
	prover *gatetest.Prover
	token  string
	proofs int
}

// ask sends a proof with a nonce to the pod at a port. It returns the status and, of a challenge, the error, and the nonce of the answer.
func (c *caller) ask(t *testing.T, port int, nonce string) (said, next string) {
	t.Helper()
	c.proofs++
	claims := map[string]any{}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/orders", port), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "DPoP "+c.token)
	request.Header.Set("DPoP", c.prover.Proof(gatetest.Made{
		Method: "GET", URL: publicURL + "/orders", Token: c.token, ID: fmt.Sprint(c.proofs), At: time.Now(), Claims: claims,
	}))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err.Error(), ""
	}
	defer response.Body.Close()
	said = fmt.Sprint(response.StatusCode)
	for _, name := range []string{"use_dpop_nonce", "invalid_dpop_proof"} {
		if strings.Contains(response.Header.Get("WWW-Authenticate"), name) {
			said += " " + name
		}
	}
	return said, response.Header.Get("DPoP-Nonce")
}

// guarded starts a pod of a namespace whose policy wants nonces, and returns its port.
func guarded(t *testing.T, ns, name string) int {
	t.Helper()
	app, port := newApp(t), freePort()
	pod := newPod(ns, fmt.Sprintf("%d:%d", port, portOf(app.URL)))
	pod.Name = name
	create(t, pod)
	startSidecar(t, pod, containerNamed(t, pod.Spec.InitContainers, "bearerguard"), t.TempDir())
	eventually(t, name+" has its policy", func() string { return get(t, fmt.Sprintf("http://127.0.0.1:%d/docs/a", port), "") }, "200")
	return port
}

// TestNoncesThatNobodySetUp has proofs of DPoP need nonces by a word in a policy: all pods of its namespace take one another's, those of another do not, a
// controller that restarts changes nothing, and deleting the Secret gives new ones.
func TestNoncesThatNobodySetUp(t *testing.T) {
	key := newKey(t)
	wanting := func() string {
		ns := newNamespace(t)
		p := newPolicy(t, ns, key)
		p.Spec.Issuers[0].Proof = &policy.Proof{DPoP: policy.BindingRequired, PublicURLs: []string{publicURL}, Nonce: policy.NonceRequired}
		create(t, p)
		return ns
	}
	shop, bank := wanting(), wanting()
	one, other, foreign := guarded(t, shop, "one"), guarded(t, shop, "two"), guarded(t, bank, "one")
	alice := &caller{prover: gatetest.NewProver("alice")}
	claims := alice.prover.Confirmation()
	claims["scope"] = "orders.read"
	alice.token = key.token(t, claims)
	check := func(what string, port int, nonce, want string) string {
		t.Helper()
		said, next := alice.ask(t, port, nonce)
		if said != want || next == "" {
			t.Errorf("%s: %s, and a nonce %q; want %s", what, said, next, want)
		}
		return next
	}

	nonce := check("without a nonce", one, "", "401 use_dpop_nonce")
	check("with it", one, nonce, "200")
	check("at another pod of the namespace", other, nonce, "200")
	check("at a pod of another namespace", foreign, nonce, "401 use_dpop_nonce")

	restartController(t)
	late := guarded(t, shop, "late")
	check("at a pod that started after the controller did anew", late, nonce, "200")

	old, made := check("a nonce that is new", one, nonce, "200"), time.Now()
	root := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: "bearerguard-nonces"}}
	if err := world.client.Delete(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	for name, port := range map[string]int{"one": one, "two": other} {
		eventually(t, "the Secret is made anew, and "+name+" does not take an old nonce", func() string {
			said, next := alice.ask(t, port, old)
			nonce = next
			return said
		}, "401 use_dpop_nonce")
	}
	if time.Since(made) > time.Minute {
		t.Fatal("too slow to tell: the nonce is too old anyway")
	}
	check("a new nonce", one, nonce, "200")
	check("a new nonce at the other pod", other, nonce, "200")
}

// The API server refuses what does not go together in proof, with its own rules.
func TestMistakesInProofAreRefusedByTheSchema(t *testing.T) {
	ns, key := newNamespace(t), newKey(t)
	url := []string{publicURL}
	ref := &policy.KeyRef{Name: "n", Key: "k"}
	for what, tc := range map[string]struct {
		proof policy.Proof
		want  string // empty: it is taken
	}{
		"nonces":                         {policy.Proof{DPoP: policy.BindingRequired, PublicURLs: url, Nonce: policy.NonceRequired}, ""},
		"nonces of a Secret":             {policy.Proof{DPoP: policy.BindingIfBound, PublicURLs: url, NonceSecretRef: ref}, ""},
		"no nonces, in words":            {policy.Proof{DPoP: policy.BindingIfBound, PublicURLs: url, Nonce: policy.NonceNone}, ""},
		"nonces without proofs":          {policy.Proof{MTLS: policy.BindingIfBound, Nonce: policy.NonceRequired}, "nonce and nonceSecretRef go with dpop"},
		"nonces of a Secret, and none":   {policy.Proof{DPoP: policy.BindingIfBound, PublicURLs: url, Nonce: policy.NonceNone, NonceSecretRef: ref}, "nonce: None wants none"},
		"an unknown use of nonces":       {policy.Proof{DPoP: policy.BindingIfBound, PublicURLs: url, Nonce: "On"}, `Unsupported value: "On"`},
		"nonces made with a public key":  {policy.Proof{DPoP: policy.BindingIfBound, PublicURLs: url, NonceSecretRef: &policy.KeyRef{Name: "n", Key: "k", Format: policy.FormatPEM}}, "nonces are made with a secret"},
		"DPoP without a public URL":      {policy.Proof{DPoP: policy.BindingIfBound}, "dpop needs publicURLs"},
		"a public URL for certificates":  {policy.Proof{MTLS: policy.BindingIfBound, PublicURLs: url}, "go with dpop"},
		"both ways of binding, required": {policy.Proof{DPoP: policy.BindingRequired, MTLS: policy.BindingRequired, PublicURLs: url}, "cannot both be Required"},
		"a public URL with a query":      {policy.Proof{DPoP: policy.BindingIfBound, PublicURLs: []string{"https://a.example?x"}}, "publicURLs[0]"},
		"the same public URL twice":      {policy.Proof{DPoP: policy.BindingIfBound, PublicURLs: []string{publicURL, publicURL}}, "Duplicate value"},
		"an unknown binding":             {policy.Proof{DPoP: "Optional", PublicURLs: url}, `Unsupported value: "Optional"`},
		"an unknown memory":              {policy.Proof{DPoP: policy.BindingIfBound, PublicURLs: url, Replay: "Shared"}, `Unsupported value: "Shared"`},
	} {
		p := newPolicy(t, ns, key)
		p.Spec.Issuers[0].Proof = &tc.proof
		err := world.client.Create(t.Context(), p)
		switch {
		case tc.want == "" && err != nil:
			t.Errorf("%s: %v", what, err)
		case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%s: err = %v; want one with %q", what, err, tc.want)
		}
	}
}
