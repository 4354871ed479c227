package gate

import (
	"reflect"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

// What is forwarded is a fixed point: an app that canonicalises again comes to the same, and nothing in it ends the
// request line early.
func FuzzShape(f *testing.F) {
	for _, s := range [][2]string{
		{"/a/../b?c=d", "Host.:80"}, {"http://h/%2e%2E/a", "h"}, {"//x;y", "[::1]:1"}, {"*", "h"}, {"/%zz", "h"}, {"/a#b", "u@h"}, {"/a%3db;c//d", "h"}, {"/://", "h"}, {"HTTP://h?a", "h"},
	} {
		f.Add(s[0], s[1], true, false)
		f.Add(s[0], s[1], false, true)
	}
	f.Fuzz(func(t *testing.T, target, host string, keep, asSent bool) {
		o := decision.PathOptions{AsSent: asSent}
		if keep {
			o.Slash = policy.KeepEncodedSlash
		}
		var s, again shape
		if s.read(&Request{Method: "GET", Target: target, Host: host}, o).Refused() {
			return
		}
		out := s.target()
		path, _, _ := strings.Cut(out, "?")
		if strings.ContainsAny(out+s.hostPort, "\r\n\x00 #") || strings.Contains(path, "\\") || !strings.HasPrefix(out, "/") {
			t.Fatalf("forwards %q to %q", out, s.hostPort)
		}
		if asSent {
			if target[0] == '/' && out != target || !strings.HasSuffix(target, out[1:]) {
				t.Fatalf("%q is forwarded as %q", target, out)
			}
			return
		}
		if strings.HasPrefix(out, "//") {
			t.Fatalf("forwards %q", out)
		}
		no := again.read(&Request{Method: "GET", Target: out, Host: s.hostPort}, o)
		if again.target() != out {
			t.Fatalf("%q became %q, then %q", target, out, again.target())
		}
		s.origin, again.origin = "", "" // only the second is as it came
		if no.Refused() || !reflect.DeepEqual(again, s) {
			t.Fatalf("%q %q became %+v, then %+v (%s)", target, host, s, again, no.Reason)
		}
	})
}
