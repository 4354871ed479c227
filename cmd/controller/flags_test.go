package main

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestFlagsThatAreWrongAreNamed(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"--sidecar-image: is empty":               {},
		"--sidecar-cpu: \"x\" is no quantity":     {"--sidecar-image", "i", "--sidecar-cpu", "x"},
		"--certs: \"magic\" is not known":         {"--sidecar-image", "i", "--certs", "magic"},
		"--cert-dir: is empty":                    {"--sidecar-image", "i", "--certs", "cert-manager"},
		"--push-port: is 0":                       {"--sidecar-image", "i", "--push-port", "0"},
		"--metrics-bind-address: \"8080\"":        {"--sidecar-image", "i", "--metrics-bind-address", "8080"},
		"--key-allow-nets: \"ten\"":               {"--sidecar-image", "i", "--key-allow-nets", "ten"},
		"--log-level: \"loud\" is not known":      {"--sidecar-image", "i", "--log-level", "loud"},
		"sidecar memory: is 1Mi":                  {"--sidecar-image", "i", "--sidecar-memory", "1Mi"},
		"sidecar memory limit: 32Mi is below":     {"--sidecar-image", "i", "--sidecar-memory", "64Mi", "--sidecar-memory-limit", "32Mi"},
		"--namespace: is empty":                   {"--sidecar-image", "i", "--namespace", ""},
		"--key-allow-nets: \"10.0.0.0/99\" is no": {"--sidecar-image", "i", "--key-allow-nets", "10.0.0.0/99"},
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
