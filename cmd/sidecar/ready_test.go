package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// A sidecar that starts while its policy has no keys is not ready; once it has been, it stays so.
func TestReadinessByKeys(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args  []string
		first int
	}{
		"keys":     {nil, http.StatusServiceUnavailable},
		"snapshot": {[]string{"--readiness", "snapshot"}, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var up atomic.Bool
			one := gatetest.NewIssuer("https://corp.example", "one")
			idp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if !up.Load() {
					w.WriteHeader(http.StatusInternalServerError)
					return
				}
				_, _ = io.WriteString(w, one.JWKS())
			}))
			defer idp.Close()
			dir, policy := t.TempDir(), (&provider{Server: idp}).policy()
			write(t, dir, "orders.yaml", policy)
			p := start(t, newApp(t), append([]string{"--policies", dir, "--key-allow-http", "--key-allow-nets", "127.0.0.0/8"}, tc.args...)...)
			if got := p.get(t, p.admin+"/readyz", ""); got != tc.first {
				t.Errorf("without keys: readyz = %d, want %d", got, tc.first)
			}
			up.Store(true)
			write(t, dir, "orders.yaml", strings.Replace(policy, "/jwks", "/jwks2", 1)) // another source, which is read at once
			p.eventually(t, "ready once there are keys", func() bool { return p.get(t, p.admin+"/readyz", "") == http.StatusOK })
			up.Store(false)
			write(t, dir, "orders.yaml", strings.Replace(policy, "/jwks", "/jwks3", 1))
			p.eventually(t, "the keys are gone", func() bool {
				return p.get(t, p.url+"/", one.Token(time.Now(), nil)) == http.StatusServiceUnavailable
			})
			if got := p.get(t, p.admin+"/readyz", ""); got != http.StatusOK {
				t.Errorf("after it was ready: readyz = %d, want 200", got)
			}
		})
	}
}
