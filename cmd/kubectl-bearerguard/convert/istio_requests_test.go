package convert_test

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// Istio's own request tables, asked of converted policies: what Istio denies is denied, and nearly all else is the same.
func TestIstioRequests(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/istio-requests.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Tokens map[string]map[string]any
		Tables []struct {
			Name, Policies string
			Allow, Deny    []string
		}
	}
	if err := yaml.UnmarshalStrict(data, &all); err != nil {
		t.Fatal(err)
	}
	same, asks := 0, 0
	for _, table := range all.Tables {
		labels := map[string]string{"app": "a"}
		program := programOf(t, run(t, []byte(table.Policies)).Policies, labels)
		for want, lines := range map[bool][]string{true: table.Allow, false: table.Deny} {
			for _, line := range lines {
				words := strings.Fields(line)
				claims, known := all.Tokens[words[0]]
				if !known {
					t.Fatalf("%s: token %s", table.Name, words[0])
				}
				a := asked{labels: labels, host: "a.test", method: "GET", port: "8080", ip: netip.MustParseAddr("10.1.2.3"), path: words[1], claims: claims, header: map[string]string{}}
				for _, h := range words[2:] {
					name, value, _ := strings.Cut(h, "=")
					a.header[name] = value
				}
				asks++
				switch got := decide(program, a).Allowed; {
				case got == want:
					same++
				case got:
					t.Errorf("%s: Istio denies %s, and it is let in", table.Name, line)
				default:
					t.Logf("%s: stricter: %s", table.Name, line)
				}
			}
		}
	}
	t.Logf("%d of %d requests have the same answer", same, asks)
	if asks-same > 5 { // claims that one issuer alone splits, a doubled slash, and two identities of the mesh
		t.Errorf("%d of %d requests have another answer", asks-same, asks)
	}
}
