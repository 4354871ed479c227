package lint

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

// found are the errors of findings.
func found(fs []Finding) (out []string) {
	for i := range fs {
		out = append(out, string(fs[i].Check)+" "+fs[i].Error())
	}
	return out
}

func denying(m policy.Match, c policy.Conditions) policy.Rule {
	return policy.Rule{Name: "d", Match: []policy.Match{m}, Deny: &c}
}

func TestWaysRound(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	bob := policy.Conditions{Subjects: []string{"bob"}}
	header := func(h policy.HeaderMatch) policy.Rule {
		return denying(policy.Match{Headers: []policy.HeaderMatch{h}}, policy.Conditions{})
	}
	const leavesOut = "dodged-deny spec.rules[0].match[0].headers[0]: a client that leaves out X-Team, or sends another value, is not denied; want an allow rule that asks for what may come in, unless a proxy in front sets the header"
	for what, c := range map[string]struct {
		rules []policy.Rule
		want  []string
	}{
		"a header with a value":              {[]policy.Rule{header(policy.HeaderMatch{Name: "X-Team", Values: []string{"a"}})}, []string{leavesOut}},
		"a header with a pattern":            {[]policy.Rule{header(policy.HeaderMatch{Name: "X-Team", Patterns: []string{"a*"}})}, []string{leavesOut}},
		"a header that is there":             {[]policy.Rule{header(policy.HeaderMatch{Name: "X-Team", Exists: &yes})}, []string{leavesOut}},
		"a header that has to be there":      {[]policy.Rule{header(policy.HeaderMatch{Name: "X-Team", Exists: &no})}, nil},
		"a header that has to have a value":  {[]policy.Rule{header(policy.HeaderMatch{Name: "X-Team", NotValues: []string{"a"}})}, nil},
		"a subject, and everybody is let in": {[]policy.Rule{denying(policy.Match{Paths: []string{"/a/b"}}, bob), open("public", "/a/**")}, []string{"dodged-deny spec.rules[0].deny: a client that leaves its token out is not denied: rule public lets it in without one; want conditions in the rules that allow, or a narrower match for public"}},
		"a subject, and a part is open":      {[]policy.Rule{denying(policy.Match{Paths: []string{"/a/**"}}, bob), open("public", "/a/b")}, []string{"dodged-deny spec.rules[0].deny: a client that leaves its token out is not denied: rule public lets it in without one; want conditions in the rules that allow, or a narrower match for public"}},
		"a subject, and a token is needed":   {[]policy.Rule{denying(policy.Match{Paths: []string{"/a/b"}}, bob), sound("a", "/a/**")}, nil},
		"a subject, elsewhere it is open":    {[]policy.Rule{denying(policy.Match{Paths: []string{"/a/b"}}, bob), open("public", "/docs/**")}, nil},
		"a path, and everybody is let in":    {[]policy.Rule{closed("d", "/a/b"), open("public", "/a/**")}, nil},
		"a host, and rules for any": {[]policy.Rule{denying(policy.Match{Hosts: []string{"old.example.com"}, Paths: []string{"/a"}}, policy.Conditions{}), sound("a", "/a")},
			[]string{"dodged-deny spec.rules[0].match: a client that names another host is not denied, and rule a lets it in under any; want hosts in a, or none here"}},
		"a host, and rules for others": {[]policy.Rule{denying(policy.Match{Hosts: []string{"old.example.com"}}, policy.Conditions{}),
			{Name: "a", Match: []policy.Match{{Hosts: []string{"new.example.com"}}}, Allow: &policy.Allow{Authenticated: true}}}, nil},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, found(Policy(&policy.Spec{Rules: c.rules}, decision.ExpressionHints))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOpenToEverybody(t *testing.T) {
	t.Parallel()
	rule := func(m policy.Match, when string) policy.Rule {
		return policy.Rule{Name: "a", Match: []policy.Match{m}, Allow: &policy.Allow{Anonymous: true, Conditions: policy.Conditions{When: when}}}
	}
	for what, c := range map[string]struct {
		rule policy.Rule
		want bool
	}{
		"every path":                     {rule(policy.Match{Paths: []string{"/docs", "/**"}}, ""), true},
		"every path, for some methods":   {rule(policy.Match{Methods: []string{"GET"}}, ""), true},
		"every path of a host":           {rule(policy.Match{Hosts: []string{"docs.example.com"}}, ""), true},
		"some paths":                     {rule(policy.Match{Paths: []string{"/docs/**", "/{a}", "/*"}}, ""), false},
		"all but some paths":             {rule(policy.Match{NotPaths: []string{"/admin/**"}}, ""), false},
		"every path of another port":     {rule(policy.Match{Ports: []int32{9090}}, ""), false},
		"every path, for some addresses": {rule(policy.Match{RemoteIPs: []string{"10.0.0.0/8"}}, ""), false},
		"every path, by an expression":   {rule(policy.Match{Paths: []string{"/**"}}, `request.headers["x-a"] == "b"`), false},
		"a token is needed":              {sound("a", "/**"), false},
	} {
		got := Policy(&policy.Spec{Rules: []policy.Rule{c.rule}}, decision.ExpressionHints)
		if (len(got) == 1 && got[0].Check == WideAnonymous) != c.want || len(got) > 1 {
			t.Errorf("%s: %q", what, found(got))
		}
	}
}

func TestScopesThatNobodyGrants(t *testing.T) {
	t.Parallel()
	pods := policy.Issuer{Name: "pods", Audiences: []string{"a"}, Keys: policy.KeySource{Kubernetes: &policy.KubernetesKeys{}}}
	corp := policy.Issuer{Name: "corp", Audiences: []string{"a"}}
	rules := []policy.Rule{with(policy.Conditions{Scopes: []string{"a"}})}
	const want = "unmet-condition spec.rules[0].allow.scopes: lets no token in: tokens of service accounts and workloads have no scopes; want serviceAccounts, subjects or spiffeIDs"
	if diff := cmp.Diff([]string{want}, found(Policy(&policy.Spec{Issuers: []policy.Issuer{pods}, Rules: rules}, decision.ExpressionHints))); diff != "" {
		t.Error(diff)
	}
	if got := Policy(&policy.Spec{Issuers: []policy.Issuer{pods, corp}, Rules: rules}, decision.ExpressionHints); len(got) != 0 {
		t.Errorf("with another issuer: %q", found(got))
	}
}

func TestAnyAudience(t *testing.T) {
	t.Parallel()
	text := "app"
	const want = "any-audience spec.issuers[0].anyAudience: takes tokens that were made for other apps, and rule a asks for no client of theirs: who gets one there can use it here; want audiences with the app's own, or claims with the client_id or azp of its clients"
	only := policy.Issuer{Name: "corp", AnyAudience: true}
	asked := only
	asked.Introspection = &policy.Introspection{}
	for what, c := range map[string]struct {
		issuer policy.Issuer
		rule   policy.Rule
		want   []string
	}{
		"any token is taken":            {only, sound("a", "/a"), []string{want}},
		"a scope is asked for":          {only, with(policy.Conditions{Scopes: []string{"read"}}), []string{want}},
		"a client is excluded":          {only, with(policy.Conditions{Claims: []policy.ClaimCondition{{Claim: "azp", NoneOf: []string{"x"}}}}), []string{want}},
		"a client is asked for":         {only, with(policy.Conditions{Claims: []policy.ClaimCondition{{Claim: "client_id", AnyOf: []string{"app"}}}}), nil},
		"an authorized party":           {only, with(policy.Conditions{Claims: []policy.ClaimCondition{{Claim: "azp", Equals: &text}}}), nil},
		"a client, by an expression":    {only, with(policy.Conditions{When: `claims.appid == "app"`}), nil},
		"a rule for another issuer":     {only, with(policy.Conditions{Issuers: []string{"other"}}), nil},
		"no token is needed":            {only, open("a", "/a"), nil},
		"the issuer is asked about all": {asked, sound("a", "/a"), nil},
	} {
		spec := policy.Spec{Issuers: []policy.Issuer{c.issuer}, Rules: []policy.Rule{c.rule}}
		if diff := cmp.Diff(c.want, found(Policy(&spec, decision.ExpressionHints))); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
}

func TestWhatPoliciesAreTogether(t *testing.T) {
	t.Parallel()
	hmac := func(secret string) []policy.Issuer {
		return []policy.Issuer{{Name: "s", Audiences: []string{"a"}, Algorithms: []policy.Algorithm{"HS256"}, Keys: policy.KeySource{SecretRef: &policy.KeyRef{Name: secret, Key: "k"}}}}
	}
	app := func(name string) policy.Selector { return policy.Selector{MatchLabels: map[string]string{"app": name}} }
	object := func(namespace, name string, s policy.Selector, issuers []policy.Issuer, rules ...policy.Rule) Object {
		return Object{namespace, name, s, &policy.Spec{Issuers: issuers, Rules: append(rules, sound("z", "/z"))}}
	}
	const each = "; want a secret for each workload, or keys of which workloads have the public half"
	for what, c := range map[string]struct {
		objects []Object
		want    []string
	}{
		"a secret for one workload": {[]Object{object("n", "a", app("a"), hmac("s")), object("n", "b", app("b"), hmac("t")), object("m", "c", app("c"), hmac("s"))}, nil},
		"a secret for two workloads": {[]Object{object("n", "a", app("a"), hmac("s")), object("n", "b", app("b"), hmac("s"))}, []string{
			"shared-secret n/a: spec.issuers[0].keys.secretRef: workloads of n/b verify with this HMAC secret, too, and so can make tokens for these" + each,
			"shared-secret n/b: spec.issuers[0].keys.secretRef: workloads of n/a verify with this HMAC secret, too, and so can make tokens for these" + each}},
		"a secret for a namespace": {[]Object{object("n", "a", policy.Selector{}, hmac("s"))}, []string{
			"shared-secret n/a: spec.issuers[0].keys.secretRef: every workload of the namespace verifies with this HMAC secret, and so can make tokens for the others" + each}},
		"two policies of one workload": {[]Object{object("n", "a", app("a"), hmac("s")), object("n", "b", app("a"), hmac("s"))}, nil},
		"a deny rule of another policy": {[]Object{object("n", "a", app("a"), nil, sound("x", "/a/b")), object("n", "b", policy.Selector{}, nil, closed("none", "/a/**"))}, []string{
			"useless-rule n/a: spec.rules[0]: can let no request in: deny rule none of n/b refuses every request that it matches; want another match for one of the two"}},
		"a deny rule for another workload": {[]Object{object("n", "a", app("a"), nil, sound("x", "/a/b")), object("n", "b", app("b"), nil, closed("none", "/a/**"))}, nil},
		"a deny rule of another namespace": {[]Object{object("n", "a", app("a"), nil, sound("x", "/a/b")), object("m", "b", app("a"), nil, closed("none", "/a/**"))}, nil},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, found(Objects(c.objects, decision.ExpressionHints))); diff != "" {
				t.Error(diff)
			}
		})
	}
}
