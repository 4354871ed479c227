package convert_test

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/convert"
)

// guard is the settings of a kube-rbac-proxy; allows says what it makes of them without asking the API server, which refuses. It shares nothing
// with the converter.
type guard struct {
	oidc                    bool
	audiences               []string
	user, groups            string
	userPrefix, groupPrefix string
	allowPaths, ignorePaths []string
	upstream                string // the path of the upstream
	resource                map[string]string
	static                  []staticRule
}

type staticRule struct {
	User            map[string]any `json:"user,omitempty"`
	Verb            string         `json:"verb,omitempty"`
	Path            string         `json:"path,omitempty"`
	Namespace       string         `json:"namespace,omitempty"`
	Resource        string         `json:"resource,omitempty"`
	ResourceRequest bool           `json:"resourceRequest"`
}

func (g *guard) files() []convert.File {
	var b strings.Builder
	fmt.Fprintf(&b, "kube-rbac-proxy --upstream=http://127.0.0.1:8080%s --config-file=/etc/x.yaml", g.upstream)
	add := func(flag, value string) {
		if value != "" {
			fmt.Fprintf(&b, " --%s='%s'", flag, value)
		}
	}
	if g.oidc {
		add("oidc-issuer", "https://one.example")
		add("oidc-clientID", "a")
		add("oidc-username-claim", g.user)
		add("oidc-groups-claim", g.groups)
		add("oidc-username-prefix", g.userPrefix)
		add("oidc-groups-prefix", g.groupPrefix)
	}
	add("auth-token-audiences", strings.Join(g.audiences, ","))
	add("allow-paths", strings.Join(g.allowPaths, ","))
	add("ignore-paths", strings.Join(g.ignorePaths, ","))
	authorization := map[string]any{"static": g.static}
	if g.resource != nil {
		authorization["resourceAttributes"] = g.resource
	}
	config, err := json.Marshal(map[string]any{"authorization": authorization})
	if err != nil {
		panic(err)
	}
	return []convert.File{{Name: "f.sh", Data: []byte(b.String() + "\n")}, {Name: "x.yaml", Data: config}}
}

// allows is about the path that the app sees, which is below that of the upstream.
func (g *guard) allows(a asked) bool {
	at, below := strings.CutPrefix(a.path, g.upstream)
	if g.upstream != "" && !below || !strings.HasPrefix(at, "/") {
		return false
	}
	at = strings.ReplaceAll(at, "%20", " ")
	fits := func(pattern string) bool { ok, err := path.Match(pattern, at); return ok && err == nil }
	if len(g.allowPaths) > 0 && !slices.ContainsFunc(g.allowPaths, fits) {
		return false
	}
	if slices.ContainsFunc(g.ignorePaths, fits) {
		return true
	}
	name, groups, ok := g.who(a.claims)
	if !ok {
		return false
	}
	verb := map[string]string{"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}[a.method]
	if verb == "" {
		verb = "*"
	}
	return slices.ContainsFunc(g.static, func(s staticRule) bool {
		wanted, _ := s.User["name"].(string)
		some, _ := s.User["groups"].([]string)
		is := func(want, has string) bool { return want == "" || want == has }
		if !is(wanted, name) || s.User["groups"] != nil && !slices.ContainsFunc(some, func(w string) bool { return slices.Contains(groups, w) }) || !is(s.Verb, verb) {
			return false
		}
		if g.resource != nil {
			return s.ResourceRequest && s.Path == "" && is(s.Namespace, g.resource["namespace"]) && is(s.Resource, g.resource["resource"])
		}
		return !s.ResourceRequest && s.Namespace == "" && s.Resource == "" && is(s.Path, at)
	})
}

// who is the user of a token, as Kubernetes' readers of tokens have it.
func (g *guard) who(claims map[string]any) (name string, groups []string, ok bool) {
	if claims == nil || claims["iss"] != "https://one.example" {
		return "", nil, false
	}
	if !g.oidc {
		want := g.audiences
		if len(want) == 0 {
			want = []string{"https://one.example"}
		}
		sub, _ := claims["sub"].(string)
		rest, is := strings.CutPrefix(sub, "system:serviceaccount:")
		namespace, _, named := strings.Cut(rest, ":")
		return sub, []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated"}, is && named && meantFor(want, claims["aud"])
	}
	claim := g.user
	if claim == "" {
		claim = "email"
	}
	name, is := claims[claim].(string)
	if !is || name == "" || !meantFor([]string{"a"}, claims["aud"]) {
		return "", nil, false
	}
	if v, there := claims["email_verified"]; claim == "email" && there && v != true {
		return "", nil, false
	}
	claim = g.groups
	if claim == "" {
		claim = "groups"
	}
	switch all := claims[claim].(type) {
	case nil:
	case string:
		groups = []string{g.groupPrefix + all}
	case []any:
		for _, one := range all {
			text, is := one.(string)
			if !is {
				return "", nil, false
			}
			groups = append(groups, g.groupPrefix+text)
		}
	default:
		return "", nil, false
	}
	return g.userPrefix + name, groups, true
}

func (f family) guard() *guard {
	g := &guard{
		oidc: f.IntN(2) == 0, audiences: f.some("a", "b"), user: pick(f, "", "sub", "c"), groups: pick(f, "", "c"), userPrefix: pick(f, "", "", "x"), groupPrefix: pick(f, "", "", "x"),
		upstream: pick(f, "", "", "/a"),
	}
	patterns := []string{"/a", "/a/*", "/*", "/b", "/*/b", "/[ab]", "/a?", "/x*"}
	switch f.IntN(3) {
	case 0:
		g.allowPaths = f.some(patterns...)
	case 1:
		g.ignorePaths = f.some(patterns...)
	}
	if f.IntN(4) == 0 {
		g.resource = map[string]string{"namespace": "shop", "resource": pick(f, "pods", "services")}
	}
	for range 1 + f.IntN(4) {
		s := staticRule{Verb: pick(f, "", "", "get", "create", "*", "list"), Path: pick(f, "", "", "/a", "/b", "/a/b", "/a b"), ResourceRequest: g.resource != nil && f.IntN(6) > 0, User: map[string]any{}}
		if s.ResourceRequest {
			s.Path, s.Namespace, s.Resource = "", pick(f, "", "shop", "other"), pick(f, "", "pods")
		}
		if f.IntN(3) == 0 {
			s.User["name"] = pick(f, "ann@shop.example", "ann", "xann", "a", "7", "true", "x", "system:serviceaccount:shop:ann", "system:serviceaccount:ops:bob")
		}
		if f.IntN(3) == 0 {
			s.User["groups"] = []string{pick(f, "a", "xa", "7", "x", "system:serviceaccounts:shop", "system:serviceaccounts", "system:authenticated"), "b"}[:1+f.IntN(2)]
		}
		g.static = append(g.static, s)
	}
	return g
}

// TestKubeRBACNeverWider converts random settings of kube-rbac-proxy, as TestOAuth2NeverWider does.
func TestKubeRBACNeverWider(t *testing.T) {
	t.Parallel()
	cluster := false
	neverWider(t, "kube-rbac-proxy", 19, 25, func(f family) ([]convert.File, func(asked) bool) {
		g := f.guard()
		cluster = !g.oidc
		return g.files(), g.allows
	}, func(f family, a *asked) {
		a.port = "8080"
		if f.IntN(4) == 0 {
			a.path = pick(f, "/a/a", "/a/a/b", "/a/b/c", "/a/%20", "/a%20b", "/metrics")
		}
		if a.claims == nil {
			return
		}
		a.claims["iss"], a.claims["groups"] = pick(f, "https://one.example", "https://one.example", "https://two.example"), f.claim()
		a.claims["email"] = pick[any](f, "ann@shop.example", "ann", "", nil, json.Number("7"), []any{"ann"})
		a.claims["aud"] = pick[any](f, "a", []any{"https://one.example", "a"}, []any{"b", "a"})
		if cluster || f.IntN(2) == 0 { // a cluster makes no other tokens
			a.claims["sub"] = pick(f, "system:serviceaccount:shop:ann", "system:serviceaccount:ops:bob", "system:serviceaccount:shop-a:ann")
		}
		if f.IntN(3) == 0 {
			a.claims["email_verified"] = pick[any](f, true, false, nil, "true")
		}
	})
}
