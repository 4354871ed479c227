package convert_test

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/convert"
)

// What is not known of a proxy, or could limit who is let in and cannot be read, has nothing converted, and the line is told.
func TestProxiesRefused(t *testing.T) {
	t.Parallel()
	const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {app: a}}\nspec: {containers: [{image: quay.io/oauth2-proxy/oauth2-proxy:v7, "
	for name, test := range map[string]struct{ in, want string }{
		"a flag that is not known":              {"oauth2-proxy --allowed-planet=mars\n", "is not known"},
		"a line that is not known":              {"provider = \"oidc\"\nallowed_planets = [\"mars\"]\n", "is not known"},
		"what a shell would act on":             {"oauth2-proxy --client-id=$ID\n", "a shell would act on"},
		"a list without an end":                 {"email_domains = [\"a\"\n", "without an end"},
		"flags that are nobody's":               {"--upstream=http://127.0.0.1:80\n", "--from"},
		"a word that is no flag":                {"kube-rbac-proxy serve\n", "is no flag"},
		"limits that are in a Secret":           {pod + "env: [{name: OAUTH2_PROXY_ALLOWED_GROUPS, valueFrom: {secretKeyRef: {name: s, key: k}}}]}]}\n", "not in the files"},
		"an environment that is not in it":      {pod + "envFrom: [{secretRef: {name: s}}]}]}\n", "may have settings"},
		"a configuration file that is not here": {pod + "args: [--config=/etc/o.cfg]}]}\n", "not in the files"},
		"an alpha configuration":                {pod + "args: [--alpha-config=/etc/o.yaml]}]}\n", "not read"},
		"an app in another pod":                 {pod + "args: ['--upstream=http://orders.shop:8080']}]}\n", "another pod"},
		"the cluster's own issuer":              {"apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {app: a}}\nspec: {containers: [{image: kube-rbac-proxy}]}\n", "--cluster-issuer"},
		"pods that nobody names":                {"oauth2-proxy --upstream=http://127.0.0.1:80\n", "--selector"},
		"an AuthenticationConfiguration alone":  {"apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n", "--selector"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := convert.Run([]convert.File{{Name: "f", Data: []byte(test.in)}}, convert.Options{})
			var refused *convert.RefusedError
			if !errors.As(err, &refused) || refused.Line == 0 || len(r.Policies) > 0 || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, %+v", err, r.Policies)
			}
		})
	}
}

// The golden policies decide as the proxies that they come from do, or let in less.
func TestProxiesDecide(t *testing.T) {
	t.Parallel()
	staff := map[string]any{"iss": "https://login.example.com", "aud": "orders", "sub": "ann", "email": "ann@example.com", "groups": []any{"staff"}}
	with := func(key string, value any) map[string]any {
		c := map[string]any{}
		for k, v := range staff {
			c[k] = v
		}
		c[key] = value
		return c
	}
	for name, test := range map[string]struct {
		file, request string
		claims        map[string]any
		port          string
		want          bool
	}{
		"a member":                             {file: "oauth2-deployment.in.yaml", request: "GET /api/orders", claims: staff, want: true},
		"a member of a domain below":           {file: "oauth2-deployment.in.yaml", request: "GET /api/orders", claims: with("email", "Bo@EU.partners.example.net"), want: true},
		"a domain that ends so":                {file: "oauth2-deployment.in.yaml", request: "GET /api/orders", claims: with("email", "eve@notexample.com")},
		"an address with two signs":            {file: "oauth2-deployment.in.yaml", request: "GET /api/orders", claims: with("email", "eve@evil.test@example.com")},
		"an address in a list":                 {file: "oauth2-deployment.in.yaml", request: "GET /api/orders", claims: with("email", []any{"ann@example.com"})},
		"an address that is not verified":      {file: "oauth2-deployment.in.yaml", request: "GET /api/orders", claims: with("email_verified", false)},
		"of no group":                          {file: "oauth2-deployment.in.yaml", request: "GET /api/orders", claims: with("groups", []any{"guests"})},
		"for somebody else":                    {file: "oauth2-deployment.in.yaml", request: "GET /api/orders", claims: with("aud", "other")},
		"nobody":                               {file: "oauth2-deployment.in.yaml", request: "GET /api/orders"},
		"nobody, where no token is needed":     {file: "oauth2-deployment.in.yaml", request: "POST /hooks/abc", want: true},
		"nobody, near where none is":           {file: "oauth2-deployment.in.yaml", request: "POST /hooks/abc/d"},
		"nobody, but where all other is open":  {file: "oauth2-deployment.in.yaml", request: "GET /other", want: true},
		"the proxy's own path":                 {file: "oauth2-deployment.in.yaml", request: "GET /oauth2/auth", claims: staff},
		"a token where only a browser logs in": {file: "oauth2-login.in.cfg", request: "GET /app/", claims: staff},
		"prometheus":                           {file: "kube-rbac-deployment.in.yaml", request: "GET /healthz", port: "8082", want: true},
		"what is open at the other port":       {file: "kube-rbac-deployment.in.yaml", request: "GET /healthz", port: "8081"},
		"what RBAC would be asked":             {file: "kube-rbac-oidc.in.sh", request: "GET /internal/metrics", claims: staff},
		"a user of the API server":             {file: "apiserver.in.yaml", request: "GET /", claims: map[string]any{"iss": "https://login.example.com", "aud": "kubectl", "sub": "ann", "hd": "example.com", "exp": float64(100), "nbf": float64(50)}, want: true},
		"one with a reserved name":             {file: "apiserver.in.yaml", request: "GET /", claims: map[string]any{"iss": "https://login.example.com", "aud": "kubectl", "sub": "system:admin", "hd": "example.com", "exp": float64(100), "nbf": float64(50)}},
		"one of a reserved group":              {file: "apiserver.in.yaml", request: "GET /", claims: map[string]any{"iss": "https://login.example.com", "aud": "kubectl", "sub": "ann", "hd": "example.com", "groups": []any{"a", "system:masters"}, "exp": float64(100), "nbf": float64(50)}},
		"one whose claim is missing":           {file: "apiserver.in.yaml", request: "GET /", claims: map[string]any{"iss": "https://login.example.com", "aud": "kubectl", "sub": "ann", "exp": float64(100), "nbf": float64(50)}},
		"one with a group that is no text":     {file: "apiserver.in.yaml", request: "GET /", claims: map[string]any{"iss": "https://login.example.com", "aud": "kubectl", "sub": "ann", "hd": "example.com", "groups": []any{float64(7)}, "exp": float64(100), "nbf": float64(50)}},
		"one of whom something cannot be said": {file: "apiserver.in.yaml", request: "GET /", claims: map[string]any{"iss": "https://ci.example.net", "aud": "kubernetes", "sub": "build"}},
		"one of whom it can":                   {file: "apiserver.in.yaml", request: "GET /", claims: map[string]any{"iss": "https://ci.example.net", "aud": "kubernetes", "sub": "build", "run_id": "8"}, want: true},
		"one whose rule cannot be evaluated":   {file: "apiserver.in.yaml", request: "GET /", claims: map[string]any{"iss": "https://login.example.com", "aud": "kubectl", "sub": "ann", "hd": "example.com"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(filepath.Join("testdata", test.file))
			if err != nil {
				t.Fatal(err)
			}
			r, err := convert.Run([]convert.File{{Name: test.file, Data: data}}, optionsOf(t, data))
			if err != nil {
				t.Fatal(err)
			}
			method, path, _ := strings.Cut(test.request, " ")
			a := asked{host: "h", method: method, path: path, port: "8080", ip: netip.MustParseAddr("192.0.2.1"), claims: test.claims}
			if test.port != "" {
				a.port = test.port
			}
			if d := decide(programOf(t, r.Policies, r.Policies[0].Spec.Selector.MatchLabels), a); d.Allowed != test.want {
				t.Errorf("%+v", d)
			}
		})
	}
}

// FuzzProxies holds what comes of command lines and configuration files to what a sidecar takes.
func FuzzProxies(f *testing.F) {
	for _, pattern := range []string{"testdata/*.in.sh", "testdata/*.in.cfg"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	o := convert.Options{Selector: map[string]string{"app": "a"}, ClusterIssuer: "https://cluster.example", From: "oauth2-proxy"}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := convert.Run([]convert.File{{Name: "f", Data: data}}, o)
		var refused *convert.RefusedError
		if err != nil && !errors.As(err, &refused) {
			t.Error(err)
		}
		if err := convert.Write(&bytes.Buffer{}, r); err != nil {
			t.Error(err)
		}
	})
}
