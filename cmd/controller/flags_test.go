package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

func TestFlagsThatAreWrongAreNamed(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"--sidecar-image: is empty":                                 {},
		"--sidecar-cpu: \"x\" is no quantity":                       {"--sidecar-image", "i", "--sidecar-cpu", "x"},
		"--certs: \"magic\" is not known":                           {"--sidecar-image", "i", "--certs", "magic"},
		"--cert-dir: is given, but the controller makes its own":    {"--sidecar-image", "i", "--cert-dir", "/certs"},
		"--push-port: is 0":                                         {"--sidecar-image", "i", "--push-port", "0"},
		"--metrics-bind-address: \"8080\"":                          {"--sidecar-image", "i", "--metrics-bind-address", "8080"},
		"--debug-address: \":8082\" is no address of loopback":      {"--sidecar-image", "i", "--debug-address", ":8082"},
		"--key-allow-nets: \"ten\"":                                 {"--sidecar-image", "i", "--key-allow-nets", "ten"},
		"--log-level: \"loud\" is not known":                        {"--sidecar-image", "i", "--log-level", "loud"},
		"sidecar memory: is 1Mi":                                    {"--sidecar-image", "i", "--sidecar-memory", "1Mi"},
		"sidecar memory limit: 32Mi is below":                       {"--sidecar-image", "i", "--sidecar-memory", "64Mi", "--sidecar-memory-limit", "32Mi"},
		"sidecar.flags[idle-timeout]: \"soon\" is no duration":      {"--sidecar-image", "i", "--sidecar-flag", "idle-timeout=soon"},
		"sidecar.flags[push]: is not a flag for pods; want one of":  {"--sidecar-image", "i", "--sidecar-flag", "push=evil:1"},
		"--sidecar-flag: \"drain\" is no name=value":                {"--sidecar-image", "i", "--sidecar-flag", "drain"},
		"sidecar.flags[token-cache-bytes]: 1073741824 bytes do not": {"--sidecar-image", "i", "--sidecar-flag", "token-cache-bytes=1073741824"},
		"sidecar cpu limit: 10m is below the request of 20m":        {"--sidecar-image", "i", "--sidecar-cpu-limit", "10m"},
		"--sidecar-run-as-user: \"root\" is no id":                  {"--sidecar-image", "i", "--sidecar-run-as-user", "root"},
		"sidecar user id: is 0; want 1 to":                          {"--sidecar-image", "i", "--sidecar-run-as-user", "0"},
		"sidecar image pull secrets: \"A\" is not a name":           {"--sidecar-image", "i", "--sidecar-image-pull-secrets", "A"},
		"--revision: revision \"Blue\" is no name":                  {"--sidecar-image", "i", "--revision", "Blue", "--namespace-selector", "a=b"},
		"--namespace-selector: is empty, and there is a --revision": {"--sidecar-image", "i", "--revision", "blue"},
		"--namespace-selector: \"a in (\" is no label selector":     {"--sidecar-image", "i", "--namespace-selector", "a in ("},
		"--namespace: is empty":                                     {"--sidecar-image", "i", "--namespace", ""},
		"--key-allow-nets: \"10.0.0.0/99\" is no":                   {"--sidecar-image", "i", "--key-allow-nets", "10.0.0.0/99"},
	} {
		if _, err := parse(t, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: err = %v; want %s", args, err, want)
		}
	}
}

func TestFlagsHaveDefaultsThatWork(t *testing.T) {
	t.Parallel()
	c, err := parse(t, "--sidecar-image", "example.com/bearerguard:1", "--cluster-domain", "cluster.local")
	if err != nil {
		t.Fatal(err)
	}
	if c.inject.PushAddress != "bearerguard-push.bearerguard-system.svc.cluster.local.:8443" {
		t.Errorf("sidecars are told to call %s", c.inject.PushAddress)
	}
}

func TestPodsTellTheRevisionThatInjectedThem(t *testing.T) {
	t.Parallel()
	c, err := parse(t, "--sidecar-image", "i", "--revision", "blue", "--namespace-selector", "bearerguard.dev/revision=blue")
	if err != nil {
		t.Fatal(err)
	}
	if got := []string{c.inject.Version, c.inject.CAConfigMap}; !cmp.Equal(got, []string{version + "@blue", "bearerguard-ca-blue"}) {
		t.Errorf("pods are marked with, and trust: %v", got)
	}
	if c.cell.Owns(nil) || !c.cell.Owns(map[string]string{"bearerguard.dev/revision": "blue"}) {
		t.Error("other namespaces than those of the selector are served")
	}
}

func TestFlagsOfSidecars(t *testing.T) {
	t.Parallel()
	c, err := parse(t, "--sidecar-image", "i", "--sidecar-flag", "trust-forwarded=10.0.0.0/8,fd00::/8", "--sidecar-flag=idle-timeout=2m",
		"--sidecar-image-pull-secrets=a,b", "--sidecar-run-as-user=", "--sidecar-cpu-limit=500m")
	if err != nil {
		t.Fatal(err)
	}
	got := []any{c.inject.Flags, c.inject.ImagePullSecrets, c.inject.RunAsUser, c.inject.RunAsGroup, c.inject.CPULimit.String()}
	want := []any{
		map[string]string{"trust-forwarded": "10.0.0.0/8,fd00::/8", "idle-timeout": "2m"}, []string{"a", "b"}, (*int64)(nil), (*int64)(nil), "500m",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func parse(t *testing.T, args ...string) (config, error) {
	t.Helper()
	var f flags
	fs := pflag.NewFlagSet("controller", pflag.ContinueOnError)
	f.define(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return f.config()
}

// docs/flags.md, which hack/reference reads out of the code, has each flag with its default.
func TestFlagsAreOnThePage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/flags.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## controller\n")
	root(nil).Flags().VisitAll(func(f *pflag.Flag) {
		row := regexp.MustCompile(`(?m)^\| ` + "`--" + f.Name + "`" + ` \| [a-z]+ \| (.*?) \|`).FindStringSubmatch(section)
		if def := strings.Trim(f.DefValue, "[]"); row == nil || strings.Trim(row[1], "`") != def {
			t.Errorf("--%s with the default %q: the page has %q; run go run ./hack/reference", f.Name, def, row)
		}
	})
}
