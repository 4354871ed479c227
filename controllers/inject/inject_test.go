package inject_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"

	"github.com/bearerguard/bearerguard/controllers/inject"
)

var update = flag.Bool("update", false, "rewrite the .out.yaml files of testdata/inject")

// A case of testdata/inject is NAME.in.yaml (a pod), NAME.out.yaml (what becomes of it) and perhaps NAME.cfg.yaml
// (where the configuration differs from the usual one). A new case is a new file.
const dir = "testdata/inject"

// overrides is what a .cfg.yaml may say.
type overrides struct {
	Namespace       string            `json:"namespace"`
	NamespaceLabels map[string]string `json:"namespaceLabels"`
	ClusterDomain   string            `json:"clusterDomain"`
	Version         string            `json:"version"`
	LogLevel        string            `json:"logLevel"`
	// Further settings of the controller.
	Flags            map[string]string `json:"flags"`
	CPULimit         string            `json:"cpuLimit"`
	ImagePullSecrets []string          `json:"imagePullSecrets"`
	NoIDs            bool              `json:"noIDs"`
	// NamespaceAnnotations are on the pod's namespace.
	NamespaceAnnotations map[string]string `json:"namespaceAnnotations"`
}

func TestInject(t *testing.T) {
	t.Parallel()
	ins, err := filepath.Glob(filepath.Join(dir, "*.in.yaml"))
	if err != nil || len(ins) == 0 {
		t.Fatalf("no cases in %s: %v", dir, err)
	}
	for _, in := range ins {
		name := strings.TrimSuffix(filepath.Base(in), ".in.yaml")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pod, cfg := readPod(t, in), readConfig(t, name)
			before := pod.DeepCopy()
			result, err := inject.Inject(pod, cfg)
			if diff := cmp.Diff(before, pod); diff != "" {
				t.Errorf("the given pod was changed (-before +after):\n%s", diff)
			}
			checkGolden(t, filepath.Join(dir, name+".out.yaml"), render(t, result, err))
			if err == nil && result.Injected() {
				checkAgain(t, result.Pod, cfg)
			}
		})
	}
}

// checkAgain injects a pod a second time.
func checkAgain(t *testing.T, pod *corev1.Pod, cfg inject.Config) {
	t.Helper()
	again, err := inject.Inject(pod, cfg)
	if err != nil {
		t.Fatalf("inject again: %v", err)
	}
	if diff := cmp.Diff(pod, again.Pod); diff != "" {
		t.Errorf("a second injection changed the pod (-first +second):\n%s", diff)
	}
	if again.Reason != inject.AlreadyInjected {
		t.Errorf("a second injection says %s, want %s", again.Reason, inject.AlreadyInjected)
	}
}

func TestEveryOutputHasItsInput(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		stem, _, _ := strings.Cut(filepath.Base(f), ".")
		if !slices.Contains(files, filepath.Join(dir, stem+".in.yaml")) {
			t.Errorf("%s has no %s.in.yaml: stale", f, stem)
		}
	}
}

// render writes what becomes of a pod as the golden files have it.
func render(t *testing.T, r inject.Result, err error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			fmt.Fprintf(&b, "# refused: %s\n", strings.TrimSpace(line))
		}
		return b.Bytes()
	}
	fmt.Fprintf(&b, "# %s\n", r.Reason)
	for _, w := range r.Warnings {
		fmt.Fprintf(&b, "# warning: %s\n", w)
	}
	if r.Reason == inject.Injected {
		text, err := yaml.Marshal(r.Pod)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(text)
	}
	return b.Bytes()
}

func checkGolden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; run go test with -update", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("differs from %s (-want +got):\n%s", file, diff)
	}
}

func readPod(t *testing.T, file string) *corev1.Pod {
	t.Helper()
	var pod corev1.Pod
	readYAML(t, file, &pod)
	return &pod
}

func readConfig(t *testing.T, name string) inject.Config {
	t.Helper()
	var o overrides
	file := filepath.Join(dir, name+".cfg.yaml")
	if _, err := os.Stat(file); err == nil {
		readYAML(t, file, &o)
	}
	cfg := validConfig()
	cfg.PushAddress, cfg.PushServerName = inject.PushService("bearerguard-system", o.ClusterDomain)
	cfg.LogLevel, cfg.Flags, cfg.ImagePullSecrets = o.LogLevel, o.Flags, o.ImagePullSecrets
	if o.CPULimit != "" {
		cfg.CPULimit = resource.MustParse(o.CPULimit)
	}
	if o.NoIDs {
		cfg.RunAsUser, cfg.RunAsGroup = nil, nil
	}
	if o.Version != "" {
		cfg.Version = o.Version
	}
	if o.Namespace == "" {
		o.Namespace = "shop"
	}
	return cfg.In(inject.Namespace{Name: o.Namespace, Labels: o.NamespaceLabels, Annotations: o.NamespaceAnnotations})
}

func readYAML(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(text, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}
