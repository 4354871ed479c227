package gate

import (
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/api/policy"
)

// What is forwarded is a fixed point: an app that canonicalises again comes to the same, and nothing in it ends the
// request line early.
func FuzzShape(f *testing.F) {
	for _, s := range [][2]string{
		{"/a/../b?c=d", "Host.:80"}, {"http://h/%2e%2E/a", "h"}, {"//x;y", "[::1]:1"}, {"*", "h"}, {"/%zz", "h"}, {"/a#b", "u@h"},
	} {
		f.Add(s[0], s[1], true)
	}
	f.Fuzz(func(t *testing.T, target, host string, keep bool) {
		slash := policy.RefuseEncodedSlash
		if keep {
			slash = policy.KeepEncodedSlash
		}
		var s, again shape
		if s.read(&Request{Method: "GET", Target: target, Host: host}, slash) != "" {
			return
		}
		out := s.target()
		if strings.ContainsAny(out+s.hostPort, "\r\n\x00 #\\") || !strings.HasPrefix(out, "/") || strings.HasPrefix(out, "//") {
			t.Fatalf("forwards %q to %q", out, s.hostPort)
		}
		reason := again.read(&Request{Method: "GET", Target: out, Host: s.hostPort}, slash)
		if again.target() != out {
			t.Fatalf("%q became %q, then %q", target, out, again.target())
		}
		s.origin, again.origin = "", "" // only the second is as it came
		if reason != "" || again != s {
			t.Fatalf("%q %q became %+v, then %+v (%s)", target, host, s, again, reason)
		}
	})
}

func TestSameFold(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"X-User", "x_user", true}, {"X-User", "X.USER", true}, {"X-User", "XUser", false}, {"X-User", "X-Users", false}, {"", "", true},
	} {
		if got := sameFold(tt.a, tt.b); got != tt.want {
			t.Errorf("sameFold(%q, %q) = %v", tt.a, tt.b, got)
		}
	}
}
