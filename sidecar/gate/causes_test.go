package gate_test

import (
	"testing"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// A request that is refused for its shape is refused with what exactly is wrong with it.
func TestCausesOfShapes(t *testing.T) {
	t.Parallel()
	const path, host, method = decision.BadPath, decision.BadHost, decision.BadMethod
	tests := map[string]struct {
		method, target, host string
		want                 decision.Reason
		cause                string
	}{
		"an encoded slash":     {"GET", "/api/v4/projects/group%2Fproj/x", "h", path, "the path has an encoded slash; paths.encodedSlash: Keep lets it in"},
		"a backslash":          {"GET", `/a\b`, "h", path, "the path has a backslash"},
		"an encoded backslash": {"GET", "/a%5cb", "h", path, "the path has a backslash"},
		"a climb":              {"GET", "/a/../../b", "h", path, "the path climbs above the root"},
		"NUL":                  {"GET", "/a%00", "h", path, "the path has %00"},
		"a line break":         {"GET", "/a%0Ab", "h", path, "the path has a control byte"},
		"bad percent-encoding": {"GET", "/a%4", "h", path, "the path has bad percent-encoding: a % without two hexadecimal digits"},
		"bad UTF-8":            {"GET", "/%ff", "h", path, "the path is not UTF-8"},
		"a fragment":           {"GET", "/a#b", "h", path, "the path has a raw ? or #"},
		"a query":              {"GET", "/a?b#c", "h", path, "the query has a control byte, a space or a #"},
		"an asterisk":          {"OPTIONS", "*", "h", path, "the target is *, which is no path"},
		"no path":              {"GET", "a", "h", path, "the target is neither a path nor an http URL"},
		"another scheme":       {"GET", "ftp://h/a", "h", path, "the target is neither a path nor an http URL"},
		"another host":         {"GET", "http://g/a", "h", host, "the target's host is not that of the Host header"},
		"a bad authority":      {"GET", "http://u@h/a", "h", host, "the host has user information before @"},
		"no host":              {"GET", "/a", "", host, "the host is missing"},
		"a port of letters":    {"GET", "/a", "h:http", host, "the host has a port that is no number of 1 to 65535"},
		"two dots":             {"GET", "/a", "a..b", host, "the host has an empty label: two dots, or a dot first"},
		"a slash in the host":  {"GET", "/a", "a/b", host, "the host has a character that is none of letters, digits, - _ and ."},
		"a tunnel":             {"CONNECT", "h:80", "h", method, "CONNECT asks for a tunnel past the sidecar"},
		"TRACE":                {"trace", "/a", "h", method, "TRACE shows the client what the sidecar adds"},
		"a lower-case method":  {"gET", "/a", "h", method, "the method has a lower-case letter; methods have case"},
		"no method":            {"G T", "/a", "h", method, "the method is no token"},
	}
	g := newGate(t, gatetest.Policy("orders", orders()))
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := g.Judge(&gate.Request{Method: tt.method, Target: tt.target, Host: tt.host})
			if v.Forward || v.Reason != tt.want || v.Cause == nil || v.Cause.String() != tt.cause || v.Cause.Detail() != tt.cause {
				t.Errorf("%s: %v; want %s: %s", v.Reason, v.Cause, tt.want, tt.cause)
			}
		})
	}
}
