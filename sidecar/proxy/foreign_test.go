package proxy

import (
	"io"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/api/logqueue"
)

// Who speaks another protocol is refused, and whoever looks why finds the port and the remedy, in the log once for each port.
func TestAnotherProtocolIsNamed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		send, want string
		tls        bool
	}{
		"TLS":      {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "port 8443 was sent TLS: give the sidecar a certificate by bearerguard.dev/tls-cert (--tls-cert)", false},
		"SSH":      {"SSH-2.0-OpenSSH_9.2\r\n", "port 8443 was sent SSH: only HTTP can be guarded", false},
		"postgres": {"\x00\x00\x00\x08\x04\xd2\x16\x2f", "port 8443 was sent PostgreSQL's protocol: only HTTP can be guarded", false},
		"PROXY before a request": {
			"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
			"port 8443 was sent the PROXY protocol: have the load balancer send HTTP alone, with X-Forwarded-For", false,
		},
		"the binary PROXY protocol": {"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c", "port 8443 was sent the PROXY protocol: ", false},
		"HTTP where TLS is served": {
			"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "port 8443 was sent something else than TLS: it serves TLS; bearerguard.dev/tls-permissive", true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := &lockedBuffer{}
			log, err := logqueue.NewLogger(out, "json", "info")
			if err != nil {
				t.Fatal(err)
			}
			guard := protect(t, echo(t).URL, func(c *Config) {
				c.Log, c.Listen[0].Port = log, 8443
				if tc.tls {
					c.TLS = certificate(t)
				}
			})
			for range 3 {
				c := dial(t, guard.addr)
				if _, err := io.WriteString(c, tc.send); err != nil {
					t.Fatal(err)
				}
				// Where TLS is served the connection is closed, or reset.
				if got, err := io.ReadAll(c); !tc.tls && (err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 400 ")) {
					t.Errorf("answered %q, %v; want 400", got, err)
				}
			}
			guard.observer.mu.Lock()
			for _, r := range guard.observer.records {
				if r.Cause == nil || !strings.HasPrefix(r.Cause.String(), tc.want) {
					t.Errorf("cause %v, want %s", r.Cause, tc.want)
				}
			}
			guard.observer.mu.Unlock()
			if n := strings.Count(out.String(), tc.want); n != 1 {
				t.Errorf("the log says it %d times, want once:\n%s", n, out)
			}
		})
	}
}
