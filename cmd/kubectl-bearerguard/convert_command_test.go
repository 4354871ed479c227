package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/exit"
)

// What convert writes, check takes; what did not come over decides the exit code.
func TestConvert(t *testing.T) {
	t.Parallel()
	const samples = "convert/testdata/"
	policies, err := run(t, "convert", "-f", samples+"example.in.yaml")
	if err != nil {
		t.Fatal(err)
	}
	policies, _, _ = strings.Cut(policies, "\n"+samples) // what stands on standard error
	file := filepath.Join(t.TempDir(), "policies.yaml")
	if err := os.WriteFile(file, []byte(policies), 0o600); err != nil {
		t.Fatal(err)
	}
	said, err := run(t, "check", "-f", file, "--request", "GET /orders/7", "--claims", `{"sub":"ann","roles":"admin-eu"}`)
	if err != nil || !strings.Contains(said, "orders-1") || strings.Contains(said, "warning") {
		t.Errorf("%v\n%s", err, said)
	}
	if _, err := run(t, "convert", "-f", samples+"lost.in.yaml", "-o", "json"); !errors.Is(err, exit.ErrNo) {
		t.Errorf("what is left out: %v", err)
	}
	if _, err := run(t, "convert"); err == nil || !strings.Contains(err.Error(), "--filename") {
		t.Errorf("without files: %v", err)
	}
}
