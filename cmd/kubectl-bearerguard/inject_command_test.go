package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/exit"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/preview"
)

// admitted runs inject with an image that no build changes.
func admitted(t *testing.T, file string, args ...string) (string, error) {
	t.Helper()
	return run(t, append([]string{"inject", "-f", file, "--image", "example.com/bearerguard:1"}, args...)...)
}

func TestInjectWritesWhatAdmissionMakes(t *testing.T) {
	t.Parallel()
	for golden, args := range map[string][]string{"inject.out.yaml": nil, "inject.out.diff": {"--diff"}} {
		got, err := admitted(t, "testdata/inject.yaml", args...)
		if exit.Code(err) != 2 { // one object would be refused
			t.Fatal(err)
		}
		got = strings.ReplaceAll(got, "bearerguard.dev/injected: "+versionText()+"\n", "bearerguard.dev/injected: VERSION\n")
		name := filepath.Join("testdata", golden)
		if *update {
			if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s; go test -run TestInjectWrites -update rewrites it (-want +got):\n%s", name, diff)
		}
	}
}

// A pod that is admitted twice is as after the first time.
func TestWhatIsInjectedStaysSo(t *testing.T) {
	t.Parallel()
	const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: shop}\nspec: {containers: [{name: app, image: b, ports: [{containerPort: 8080}]}]}\n"
	file := filepath.Join(t.TempDir(), "pod.yaml")
	if err := os.WriteFile(file, []byte(pod), 0o600); err != nil {
		t.Fatal(err)
	}
	once, err := admitted(t, file, "--namespace-label", "bearerguard.dev/inject=enabled")
	if err != nil || !strings.Contains(once, "name: bearerguard\n") {
		t.Fatalf("%v\n%s", err, once)
	}
	if err := os.WriteFile(file, []byte(once), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := admitted(t, file, "--namespace-label", "bearerguard.dev/inject=enabled")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(once, again); diff != "" {
		t.Errorf("(-once +again):\n%s", diff)
	}
}

func TestWhatInjectSaysOfNamespaces(t *testing.T) {
	t.Parallel()
	const pod = "\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: shop}\nspec: {containers: [{name: app, image: b, ports: [{containerPort: 8080}]}]}\n"
	ns := func(labels string) string {
		return "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {" + labels + "}}"
	}
	for name, tt := range map[string]struct {
		text, result, why string
		args              []string
	}{
		"nobody asks":                      {ns(""), "Skipped", "neither the pod nor its namespace asks", nil},
		"a namespace of the files asks":    {ns("bearerguard.dev/inject: enabled"), "Injected", "", nil},
		"a flag is not for such a one":     {ns(""), "Skipped", "neither", []string{"--namespace-label", "bearerguard.dev/inject=enabled"}},
		"a namespace that takes no others": {ns("bearerguard.dev/enforce: 'true'"), "Refused", "has no sidecar, and namespace shop (bearerguard.dev/enforce) takes no pod without one", nil},
		"the controller's own namespace":   {ns("bearerguard.dev/inject: enabled"), "Skipped", "", []string{"--release-namespace", "shop"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "f.yaml")
			if err := os.WriteFile(file, []byte(tt.text+pod), 0o600); err != nil {
				t.Fatal(err)
			}
			text, err := admitted(t, file, append(tt.args, "-o", "json")...)
			var got []preview.Outcome
			if jerr := json.Unmarshal([]byte(text), &got); jerr != nil || len(got) != 2 {
				t.Fatalf("%v, %v\n%s", err, jerr, text)
			}
			if got[1].Result != tt.result || !strings.Contains(got[1].Why, tt.why) || got[0].Result != preview.Unconcerned {
				t.Errorf("%+v; want %s, %q", got, tt.result, tt.why)
			}
			if want := map[bool]int{true: 2}[tt.result == preview.Refused]; exit.Code(err) != want {
				t.Errorf("exit code %d; want %d", exit.Code(err), want)
			}
		})
	}
}

func TestInjectMistakes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"no file":               {nil, "--filename: is missing"},
		"a quantity":            {[]string{"-f", "testdata/inject.yaml", "--memory", "much"}, `--memory: "much" is no quantity`},
		"too little memory":     {[]string{"-f", "testdata/inject.yaml", "--memory", "1Mi"}, "sidecar memory: is 1Mi; want at least 24Mi"},
		"a label without value": {[]string{"-f", "testdata/inject.yaml", "--namespace-label", "a"}, `--namespace-label: "a" is no name=value`},
		"an unknown flag":       {[]string{"-f", "testdata/inject.yaml", "--sidecar-flag", "a=b"}, "a"},
		"no manifest":           {[]string{"-f", "root.go"}, "root.go: "},
	} {
		if _, err := run(t, append([]string{"inject"}, tt.args...)...); exit.Code(err) != 1 || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", name, err, tt.want)
		}
	}
}

// The defaults of inject are those of the chart.
func TestInjectHasTheChartsDefaults(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "charts", "bearerguard", "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var values struct {
		ClusterDomain string
		Image         struct{ Repository string }
		Sidecar       struct {
			CPU, CPULimit, Memory, MemoryLimit string
			RunAsUser, RunAsGroup              json.Number
		}
	}
	if err := yaml.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	if values.Image.Repository != chartImage {
		t.Errorf("the image is %q, and the chart's %q", chartImage, values.Image.Repository)
	}
	flags := newInject().Flags()
	for flag, want := range map[string]string{
		"cpu": values.Sidecar.CPU, "cpu-limit": values.Sidecar.CPULimit,
		"memory": values.Sidecar.Memory, "memory-limit": values.Sidecar.MemoryLimit, "cluster-domain": values.ClusterDomain,
		"run-as-user": values.Sidecar.RunAsUser.String(), "run-as-group": values.Sidecar.RunAsGroup.String(),
	} {
		if got := flags.Lookup(flag).DefValue; got != want {
			t.Errorf("--%s is %q by default, and in the chart %q", flag, got, want)
		}
	}
}
