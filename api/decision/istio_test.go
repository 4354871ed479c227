package decision_test

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

// documented returns the AuthPolicies of a page's YAML blocks.
func documented(t *testing.T, page string) []decision.Policy {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + page)
	if err != nil {
		t.Fatal(err)
	}
	var out []decision.Policy
	for _, block := range strings.Split(string(text), "```yaml\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		if !strings.Contains(block, "kind: AuthPolicy\n") {
			continue
		}
		var object struct {
			APIVersion, Kind string
			Metadata         struct{ Name, Namespace string }
			Spec             struct {
				Selector    policy.Selector `json:"selector"`
				policy.Spec `json:",inline"`
			}
		}
		if err := yaml.UnmarshalStrict([]byte(block), &object); err != nil {
			t.Fatalf("%s: %v", page, err)
		}
		out = append(out, decision.Policy{Namespace: object.Metadata.Namespace, Name: object.Metadata.Name, Spec: object.Spec.Spec})
	}
	return out
}

// TestIstioExample decides by the example of docs/istio.md what Istio decides by its own.
func TestIstioExample(t *testing.T) {
	t.Parallel()
	policies := documented(t, "istio.md")
	if len(policies) != 1 {
		t.Fatalf("%d policies in docs/istio.md, want 1", len(policies))
	}
	p, err := decision.Compile(policies)
	if err != nil {
		t.Fatal(err)
	}
	for line, test := range map[string]struct {
		roles   string
		headers []string
		want    decision.Reason
	}{
		"GET /healthz":                              {want: decision.Allowed},
		"POST /healthz":                             {want: decision.NoToken},
		"GET /docs/a/b":                             {want: decision.Allowed},
		"GET /orders/7":                             {want: decision.NoToken},
		"PUT /orders/7":                             {roles: "reader", want: decision.Allowed},
		"PUT /orders/8":                             {roles: "admin-eu", want: decision.Allowed},
		"PUT /orders/9":                             {roles: "readers", want: decision.NoRule},
		"DELETE /orders/7":                          {roles: "reader", want: decision.NoRule},
		"GET /orders/all":                           {roles: "reader", want: decision.NoRule},
		"GET /orders/all/":                          {roles: "reader", want: decision.NoRule},
		"GET /orders/7/lines/1/notes":               {roles: "reader", want: decision.Allowed},
		"GET /orders/7/lines":                       {roles: "reader", want: decision.NoRule},
		"GET /orders/1":                             {roles: "reader", headers: []string{"X-Channel: web"}, want: decision.Allowed},
		"GET /orders/2":                             {roles: "reader", headers: []string{"X-Channel: test-1"}, want: decision.NoRule},
		"GET /orders/3":                             {roles: "reader", headers: []string{"X-Channel: web, test-1"}, want: decision.NoRule},
		"GET a.internal.example.com/orders/7":       {roles: "reader", want: decision.Allowed},
		"GET outside.internal.example.com/orders/7": {roles: "reader", want: decision.DeniedByRule},
	} {
		var s *decision.Subject
		if test.roles != "" {
			s = p.Bind(decision.Claims{"sub": "ann", "roles": []any{test.roles}}, 1)
		}
		r := request(t, line, test.headers...)
		if strings.HasPrefix(r.Host, "outside") {
			r.Remote = netip.MustParseAddr("192.0.2.7")
		}
		if d := decide(t, p, r, s); d.Reason != test.want {
			t.Errorf("%s: %s, want %s", line, d.Reason, test.want)
		}
	}
}
