package convert_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/convert"
)

// table is policies, and what Istio answers to requests: "TOKEN PATH WORD...".
type table struct {
	Name, Policies string
	Allow, Deny    []string
	// Stricter is how many of those that Istio allows are refused.
	Stricter int
	// Named are notes that there are, with a line each: "FIELD: EFFECT".
	Named []string
}

// Istio's own request tables, asked of converted policies: what Istio denies is denied, nearly all else is the same, and what is not is named.
func TestIstioRequests(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/istio-requests*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Tokens map[string]map[string]any
		Tables []table
	}
	var tables []table
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Tables = nil
		if err := yaml.UnmarshalStrict(data, &all); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		tables = append(tables, all.Tables...)
	}
	asks, stricter := 0, 0
	for _, table := range tables {
		t.Run(table.Name, func(t *testing.T) {
			result := run(t, []byte(table.Policies))
			n := table.ask(t, result.Policies, all.Tokens)
			if n != table.Stricter {
				t.Errorf("%d requests that Istio allows are refused, want %d", n, table.Stricter)
			}
			for _, want := range table.Named {
				if !slices.ContainsFunc(result.Notes, func(n convert.Note) bool {
					return n.Field+": "+string(n.Effect) == want && n.Line > 0 && n.Reason != ""
				}) {
					t.Errorf("no note %q in %q", want, result.Notes)
				}
			}
			asks, stricter = asks+len(table.Allow)+len(table.Deny), stricter+n
		})
	}
	t.Logf("%d tables: %d of %d requests have the same answer", len(tables), asks-stricter, asks)
}

// ask asks each request, and returns how many that Istio allows are refused.
func (table *table) ask(t *testing.T, policies []convert.Policy, tokens map[string]map[string]any) (stricter int) {
	for want, lines := range map[bool][]string{true: table.Allow, false: table.Deny} {
		for _, line := range lines {
			a, namespace := readAsked(t, line, tokens)
			here := slices.DeleteFunc(slices.Clone(policies), func(p convert.Policy) bool { return p.Metadata.Namespace != namespace })
			switch got := decide(programOf(t, here, a.labels), a).Allowed; {
			case got == want:
			case got:
				t.Errorf("Istio denies %s, and it is let in", line)
			default:
				t.Logf("stricter: %s", line)
				stricter++
			}
		}
	}
	return stricter
}

// readAsked reads a request: a token, a path, and words such as host:a.test, or headers as NAME=VALUE.
func readAsked(t *testing.T, line string, tokens map[string]map[string]any) (a asked, namespace string) {
	words := strings.Fields(line)
	claims, known := tokens[words[0]]
	if !known {
		t.Fatalf("%s: no such token", line)
	}
	namespace = "shop"
	a = asked{labels: map[string]string{"app": "a"}, host: "a.test", method: "GET", port: "8080", ip: netip.MustParseAddr("10.1.2.3"), path: words[1], claims: claims, header: map[string]string{}}
	for _, word := range words[2:] {
		key, value, _ := strings.Cut(word, ":")
		switch key {
		case "host":
			a.host = value
		case "method":
			a.method = value
		case "port":
			a.port = value
		case "ip":
			a.ip = netip.MustParseAddr(value)
		case "from":
			a.peer = value
		case "pod":
			var labels string
			namespace, labels, _ = strings.Cut(value, "/")
			a.labels = map[string]string{}
			for pair := range strings.SplitSeq(labels, "+") {
				k, v, _ := strings.Cut(pair, "=")
				a.labels[k] = v
			}
		default:
			name, value, found := strings.Cut(word, "=")
			if !found {
				t.Fatalf("%s: %s", line, word)
			}
			a.header[name] = value
		}
	}
	return a, namespace
}
