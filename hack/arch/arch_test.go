// Package arch holds the import arrows of the project: cmd -> controllers | sidecar -> api -> standard library.
package arch

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/bearerguard/bearerguard"

// listed is what go list says of a package.
type listed struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Module     *struct{ Path string }
}

// rule forbids packages to those that a pattern names.
type rule struct {
	from   string // path below the module; a final /... names everything below
	not    []string
	except []string // packages that are fine although not covers them
	direct bool     // only what the package's own files import, not what their imports bring
	why    string
}

func rules() []rule {
	kubernetes := []string{"k8s.io/...", "sigs.k8s.io/controller-runtime/...", "sigs.k8s.io/structured-merge-diff/..."}
	return []rule{
		{from: "api/...", not: []string{module + "/controllers/...", module + "/sidecar/...", module + "/cmd/..."},
			why: "api is what both sides share; it may know neither"},
		{from: "controllers/...", not: []string{module + "/sidecar/...", module + "/cmd/..."},
			why: "what the control plane shares with the sidecar belongs into api"},
		{from: "sidecar/...", not: append(kubernetes, module+"/controllers/...", module+"/cmd/...", module+"/api/v1alpha1"),
			why: "a sidecar runs in every pod: its size is everybody's cost"},
		{from: "cmd/sidecar/...", not: append(kubernetes, module+"/controllers/...", module+"/cmd/controller", module+"/api/v1alpha1"),
			why: "a sidecar runs in every pod: its size is everybody's cost"},
		{from: "cmd/controller/...", not: []string{module + "/sidecar/..."},
			why: "the controller pushes to sidecars; it is none"},
		{from: "cmd/kubectl-bearerguard/mint", not: []string{module + "/..."}, except: []string{module + "/cmd/kubectl-bearerguard/mint"},
			why: "minting is a function of its arguments, and shares no code with the verifier that it tries"},
		{from: "hack/bench/proxy/calls", not: []string{module + "/..."}, except: []string{module + "/hack/bench/proxy/calls"},
			why: "what calls a proxy and answers it shares no code with the proxies that are measured"},

		{from: "api/policy", not: []string{module + "/...", "*"}, except: []string{module + "/api/policy"},
			why: "the schema is plain data: standard library only"},
		{from: "api/decision", not: []string{module + "/..."}, except: []string{module + "/api/decision/...", module + "/api/policy"},
			why: "what a policy means depends on the schema alone"},
		{from: "api/decision", not: []string{"net/http", "os", "os/exec", "log"}, direct: true,
			why: "a pure core: values in, values out"},
		{from: "api/keyset/...", not: []string{module + "/..."}, except: []string{module + "/api/keyset/...", module + "/api/policy"},
			why: "keys know no policy's meaning and no wire"},
		{from: "api/keyset/...", not: []string{"net/http", "os", "os/exec", "log"}, direct: true,
			why: "a pure core: values in, values out"},
		{from: "api/lint", not: []string{module + "/..."}, except: []string{module + "/api/lint", module + "/api/decision/...", module + "/api/keyset/...", module + "/api/policy"},
			why: "what is odd in a policy depends on its meaning alone"},
		{from: "api/flags", not: []string{module + "/..."}, except: []string{module + "/api/flags"},
			why: "the sidecar and the injector read flags by the same code, and it knows neither"},
		{from: "api/flags", not: []string{"net/http", "os", "os/exec", "log"}, direct: true,
			why: "a pure core: values in, values out"},
		{from: "controllers/cell", not: []string{"sigs.k8s.io/controller-runtime/...", "k8s.io/client-go/..."},
			why: "a pure core: labels in, whose they are out"},
		{from: "controllers/compile", not: []string{"sigs.k8s.io/controller-runtime/...", "k8s.io/client-go/..."},
			why: "a pure core: snapshot in, bundles out"},
		{from: "controllers/status", not: []string{"sigs.k8s.io/controller-runtime/pkg/client", "k8s.io/client-go/..."},
			why: "a pure core: outcome in, conditions out"},
		{from: "controllers/isolate", not: []string{"sigs.k8s.io/controller-runtime/...", "k8s.io/client-go/..."},
			why: "a pure core: policies in, NetworkPolicies out"},
		{from: "controllers/inject", not: []string{"sigs.k8s.io/controller-runtime/...", "k8s.io/client-go/..."},
			why: "a pure core: pod in, pod out"},
		{from: "sidecar/refuse", not: []string{module + "/..."}, except: []string{module + "/sidecar/refuse", module + "/api/decision/...", module + "/api/policy"},
			why: "a refusal follows from its reason alone"},
		{from: "sidecar/proxy/frame", not: []string{module + "/...", "*"}, direct: true,
			except: []string{module + "/sidecar/proxy/head", "golang.org/x/net/http2/hpack"},
			why:    "of HTTP/2 it takes nothing but HPACK from elsewhere"},
		{from: "sidecar/proxy/frame", not: []string{"net", "net/http", "os", "sync", "sync/atomic", "context", "log"}, direct: true,
			why: "a pure state machine: bytes in, events and bytes out"},
		{from: "sidecar/proxy/loop", not: []string{module + "/..."}, except: []string{module + "/sidecar/proxy/loop"},
			why: "it knows nothing of HTTP"},
		{from: "sidecar/proxy/exchange", not: []string{module + "/sidecar/proxy/frame", module + "/sidecar/proxy/client", module + "/sidecar/proxy/app", module + "/sidecar/proxy"},
			why: "which protocol an end speaks is the end's business"},
		{from: "sidecar/proxy/client", not: []string{module + "/sidecar/proxy/app", module + "/sidecar/proxy"}, why: "an end knows the exchange alone"},
		{from: "sidecar/proxy/app", not: []string{module + "/sidecar/proxy/client", module + "/sidecar/proxy"}, why: "an end knows the exchange alone"},
		{from: "cmd/sidecar", not: []string{"net/http/httputil", "golang.org/x/net/http2"}, direct: true,
			why: "requests go one way"},
	}
}

// jwxUsers are the packages whose files may import jwx, behind checks of their own. Everybody else goes through them.
func jwxUsers() []string {
	return []string{"api/keyset/...", "sidecar/token", "cmd/kubectl-bearerguard/mint", "hack/..."}
}

func TestImportArrows(t *testing.T) {
	t.Parallel()
	packages := list(t)
	for _, r := range rules() {
		for _, from := range own(packages) {
			if !matches(below(r.from), from) {
				continue
			}
			for _, to := range reached(packages, from, r.direct) {
				if r.forbids(packages[to]) {
					t.Errorf("%s must not import %s (%s)\n\tby way of %s", from, to, r.why,
						strings.Join(way(packages, from, to), " -> "))
				}
			}
		}
	}
}

func TestFewPackagesImportJWX(t *testing.T) {
	t.Parallel()
	packages := list(t)
	for _, from := range own(packages) {
		if slices.ContainsFunc(jwxUsers(), func(p string) bool { return matches(below(p), from) }) {
			continue
		}
		for _, to := range packages[from].Imports {
			if matches("github.com/lestrrat-go/jwx/...", to) {
				t.Errorf("%s must not import %s: only %s may", from, to, strings.Join(jwxUsers(), ", "))
			}
		}
	}
}

// A rule that names a package which is gone guards nothing.
func TestRulesNamePackagesThatExist(t *testing.T) {
	t.Parallel()
	packages := own(list(t))
	for _, r := range rules() {
		if !slices.ContainsFunc(packages, func(p string) bool { return matches(below(r.from), p) }) {
			t.Errorf("no package is named by %s", r.from)
		}
	}
}

// list asks the go command for every package of the module and all that they import.
func list(t *testing.T) map[string]listed {
	t.Helper()
	for _, dir := range []string{"api", "cmd", "controllers", "sidecar"} {
		// Looked at by this process, so that go test does not answer from its cache when a file has changed.
		if err := filepath.WalkDir(filepath.Join("..", "..", dir), func(_ string, _ fs.DirEntry, err error) error { return err }); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Standard,Imports,Module", "./...")
	cmd.Dir = filepath.Join("..", "..")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	packages := map[string]listed{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages[p.ImportPath] = p
	}
}

// own returns the import paths of the module's packages, sorted.
func own(packages map[string]listed) []string {
	var paths []string
	for _, p := range packages {
		if p.Module != nil && p.Module.Path == module {
			paths = append(paths, p.ImportPath)
		}
	}
	slices.Sort(paths)
	return paths
}

func (r rule) forbids(p listed) bool {
	if slices.ContainsFunc(r.except, func(e string) bool { return matches(e, p.ImportPath) }) {
		return false
	}
	return slices.ContainsFunc(r.not, func(n string) bool {
		return n == "*" && !p.Standard || matches(n, p.ImportPath)
	})
}

// below makes a path of the module absolute.
func below(pattern string) string { return module + "/" + pattern }

// matches compares an import path with a pattern whose final /... stands for the package and all below it.
func matches(pattern, importPath string) bool {
	prefix, tree := strings.CutSuffix(pattern, "/...")
	return importPath == prefix || tree && strings.HasPrefix(importPath, prefix+"/")
}

// reached returns what a package imports, directly or at all, sorted.
func reached(packages map[string]listed, from string, direct bool) []string {
	if direct {
		return packages[from].Imports
	}
	return slices.Sorted(maps.Keys(parents(packages, from)))
}

// parents walks the imports breadth first; each package found maps to the one that imported it.
func parents(packages map[string]listed, from string) map[string]string {
	found := map[string]string{}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		for _, to := range packages[queue[0]].Imports {
			if _, seen := found[to]; !seen && to != from {
				found[to] = queue[0]
				queue = append(queue, to)
			}
		}
	}
	return found
}

// way is the shortest chain of imports between two packages.
func way(packages map[string]listed, from, to string) []string {
	found := parents(packages, from)
	chain := []string{to}
	for at := to; at != from; {
		at = cmp.Or(found[at], from)
		chain = append(chain, at)
	}
	slices.Reverse(chain)
	return chain
}
