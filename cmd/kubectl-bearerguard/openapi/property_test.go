package openapi_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/openapi"
)

// spec is a document as it is evaluated here: by OpenAPI's own words, and by nothing of the package.
type spec struct {
	OpenAPI    string                       `json:"openapi"`
	Info       map[string]string            `json:"info"`
	Servers    []map[string]string          `json:"servers,omitempty"`
	Security   []requirement                `json:"security,omitempty"`
	Paths      map[string]map[string]action `json:"paths"`
	Components map[string]map[string]any    `json:"components"`
}

type requirement map[string][]string

type action struct {
	OperationID string         `json:"operationId,omitempty"`
	Security    *[]requirement `json:"security,omitempty"`
}

var schemesOfTest = map[string]any{
	"oidc":  map[string]any{"type": "openIdConnect", "openIdConnectUrl": "https://a.example/.well-known/openid-configuration"},
	"oauth": map[string]any{"type": "oauth2", "flows": map[string]any{}},
	"other": map[string]any{"type": "oauth2", "flows": map[string]any{}},
	"http":  map[string]any{"type": "http", "scheme": "bearer"},
	"key":   map[string]any{"type": "apiKey", "in": "header", "name": "X-Key"},
}

// issuersOfTest are whose tokens each scheme takes.
var issuersOfTest = map[string]string{"oidc": "https://a.example", "oauth": "https://a.example", "other": "https://b.example", "http": "https://a.example"}

type bearer struct {
	issuer string
	scopes []string
	roles  []string
}

// met evaluates a security requirement (OpenAPI 3.1 section 4.8.30): all schemes have to be satisfied.
func (r requirement) met(b *bearer) bool {
	for scheme, names := range r {
		has := func(n string) bool { return b != nil && slices.Contains(b.scopes, n) }
		if scheme == "http" {
			has = func(n string) bool { return b != nil && slices.Contains(b.roles, n) }
		}
		if b == nil || issuersOfTest[scheme] != b.issuer || slices.ContainsFunc(names, func(n string) bool { return !has(n) }) {
			return false
		}
	}
	return true
}

// fits says whether a templated path fits, and how much each of its segments says: 2 for a text, 1 for a variable with text beside it.
func fits(template, path string) (says []int, ok bool) {
	ts, ps := strings.Split(template, "/"), strings.Split(path, "/")
	if len(ts) != len(ps) {
		return nil, false
	}
	for i, t := range ts {
		before, rest, variable := strings.Cut(t, "{")
		_, after, _ := strings.Cut(rest, "}")
		switch {
		case !variable && t != ps[i], variable && (!strings.HasPrefix(ps[i], before) || !strings.HasSuffix(ps[i], after) || len(ps[i]) <= len(before+after)):
			return nil, false
		case !variable:
			says = append(says, 2)
		case before+after != "":
			says = append(says, 1)
		default:
			says = append(says, 0)
		}
	}
	return says, true
}

// allows reports whether the document lets a request in, however it is read: of paths that fit, the one without variables counts; else
// one that says more in some segment and less in none counts before the other; where that is not so, all have to let it in.
func (s *spec) allows(base, method, path string, b *bearer, anonymous map[string]bool) bool {
	path, ok := strings.CutPrefix(path, base)
	if !ok {
		return false
	}
	fitting := map[string][]int{}
	for template := range s.Paths {
		if says, ok := fits(template, path); ok {
			fitting[template] = says
		}
	}
	counts := 0
	for template, says := range fitting {
		better := false
		for other, more := range fitting {
			if other == template {
				continue
			}
			less := slices.ContainsFunc(zip(more, says), func(d int) bool { return d < 0 })
			better = better || !less && slices.ContainsFunc(zip(more, says), func(d int) bool { return d > 0 })
		}
		if better {
			continue
		}
		counts++
		a, ok := s.Paths[template][strings.ToLower(method)]
		if !ok || !s.lets(a, b, anonymous) {
			return false
		}
	}
	return counts > 0
}

func zip(a, b []int) (out []int) {
	for i := range a {
		out = append(out, a[i]-b[i])
	}
	return out
}

// lets evaluates an operation: its requirements are in place of the document's, one of them has to be met, and none asks for nothing. What
// asks for nothing lets in whom it was opened for.
func (s *spec) lets(a action, b *bearer, anonymous map[string]bool) bool {
	all := s.Security
	if a.Security != nil {
		all = *a.Security
	}
	open := len(all) == 0
	for _, r := range all {
		if len(r) == 0 {
			open = true
		} else if r.met(b) {
			return true
		}
	}
	return open && anonymous[a.OperationID]
}

func randomSpec(r *rand.Rand, suffixes bool) *spec {
	one := func(all ...string) string { return all[r.IntN(len(all))] }
	requirements := func() (out []requirement) {
		for range r.IntN(3) {
			q := requirement{}
			for range r.IntN(3) {
				names := []string{}
				for range r.IntN(3) {
					names = append(names, one("read", "write", "admin"))
				}
				q[one("oidc", "oauth", "other", "http", "key")] = names
			}
			out = append(out, q)
		}
		return out
	}
	s := &spec{
		OpenAPI: one("3.0.3", "3.1.0"), Info: map[string]string{"title": "T"}, Paths: map[string]map[string]action{},
		Components: map[string]map[string]any{"securitySchemes": schemesOfTest}, Security: requirements(),
	}
	if r.IntN(2) == 0 {
		s.Servers = []map[string]string{{"url": "https://api.example.com/v1/"}}
	}
	segments := []string{"a", "b", "c", "{x}"}
	if suffixes {
		segments = append(segments, "{x}.c", "a{x}", "a.c")
	}
	for range 1 + r.IntN(6) {
		path := ""
		for i := range 1 + r.IntN(3) {
			path += "/" + strings.ReplaceAll(one(segments...), "x", fmt.Sprintf("x%d", i))
		}
		item := map[string]action{}
		for range 1 + r.IntN(2) {
			a := action{OperationID: fmt.Sprintf("op%d", r.IntN(1e6))}
			if r.IntN(3) > 0 {
				own := requirements()
				if own == nil {
					own = []requirement{}
				}
				a.Security = &own
			}
			item[one("get", "post", "delete")] = a
		}
		s.Paths[path] = item
	}
	return s
}

// program compiles what came of a document.
func program(t *testing.T, r *openapi.Result) *decision.Program {
	t.Helper()
	var all []decision.Policy
	for _, p := range r.Policies {
		all = append(all, decision.Policy{Name: p.Metadata.Name, Spec: p.Spec.Spec})
	}
	program, err := decision.Compile(all)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// decide reports whether the policy lets a request in, and whether it has the issuer of the token: without, the token is refused even
// where none is needed.
func decide(p *decision.Program, method, path string, b *bearer) (allowed, known bool) {
	read, err := decision.ReadPath(path, decision.PathOptions{})
	if err != nil {
		return false, false
	}
	r := decision.Request{Method: method, Host: "api", Path: read.Match, Now: time.Unix(0, 0)}
	if b == nil {
		return p.Decide(&r, nil).Allowed, true
	}
	var by decision.IssuerSet
	for i, is := range p.Issuers() {
		if is.Spec.Issuer == b.issuer {
			by = by.With(i)
		}
	}
	if by == 0 {
		return false, false
	}
	roles := []any{}
	for _, role := range b.roles {
		roles = append(roles, role)
	}
	return p.Decide(&r, p.Bind(decision.Claims{"iss": b.issuer, "sub": "ann", "scope": strings.Join(b.scopes, " "), "roles": roles}, by)).Allowed, true
}

// What comes of a document lets in nothing that the document does not; and everything that it does, if nothing was said to be left out.
func TestNeverWider(t *testing.T) {
	t.Parallel()
	const rounds = 800
	allowed, complete := 0, 0
	for seed := range uint64(rounds) {
		r := rand.New(rand.NewPCG(seed, 13)) //nolint:gosec // a test's
		s := randomSpec(r, seed%3 == 0)
		text, err := yaml.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		anonymous := map[string]bool{}
		options := openapi.Options{
			Issuers: []string{"oauth=https://a.example", "other=https://b.example", "http=https://a.example"}, Audiences: []string{"t"}, RolesClaim: "roles",
		}
		generate := func() (openapi.Result, error) {
			return openapi.Generate("d", func(string) ([]byte, error) { return text, nil }, options)
		}
		result, err := generate()
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		for _, o := range result.Open {
			if r.IntN(2) == 0 {
				_, id, _ := strings.Cut(o.Operation, " (")
				id = strings.TrimSuffix(id, ")")
				anonymous[id] = true
				options.Anonymous = append(options.Anonymous, id)
			}
		}
		if result, err = generate(); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		p := program(t, &result)
		base := ""
		if s.Servers != nil {
			base = "/v1"
		}
		for range 60 {
			method, path, b := randomRequest(r, base, s)
			want := s.allows(base, method, path, b, anonymous)
			got, known := decide(p, method, path, b)
			if got && !want || want && !got && known && result.Complete() {
				t.Fatalf("seed %d: %s %s with %+v: the document says %t, the policy %t\n%s\n%v", seed, method, path, b, want, got, text, result.Lines())
			}
			if got {
				allowed++
			}
		}
		if result.Complete() {
			complete++
		}
	}
	if allowed < rounds || complete < rounds/20 {
		t.Errorf("%d requests were let in, %d documents came over whole: too few to show anything", allowed, complete)
	}
}

func randomRequest(r *rand.Rand, base string, s *spec) (method, path string, b *bearer) {
	one := func(all ...string) string { return all[r.IntN(len(all))] }
	var templates []string
	for template := range s.Paths {
		templates = append(templates, template)
	}
	slices.Sort(templates)
	path = base
	for _, segment := range strings.Split(one(templates...), "/")[1:] {
		if before, rest, variable := strings.Cut(segment, "{"); variable {
			_, after, _ := strings.Cut(rest, "}")
			segment = before + one("a", "b", "c", "d", "a.c", "", ".c") + after
		}
		if r.IntN(12) == 0 {
			segment = one("a", "b", "", "a.c", "%61")
		}
		path += "/" + segment
	}
	method = one("GET", "POST", "DELETE")
	if strings.Contains(path, "//") || strings.Contains(path, "%") { // what a server makes of it is what the policy matches
		if read, err := decision.ReadPath(path, decision.PathOptions{}); err == nil {
			path = read.Match
		}
	}
	if r.IntN(6) == 0 {
		return method, path, nil
	}
	b = &bearer{issuer: one("https://a.example", "https://a.example", "https://b.example")}
	for _, name := range []string{"read", "write", "admin"} {
		if r.IntN(3) > 0 {
			b.scopes = append(b.scopes, name)
		}
		if r.IntN(3) > 0 {
			b.roles = append(b.roles, name)
		}
	}
	return method, path, b
}
