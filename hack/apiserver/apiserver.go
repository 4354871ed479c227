// Package apiserver finds the real API server that tests start: `make test` builds it.
package apiserver

import (
	"os"
	"path/filepath"
	"testing"
)

// Assets returns the folder with kube-apiserver and etcd: $KUBEBUILDER_ASSETS, or where hack/cluster/build.sh puts them. Where they are missing
// the test is skipped; with CI=true it fails.
func Assets(t testing.TB) string {
	t.Helper()
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if assets == "" {
		cache, _ := os.UserCacheDir()
		assets = filepath.Join(cache, "bearerguard", "bin")
	}
	if _, err := os.Stat(filepath.Join(assets, "kube-apiserver")); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no kube-apiserver in %s; want KUBEBUILDER_ASSETS to name a folder with it", assets)
		}
		t.Skipf("no kube-apiserver in %s: make test builds one", assets)
	}
	return assets
}
