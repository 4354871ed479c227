package webhook_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/controllers/compile"
	"github.com/bearerguard/bearerguard/controllers/inject"
	"github.com/bearerguard/bearerguard/controllers/webhook"
)

const group, version = "bearerguard.dev", "v1alpha1"

func policyRequest(t *testing.T, spec string) admissionv1.AdmissionRequest {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte("apiVersion: bearerguard.dev/v1alpha1\nkind: AuthPolicy\nmetadata: {name: orders, namespace: shop}\nspec: " + spec))
	if err != nil {
		t.Fatal(err)
	}
	return admissionv1.AdmissionRequest{Kind: kind(group, version, "AuthPolicy"), Namespace: "shop", Name: "orders", Object: runtime.RawExtension{Raw: raw}}
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	const publicKey = `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`
	for name, tc := range map[string]struct {
		spec     string
		refused  []string // parts of the message; none: allowed
		warnings []string
	}{
		"a whole policy": {
			spec: `{issuers: [{name: a, issuer: "https://a.test", audiences: [b], keys: {discovery: {}}}], rules: [{name: r, allow: {authenticated: true}}]}`,
		},
		"a Secret that may come later is not looked for": {
			spec: `{issuers: [{name: a, issuer: "https://a.test", audiences: [b], keys: {secretRef: {name: s, key: k}}}], rules: [{name: r, allow: {authenticated: true}}]}`,
		},
		"no rules": {
			spec:     `{issuers: [{name: a, issuer: "https://a.test", audiences: [b], keys: {discovery: {}}}]}`,
			warnings: []string{"spec.rules: there are none, so this policy allows nothing by itself"},
		},
		"what is probably not meant": {
			spec: `{issuers: [{name: a, issuer: a, anyAudience: true, algorithms: [HS256], keys: {secretRef: {name: s, key: k}}}], rules: [{name: r, allow: {anonymous: true}}, {name: d, deny: {subjects: [bob]}}, {name: s, match: [{paths: [/s], ports: [80]}], allow: {scopes: [s]}}]}`,
			warnings: []string{
				"spec.rules[0].allow.anonymous: lets everybody in, to every path",
				"spec.issuers[0].anyAudience: takes tokens that were made for other apps, and rule s asks for no client of theirs",
				"spec.rules[2].allow: changes nothing: rule r lets in every request that it matches, without a token",
				"spec.rules[1].deny: a client that leaves its token out is not denied: rule r lets it in without one",
				"spec.issuers[0].keys.secretRef: every workload of the namespace verifies with this HMAC secret",
			},
		},
		"keys over plain http": {
			spec: `{issuers: [{name: a, issuer: "http://a.test", audiences: [b], keys: {discovery: {}}}, {name: b, issuer: "https://b.test", audiences: [b], keys: {jwksURL: "http://b.test/k"}}], rules: [{name: r, allow: {authenticated: true}}]}`,
			warnings: []string{
				"spec.issuers[0].issuer: plain http, which the controller does not fetch: it runs without --key-allow-http",
				"spec.issuers[1].keys.jwksURL: plain http, which the controller does not fetch: it runs without --key-allow-http",
			},
		},
		"every mistake is named": {
			spec:    `{selector: {matchExpressions: [{key: a, operator: In}]}, issuers: [{name: a, issuer: "https://a.test", audiences: [b], keys: {}}], rules: [{name: r, allow: {issuers: [c]}}]}`,
			refused: []string{"spec.selector.matchExpressions[0].values", "spec.issuers[0].keys", "spec.rules[0].allow.issuers[0]"},
		},
		"a label that no pod can have": {
			spec:    `{selector: {matchLabels: {"app!": x}}, issuers: [{name: a, issuer: "https://a.test", audiences: [b], keys: {discovery: {}}}], rules: [{name: r, allow: {authenticated: true}}]}`,
			refused: []string{`spec.selector.matchLabels[app!]: no label has the key "app!"; want up to 63 letters`},
		},
		"an unknown capture": {
			spec:    `{issuers: [{name: a, issuer: "https://a.test", audiences: [b], keys: {discovery: {}}}], rules: [{name: r, match: [{paths: ["/a/{id}"]}], allow: {when: "path.user == claims.sub"}}]}`,
			refused: []string{"spec.rules[0].allow.when", "id"},
		},
		"an inline key set": {
			spec: `{issuers: [{name: a, issuer: "https://a.test", audiences: [b], keys: {jwks: '{"keys":[` + publicKey + `]}'}}], rules: [{name: r, allow: {authenticated: true}}]}`,
		},
		"an inline key set with a key that is left out": {
			spec:     `{issuers: [{name: a, issuer: "https://a.test", audiences: [b], keys: {jwks: '{"keys":[` + publicKey + `,{"kty":"XYZ","kid":"s"}]}'}}], rules: [{name: r, allow: {authenticated: true}}]}`,
			warnings: []string{"spec.issuers[0].keys.jwks: left out: "},
		},
		"an inline secret": {
			spec:    `{issuers: [{name: a, issuer: "https://a.test", audiences: [b], keys: {jwks: '{"kty":"oct","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}'}}], rules: [{name: r, allow: {authenticated: true}}]}`,
			refused: []string{"spec.issuers[0].keys.jwks: ", "want public keys"},
		},
		"what is valid but not meant": {
			spec: `{issuers: [{name: a, issuer: "https://a.test", audiences: [b], keys: {discovery: {}}, from: [{header: Authorization, prefix: Bearer}]}], rules: [` +
				`{name: r, match: [{paths: ["/a/:id"]}], allow: {subjects: ["admin-*"], when: 'request.headers["X-A"] == "b"'}}, {name: "no", match: [{paths: ["/a/**"]}], deny: {}}]}`,
			warnings: []string{
				`spec.issuers[0].from[0].prefix: "Bearer" has no space at its end`,
				`spec.rules[0].match[0].paths[0]: ":id" is a literal segment`,
				`spec.rules[0].allow.subjects[0]: "admin-*" is compared as it is`,
				`spec.rules[0].allow.when: request.headers has its names in lower case`,
				`spec.rules[0]: can let no request in: deny rule no refuses`,
			},
		},
		"a field of a wrong type": {spec: `{rules: 7}`, refused: []string{"decode AuthPolicy: ", "rules"}},
		"an empty spec":           {spec: `{}`, warnings: []string{"spec.rules: there are none, so this policy allows nothing by itself"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resp := serve(t).review(t, webhook.AuthPoliciesPath, policyRequest(t, tc.spec))
			if resp.Allowed != (tc.refused == nil) {
				t.Fatalf("allowed %v: %s", resp.Allowed, resp.Result.Message)
			}
			for _, part := range tc.refused {
				if !strings.Contains(resp.Result.Message, part) {
					t.Errorf("message lacks %q: %s", part, resp.Result.Message)
				}
			}
			if strings.Contains(resp.Result.Message, "c2VjcmV0") {
				t.Error("the message quotes a key")
			}
			if len(resp.Warnings) != len(tc.warnings) {
				t.Fatalf("warnings %q, want %q", resp.Warnings, tc.warnings)
			}
			for i, w := range tc.warnings {
				if !strings.HasPrefix(resp.Warnings[i], w) {
					t.Errorf("warning %q, want %q", resp.Warnings[i], w)
				}
			}
		})
	}
}

func TestPlainHTTPWarningFollowsTheController(t *testing.T) {
	t.Parallel()
	h := serveWith(t, func(c *webhook.Config) { c.KeyAllowHTTP = true })
	resp := h.review(t, webhook.AuthPoliciesPath, policyRequest(t, `{issuers: [{name: a, issuer: "https://a.test", audiences: [b], keys: {discovery: {url: "http://a.test/m"}}}], rules: [{name: r, allow: {authenticated: true}}]}`))
	want := []string{"spec.issuers[0].keys.discovery.url: plain http: whoever is on the way can replace the keys"}
	if diff := cmp.Diff(want, resp.Warnings); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A rule that was stored before it had to say whom it allows may stay while something else is edited; a new one may not come.
func TestARuleThatSaysNothingOfWhomItAllows(t *testing.T) {
	t.Parallel()
	h := serve(t)
	const issuers = `{issuers: [{name: a, issuer: "https://a.test", audiences: [b], keys: {discovery: {}}}], rules: [`
	for name, tc := range map[string]struct {
		old, rules string
		warning    string // none: refused
	}{
		"it is as it was, another is new": {
			"{name: r, allow: {}}", "{name: new, deny: {scopes: [x]}}, {name: r, allow: {}}",
			"spec.rules[1].allow: says nothing of who is allowed, which counts as any valid token in this release and is refused in the next; write authenticated: true",
		},
		"it had a condition before": {"{name: r, allow: {scopes: [x]}}", "{name: r, allow: {}}", ""},
		"another had none before":   {"{name: q, allow: {}}", "{name: r, allow: {}}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := policyRequest(t, issuers+tc.rules+"]}")
			req.Operation, req.OldObject = admissionv1.Update, policyRequest(t, issuers+tc.old+"]}").Object
			resp := h.review(t, webhook.AuthPoliciesPath, req)
			if resp.Allowed != (tc.warning != "") {
				t.Fatalf("allowed %v: %v", resp.Allowed, resp.Result)
			}
			if tc.warning != "" && (len(resp.Warnings) != 1 || resp.Warnings[0] != tc.warning) {
				t.Errorf("warnings %q, want %q", resp.Warnings, tc.warning)
			}
		})
	}
}

// An object from before an upgrade can still be labelled and deleted.
func TestAnUpdateOfMetadataAlonePasses(t *testing.T) {
	t.Parallel()
	h := serve(t)
	bad := policyRequest(t, `{rules: [{name: r}]}`)
	if resp := h.review(t, webhook.AuthPoliciesPath, bad); resp.Allowed {
		t.Fatal("the policy is not as bad as the test needs")
	}
	bad.Operation, bad.OldObject = admissionv1.Update, bad.Object
	bad.Object.Raw = bytes.Replace(bad.Object.Raw, []byte(`"metadata":{`), []byte(`"metadata":{"labels":{"a":"b"},`), 1)
	if resp := h.review(t, webhook.AuthPoliciesPath, bad); !resp.Allowed {
		t.Errorf("refused: %s", resp.Result.Message)
	}
}

func TestRevocations(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ spec, refused string }{
		"by jti":           {`{"issuer":"https://a.test","entries":[{"jti":"x"}]}`, ""},
		"of nothing":       {`{"issuer":"https://a.test","entries":[{}]}`, "spec.entries[0]: has 0 of jti, subject, session; want exactly one"},
		"of no issuer":     {`{"entries":[{"jti":"x"}]}`, "spec.issuer: is empty; want the iss of the tokens to take back"},
		"a malformed time": {`{"issuer":"https://a.test","entries":[{"jti":"x","expiresAt":"soon"}]}`, "decode TokenRevocation: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw := []byte(`{"apiVersion":"bearerguard.dev/v1alpha1","kind":"TokenRevocation","metadata":{"name":"r"},"spec":` + tc.spec + `}`)
			resp := serve(t).review(t, webhook.TokenRevocationsPath, admissionv1.AdmissionRequest{
				Kind: kind(group, version, "TokenRevocation"), Namespace: "shop", Object: runtime.RawExtension{Raw: raw}})
			if resp.Allowed != (tc.refused == "") || !strings.HasPrefix(resp.Result.Message, tc.refused) {
				t.Errorf("allowed %v, %q; want %q", resp.Allowed, resp.Result.Message, tc.refused)
			}
		})
	}
}

// An update is judged by what it says, times and all; metadata alone is nobody's business.
func TestUpdatesOfARevocation(t *testing.T) {
	t.Parallel()
	object := func(name, until string) runtime.RawExtension {
		return runtime.RawExtension{Raw: []byte(`{"apiVersion":"bearerguard.dev/v1alpha1","kind":"TokenRevocation","metadata":{"name":"` + name +
			`"},"spec":{"issuer":"https://a.test","entries":[{"jti":"x","issuedBefore":"2026-01-01T00:00:00Z","expiresAt":"` + until + `"}]}}`)}
	}
	for until, want := range map[string]int{"2030-01-01T00:00:00Z": 0, "2031-01-01T00:00:00+01:00": 1} {
		asked := 0
		h := serveWith(t, func(c *webhook.Config) {
			c.Room = func(context.Context, string, string, revoked.List, time.Time) error { asked++; return nil }
		})
		resp := h.review(t, webhook.TokenRevocationsPath, admissionv1.AdmissionRequest{
			Kind: kind(group, version, "TokenRevocation"), Namespace: "shop", Name: "r", Operation: admissionv1.Update,
			OldObject: object("r", "2030-01-01T00:00:00Z"), Object: object("r", until),
		})
		if !resp.Allowed || asked != want {
			t.Errorf("%s: allowed %v (%s), looked for room %d times, want %d", until, resp.Allowed, resp.Result.Message, asked, want)
		}
	}
}

func TestARevocationWithoutRoomIsRefused(t *testing.T) {
	t.Parallel()
	h := serveWith(t, func(c *webhook.Config) {
		c.Room = func(_ context.Context, namespace, name string, entries revoked.List, _ time.Time) error {
			return fmt.Errorf("spec.entries: no room for %d entries of %s/%s", len(entries), namespace, name)
		}
	})
	resp := h.review(t, webhook.TokenRevocationsPath, admissionv1.AdmissionRequest{
		Kind: kind(group, version, "TokenRevocation"), Namespace: "shop", Name: "r", Object: runtime.RawExtension{Raw: []byte(
			`{"apiVersion":"bearerguard.dev/v1alpha1","kind":"TokenRevocation","metadata":{"name":"r"},"spec":{"issuer":"https://a.test","entries":[{"jti":"x"}]}}`)}})
	if want := "spec.entries: no room for 1 entries of shop/r"; resp.Allowed || resp.Result.Message != want {
		t.Errorf("allowed %v, %q; want %q", resp.Allowed, resp.Result.Message, want)
	}
}

// What the project shows as an example must be accepted as it is.
func TestSamplesAreAccepted(t *testing.T) {
	t.Parallel()
	h := serve(t)
	for _, pattern := range []string{"../../config/samples/*.yaml", "../../config/samples/standalone/*.yaml", "../../config/samples/cookbook/*.yaml", "../../config/samples/identity-providers/*.yaml", "../../config/samples/ext-authz/authpolicy.yaml", "../../hack/e2e/manifests/policy.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no samples: %s", pattern)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for i, doc := range strings.Split(string(text), "\n---\n") {
				raw, err := yaml.YAMLToJSON([]byte(doc))
				if err != nil {
					t.Fatalf("%s: %v", file, err)
				}
				path := map[bool]string{true: webhook.AuthPoliciesPath}[bytes.Contains(raw, []byte(`"kind":"AuthPolicy"`))]
				if bytes.Contains(raw, []byte(`"kind":"TokenRevocation"`)) {
					path = webhook.TokenRevocationsPath
				}
				if bytes.Contains(raw, []byte(`"kind":"RevocationSource"`)) {
					path = webhook.RevocationSourcesPath
				}
				if path == "" {
					continue
				}
				resp := h.review(t, path, admissionv1.AdmissionRequest{Namespace: "shop", Object: runtime.RawExtension{Raw: raw}})
				if !resp.Allowed {
					t.Errorf("%s, object %d: %s", file, i+1, resp.Result.Message)
				}
			}
		}
	}
}

func TestAPolicyIsToldOfItsCompany(t *testing.T) {
	t.Parallel()
	const spec = `{selector: {matchLabels: {app: orders}}, issuers: [{name: a, issuer: "https://a.test", audiences: [b], keys: {discovery: {}}}], rules: [{name: r, allow: {authenticated: true}}]}`
	var got compile.Neighbour
	h := serveWith(t, func(c *webhook.Config) {
		c.Company = func(_ context.Context, namespace string, p compile.Neighbour) []string {
			got = p
			return []string{"in " + namespace}
		}
	})
	resp := h.review(t, webhook.AuthPoliciesPath, policyRequest(t, spec))
	want := compile.Neighbour{Name: "orders", Selector: policy.Selector{MatchLabels: map[string]string{"app": "orders"}}, Issuers: 1}
	if diff := cmp.Diff([]any{true, []string{"in shop"}, want}, []any{resp.Allowed, resp.Warnings, got}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Selectors are Kubernetes' own, so what it takes as a label is taken here, and nothing else.
func TestSelectorsAreThoseOfKubernetes(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"app", "app!", "a b", "", "-a", "a-", "a_b.c-d", "A", "9", "example.com/app", "Example.com/app", "example.com/", "/app", "a/b/c", "ex_ample.com/a",
		"-example.com/a", strings.Repeat("a", 63), strings.Repeat("a", 64), strings.Repeat("a", 253) + "/a", strings.Repeat("a", 254) + "/a", "a\n", "é",
	} {
		for _, s := range []policy.Selector{
			{MatchLabels: map[string]string{text: "x"}}, {MatchLabels: map[string]string{"app": text}},
			{MatchExpressions: []policy.SelectorRequirement{{Key: text, Operator: policy.Exists}}},
			{MatchExpressions: []policy.SelectorRequirement{{Key: "app", Operator: policy.NotIn, Values: []string{text}}}},
			{MatchExpressions: []policy.SelectorRequirement{{Key: "app", Operator: policy.SelectorOperator(text)}}},
		} {
			var theirs metav1.LabelSelector
			unmarshal(t, toJSON(t, s), &theirs)
			_, want := metav1.LabelSelectorAsSelector(&theirs)
			if got := s.Validate("spec.selector"); (got == nil) != (want == nil) {
				t.Errorf("%+v: got %v, Kubernetes says %v", s, got, want)
			}
		}
	}
}

const smallSpec = `{issuers: [{name: a, issuer: "https://a.test", audiences: [b], keys: {discovery: {}}}], rules: [{name: r, allow: {authenticated: true}}]}`

func TestAPolicyBeyondTheBudgetIsRefused(t *testing.T) {
	t.Parallel()
	var got compile.Newcomer
	h := serveWith(t, func(c *webhook.Config) {
		c.Budget = func(_ context.Context, p compile.Newcomer) error {
			got = p
			return errors.New("with this one the namespace has 5001 policies")
		}
	})
	grown := policyRequest(t, strings.Replace(smallSpec, "rules: [", "rules: [{name: s, deny: {}}, ", 1))
	grown.Operation, grown.OldObject = admissionv1.Update, policyRequest(t, smallSpec).Object
	for name, tc := range map[string]struct {
		req        admissionv1.AdmissionRequest
		rules, was int
	}{
		"a new one":          {policyRequest(t, smallSpec), 1, 0},
		"one that was there": {grown, 2, 1},
	} {
		resp := h.review(t, webhook.AuthPoliciesPath, tc.req)
		if want := "with this one the namespace has 5001 policies"; resp.Allowed || resp.Result.Message != want {
			t.Errorf("%s: allowed %v, %q", name, resp.Allowed, resp.Result.Message)
		}
		was := 0
		if got.Was != nil {
			was = got.Was().Rules
		}
		want := compile.Newcomer{Namespace: "shop", Name: "orders", Cost: compile.Cost{Rules: tc.rules, Sources: []string{"discovery: issuer:https://a.test"}}}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(compile.Newcomer{}, "Was")); diff != "" || was != tc.was {
			t.Errorf("%s: took %d rules before; (-want +got):\n%s", name, was, diff)
		}
	}
}

// However many policies of a namespace wait, and however long they take: pods are answered, and other namespaces.
func TestPodsDoNotWaitForPolicies(t *testing.T) {
	t.Parallel()
	entered, release := make(chan string, 9), make(chan struct{})
	h := serveWith(t, func(c *webhook.Config) {
		c.Company = func(_ context.Context, namespace string, _ compile.Neighbour) []string {
			entered <- namespace
			if namespace == "shop" {
				<-release
			}
			return nil
		}
	}, inject.Namespace{Name: "shop"})
	var waiting sync.WaitGroup
	for range 5 {
		waiting.Go(func() { h.review(t, webhook.AuthPoliciesPath, policyRequest(t, smallSpec)) })
	}
	<-entered
	pod := admissionv1.AdmissionRequest{Kind: kind("", "v1", "Pod"), Namespace: "shop", Object: runtime.RawExtension{Raw: toJSON(t, podOf("shop", nil, asked))}}
	if resp := h.review(t, webhook.PodsPath, pod); !resp.Allowed {
		t.Errorf("the pod is refused: %v", resp.Result)
	}
	other := policyRequest(t, smallSpec)
	other.Namespace = "billing"
	if resp := h.review(t, webhook.AuthPoliciesPath, other); !resp.Allowed {
		t.Errorf("the policy of another namespace is refused: %v", resp.Result)
	}
	if got := <-entered; got != "billing" || len(entered) != 0 {
		t.Errorf("%s came next, with %d more: the namespace has one turn at a time", got, len(entered))
	}
	close(release)
	waiting.Wait()
}
