package cluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

const kubeconfig = `apiVersion: v1
kind: Config
current-context: here
clusters: [{name: c, cluster: {server: "https://203.0.113.1:6443"}}]
users: [{name: u, user: {token: t}}]
contexts:
- {name: here, context: {cluster: c, user: u, namespace: shop}}
- {name: there, context: {cluster: c, user: u}}
`

// parsed returns the flags of a command with these arguments.
func parsed(t *testing.T, args ...string) (*Flags, *cobra.Command, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte(kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := &cobra.Command{Use: "x", RunE: func(*cobra.Command, []string) error { return nil }, SilenceUsage: true, SilenceErrors: true}
	f := AddFlags(cmd, AnyNamespaces)
	cmd.SetArgs(append([]string{"--kubeconfig", file}, args...))
	return f, cmd, cmd.Execute()
}

func TestNamespace(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"shop":    nil,
		"default": {"--context", "there"},
		"pay":     {"-n", "pay"},
		"":        {"-A"},
	} {
		f, _, err := parsed(t, args...)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := f.Namespace(); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", args, got, err, want)
		}
	}
	if _, _, err := parsed(t, "-A", "-n", "pay"); err == nil {
		t.Error("-A and -n were taken together")
	}
}

func TestClients(t *testing.T) {
	t.Parallel()
	f, _, err := parsed(t, "--as", "alice")
	if err != nil {
		t.Fatal(err)
	}
	config, err := f.Config()
	if err != nil {
		t.Fatal(err)
	}
	if config.Host != "https://203.0.113.1:6443" || config.Impersonate.UserName != "alice" {
		t.Errorf("host %s, as %s", config.Host, config.Impersonate.UserName)
	}
	if _, err := f.Client(); err != nil {
		t.Error(err)
	}
	if _, err := f.Kubernetes(); err != nil {
		t.Error(err)
	}
	wrong, _, err := parsed(t, "--context", "nowhere")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wrong.Client(); err == nil || !strings.Contains(err.Error(), `context "nowhere" does not exist`) {
		t.Errorf("a context that is none: %v", err)
	}
}

func TestContextsAreCompleted(t *testing.T) {
	t.Parallel()
	f, cmd, err := parsed(t)
	if err != nil {
		t.Fatal(err)
	}
	names, _ := f.completeContexts(cmd, nil, "")
	if len(names) != 2 {
		t.Errorf("contexts are %q", names)
	}
	if cmd.Flags().Lookup("token") != nil {
		t.Error("there is a --token, which would be the API server's")
	}
}
