package proxy

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// A client that does not get on with its TLS handshake, or does not say whether there is to be one, is cut off after
// --read-header-timeout.
func TestLimitOfHandshakes(t *testing.T) {
	t.Parallel()
	url, _ := counting(t)
	for name, tt := range map[string]struct {
		plain bool
		send  string
	}{
		"nothing":                               {false, ""},
		"half a hello":                          {false, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"},
		"nothing, where plaintext is taken too": {true, ""},
		"a byte, where plaintext is taken too":  {true, "\x16"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := protect(t, url, func(c *Config) {
				c.TLS, c.Plaintext, c.Limits = certificate(t), tt.plain, Limits{ReadHead: short, Drain: time.Second}
			})
			c := dial(t, g.addr)
			_, _ = io.WriteString(c, tt.send)
			_ = c.SetReadDeadline(time.Now().Add(patience))
			var timeout net.Error
			if _, err := io.ReadAll(c); errors.As(err, &timeout) && timeout.Timeout() {
				t.Error("the connection goes on")
			}
		})
	}
}
