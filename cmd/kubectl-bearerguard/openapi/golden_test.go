package openapi_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/openapi"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// samples are the options with which testdata/NAME.in.* is read.
var samples = map[string]openapi.Options{
	"petstore.in.yaml": {
		Audiences: []string{"pets"}, Issuers: []string{"uploader=https://partners.example.com"}, Labels: map[string]string{"app": "pets"},
		Anonymous: []string{"health"}, Namespace: "shop",
	},
	"swagger.in.json": {
		Issuers: []string{"https://login.example.com/"}, AnyAudience: true, Name: "pets", Mode: "Audit", Anonymous: []string{"/user/{username}"},
	},
	"odd.in.yaml": {
		Issuers: []string{"https://login.example.com", "other=https://other.example.com"}, Audiences: []string{"odd", "other=even"},
		Anonymous: []string{"GET /inherited"},
	},
}

func reader(dir string) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) { return os.ReadFile(filepath.Join(dir, name)) } //nolint:gosec // test data
}

// TestGolden makes testdata/NAME.out.yaml of testdata/NAME.in.*, notes included.
func TestGolden(t *testing.T) {
	t.Parallel()
	for name, options := range samples {
		r, err := openapi.Generate(name, reader("testdata"), options)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := openapi.Write(&out, &r); err != nil {
			t.Fatal(err)
		}
		base, _, _ := strings.Cut(name, ".")
		golden := filepath.Join("testdata", base+".out.yaml")
		if *update {
			if err := os.WriteFile(golden, out.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden) //nolint:gosec // test data
		if err != nil || !bytes.Equal(want, out.Bytes()) {
			t.Errorf("%s: %v; not as %s says; -update rewrites it:\n%s", name, err, golden, out.String())
		}
	}
}

// one is a document with these paths and an OAuth scheme.
func one(paths string) string {
	return "openapi: 3.0.0\ninfo: {title: T}\ncomponents: {securitySchemes: {oauth: {type: oauth2}, oidc: {type: openIdConnect, openIdConnectUrl: 'https://a.example/.well-known/openid-configuration'}}}\npaths:\n  " + paths + "\n"
}

func TestRefused(t *testing.T) {
	t.Parallel()
	enough := openapi.Options{Issuers: []string{"oauth=https://a.example"}, Audiences: []string{"a"}}
	const get = "/a: {get: {security: [{oauth: []}]}}"
	for name, c := range map[string]struct {
		document string
		options  openapi.Options
		want     string
	}{
		"what is no document":                    {"[", enough, "d.yaml:1: is neither YAML nor JSON"},
		"another version":                        {"openapi: 4.0.0", enough, "want openapi: 3.0, 3.1 or 3.2"},
		"an issuer that is not known":            {one(get), openapi.Options{Audiences: []string{"a"}}, "d.yaml:3: components.securitySchemes.oauth: does not say whose tokens it takes"},
		"an audience that is not known":          {one(get), openapi.Options{Issuers: enough.Issuers}, "--audience AUDIENCE"},
		"a scheme that is not there":             {one(get), openapi.Options{Issuers: []string{"oath=https://a.example"}}, `the document has no security scheme "oath"; it has oauth, oidc`},
		"a name that comes twice":                {one("/a: {get: {}, get: {}}"), enough, `"get" is given twice`},
		"a merge":                                {one("/a: {<<: {get: {}}}"), enough, "write the fields out"},
		"requirements that are no list":          {one("/a: {get: {security: {oauth: []}}}"), enough, "paths./a.get.security: is no list"},
		"requirements that are null":             {one("/a: {get: {security: }}"), enough, "is no list"},
		"a requirement with null for a list":     {one("/a: {get: {security: [{oauth: }]}}"), enough, "is no list"},
		"scopes that are no list":                {one("/a: {get: {security: [{oauth: read}]}}"), enough, "is no list"},
		"a reference to the network":             {one("/a: {$ref: 'https://a.example/a.yaml'}"), enough, "nothing is fetched"},
		"a reference out of the directory":       {one("/a: {$ref: '../../etc/passwd'}"), enough, "outside of the document's directory"},
		"a reference to an absolute path":        {one("/a: {$ref: '/etc/passwd'}"), enough, "is no relative path"},
		"a reference in a circle":                {one("/a: {$ref: '#/paths/~1a'}"), enough, "more than 16 references"},
		"a reference to nothing":                 {one("/a: {$ref: '#/paths/~1b'}"), enough, "leads to nothing"},
		"an operation beside a reference":        {one("/b: {}\n  /a: {$ref: '#/paths/~1b', get: {}}"), enough, "stands beside $ref"},
		"a server without a known path":          {one("/a: {servers: [{url: v1}], " + get[5:]), enough, "give --base-path"},
		"an open operation that is not there":    {one(get), openapi.Options{Issuers: enough.Issuers, Audiences: []string{"a"}, Anonymous: []string{"/b"}}, "no such operation"},
		"an operation that is not open":          {one(get), openapi.Options{Issuers: enough.Issuers, Audiences: []string{"a"}, Anonymous: []string{"GET /a"}}, "asks for a token"},
		"a discovery document of nobody":         {strings.Replace(one("/a: {get: {security: [{oidc: []}]}}"), "/.well-known/openid-configuration", "/metadata", 1), enough, "give --issuer oidc=URL"},
		"an audience beside --any-audience":      {one(get), openapi.Options{Audiences: []string{"a"}, AnyAudience: true}, "does not go with"},
		"two issuers for one scheme":             {one(get), openapi.Options{Issuers: []string{"https://a.example", "https://b.example"}, AnyAudience: true}, "given twice"},
		"an issuer that no policy would have":    {one(get), openapi.Options{Issuers: []string{"oauth=no url"}, Audiences: []string{"a"}}, "is no policy"},
		"a label that no pod can have":           {one(get), openapi.Options{Issuers: enough.Issuers, Audiences: []string{"a"}, Labels: map[string]string{"a!": "b"}}, "spec.selector"},
		"a scheme that is elsewhere":             {strings.Replace(one(get), "{type: oauth2}", "{$ref: 'schemes.yaml#/oauth'}", 1), enough, "cannot be read"},
		"a text where an operation should stand": {one("/a: {get: hello}"), enough, "is no mapping"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			read := func(name string) ([]byte, error) {
				if name != "d.yaml" {
					return nil, errors.New("no such file")
				}
				return []byte(c.document), nil
			}
			r, err := openapi.Generate("d.yaml", read, c.options)
			if err == nil || !strings.Contains(err.Error(), c.want) || len(r.Policies) > 0 {
				t.Errorf("%v; want %q\n%s", err, c.want, c.document)
			}
		})
	}
}

// JSON is read as JSON, though YAML does not have all of it: escapes as of PHP, characters that do not show.
func TestJSON(t *testing.T) {
	t.Parallel()
	document := `{"openapi": "3.0.0", "info": {"title": "T\ud83d\ude00"}, "components": {"securitySchemes": {"oauth": {"type": "oauth2"}}},
		"paths": {"\/a": {"get": {"summary": "a` + "\x7f" + `", "security": [{"oauth": ["read"]}]}}}}`
	r, err := openapi.Generate("d.json", func(string) ([]byte, error) { return []byte(document), nil },
		openapi.Options{Issuers: []string{"https://a.example"}, Audiences: []string{"a"}})
	if err != nil || len(r.Policies) != 1 || r.Covered != 1 {
		t.Errorf("%v, %+v", err, r)
	}
}

// A policy has 256 rules at most: of more, there are several policies.
func TestManyRules(t *testing.T) {
	t.Parallel()
	var paths []string
	for i := range 300 {
		paths = append(paths, fmt.Sprintf("/p%d: {get: {security: [{oauth: [s%d]}]}}", i, i))
	}
	document := one(strings.Join(paths, "\n  "))
	r, err := openapi.Generate("d.yaml", func(string) ([]byte, error) { return []byte(document), nil },
		openapi.Options{Issuers: []string{"https://a.example"}, Audiences: []string{"a"}})
	if err != nil || len(r.Policies) != 2 || r.Covered != 300 || r.Policies[1].Metadata.Name != "t-2" || len(r.Policies[1].Spec.Issuers) != 1 || !r.Complete() {
		t.Errorf("%v, %d policies, %d covered, %v", err, len(r.Policies), r.Covered, r.Notes)
	}
}

// FuzzGenerate holds what comes of foreign documents to what a sidecar takes: Generate compiles it.
func FuzzGenerate(f *testing.F) {
	for name := range samples {
		data, err := os.ReadFile(filepath.Join("testdata", name)) //nolint:gosec // test data
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(one("/a: {$ref: '#/paths/~1b'}\n  /b: &b {get: &g {security: [{oauth: [x]}, {}]}, put: *g}\n  /{c}: *b")))
	f.Fuzz(func(t *testing.T, data []byte) {
		read := func(name string) ([]byte, error) {
			if name != "d" {
				return nil, errors.New("no such file")
			}
			return data, nil
		}
		r, err := openapi.Generate("d", read, openapi.Options{Issuers: []string{"https://a.example"}, Audiences: []string{"a"}, RolesClaim: "roles"})
		if err != nil {
			return
		}
		if err := openapi.Write(&bytes.Buffer{}, &r); err != nil {
			t.Error(err)
		}
		for _, p := range r.Policies {
			for _, rule := range p.Spec.Rules {
				if rule.Allow == nil || rule.Allow.Anonymous || len(rule.Match) == 0 {
					t.Errorf("lets in without a token, or everywhere: %+v", rule)
				}
			}
		}
	})
}
