package conformance

import (
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
	"github.com/bearerguard/bearerguard/sidecar/proxy"
)

// ruled has a proxy decide by these rules.
func ruled(t testing.TB, rules ...policy.Rule) func(*proxy.Config) {
	t.Helper()
	g := gate.New(gate.Options{})
	g.Swap(gatetest.Snapshot(t, nil, gatetest.Policy("orders", policy.Spec{Issuers: []policy.Issuer{corp.Policy("corp")}, Rules: rules})))
	return func(c *proxy.Config) { c.Gate = g }
}

// RFC 9112 section 3.2: health checkers that speak HTTP/1.0 send no Host. Rules about hosts hold in doubt.
func TestHTTP10WithoutHost(t *testing.T) {
	t.Parallel()
	open := &policy.Allow{Anonymous: true}
	deny := &policy.Conditions{}
	all := policy.Rule{Name: "all", Allow: open}
	hosts := func(hosts ...string) []policy.Match { return []policy.Match{{Hosts: hosts}} }
	notHosts := func(hosts ...string) []policy.Match { return []policy.Match{{NotHosts: hosts}} }
	for name, tt := range map[string]struct {
		send   string
		rules  []policy.Rule
		status string
	}{
		"no rule speaks of hosts":                  {"GET /a HTTP/1.0\r\n\r\n", []policy.Rule{all}, "200"},
		"HAProxy's check":                          {"OPTIONS / HTTP/1.0\r\n\r\n", []policy.Rule{all}, "200"},
		"a Host that is empty":                     {"GET /a HTTP/1.0\r\nHost:\r\n\r\n", []policy.Rule{all}, "200"},
		"a target with a host":                     {"GET http://a/a HTTP/1.0\r\n\r\n", []policy.Rule{{Name: "a", Match: hosts("a"), Allow: open}}, "200"},
		"a target with another host":               {"GET http://b/a HTTP/1.0\r\n\r\n", []policy.Rule{{Name: "a", Match: hosts("a"), Allow: open}}, "401"},
		"an allow rule's hosts do not fit":         {"GET /a HTTP/1.0\r\n\r\n", []policy.Rule{{Name: "a", Match: hosts("a"), Allow: open}}, "401"},
		"nor any below a domain":                   {"GET /a HTTP/1.0\r\n\r\n", []policy.Rule{{Name: "a", Match: hosts("*.a"), Allow: open}}, "401"},
		"nor does an allow rule's notHosts":        {"GET /a HTTP/1.0\r\n\r\n", []policy.Rule{{Name: "a", Match: notHosts("a"), Allow: open}}, "401"},
		"a deny rule's hosts fit":                  {"GET /a HTTP/1.0\r\n\r\n", []policy.Rule{all, {Name: "a", Match: hosts("a"), Deny: deny}}, "403"},
		"so do all below a domain":                 {"GET /a HTTP/1.0\r\n\r\n", []policy.Rule{all, {Name: "a", Match: hosts("*.a"), Deny: deny}}, "403"},
		"with a path":                              {"GET /a HTTP/1.0\r\n\r\n", []policy.Rule{all, {Name: "a", Match: []policy.Match{{Hosts: []string{"a"}, Paths: []string{"/a"}}}, Deny: deny}}, "403"},
		"but not with another path":                {"GET /b HTTP/1.0\r\n\r\n", []policy.Rule{all, {Name: "a", Match: []policy.Match{{Hosts: []string{"a"}, Paths: []string{"/a"}}}, Deny: deny}}, "200"},
		"with a method":                            {"GET /a HTTP/1.0\r\n\r\n", []policy.Rule{all, {Name: "a", Match: []policy.Match{{Hosts: []string{"a"}, Methods: []string{"GET"}}}, Deny: deny}}, "403"},
		"but not with another method":              {"GET /a HTTP/1.0\r\n\r\n", []policy.Rule{all, {Name: "a", Match: []policy.Match{{Hosts: []string{"a"}, Methods: []string{"PUT"}}}, Deny: deny}}, "200"},
		"with what only looking at it shows":       {"GET /a HTTP/1.0\r\n\r\n", []policy.Rule{all, {Name: "a", Match: []policy.Match{{Hosts: []string{"a"}, NotPorts: []int32{1}}}, Deny: deny}}, "403"},
		"a deny rule's notHosts fits":              {"GET /a HTTP/1.0\r\n\r\n", []policy.Rule{all, {Name: "a", Match: notHosts("a"), Deny: deny}}, "403"},
		"the server as a whole is asked about":     {"OPTIONS * HTTP/1.0\r\n\r\n", []policy.Rule{all}, "400"},
		"a host":                                   {"GET /a HTTP/1.0\r\nHost: a\r\n\r\n", []policy.Rule{{Name: "a", Match: hosts("a"), Allow: open}}, "200"},
		"a host that is none":                      {"GET /a HTTP/1.0\r\nHost: a b\r\n\r\n", []policy.Rule{all}, "400"},
		"HTTP/1.1 has to have one":                 {"GET /a HTTP/1.1\r\nConnection: close\r\n\r\n", []policy.Rule{all}, "400"},
		"HTTP/1.1 has to have one that is one":     {"GET /a HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n", []policy.Rule{all}, "400"},
		"HTTP/1.1, in the target, is not enough":   {"GET http://a/a HTTP/1.1\r\nConnection: close\r\n\r\n", []policy.Rule{all}, "400"},
		"a condition of an allow rule on the host": {"GET /a HTTP/1.0\r\n\r\n", []policy.Rule{{Name: "a", Allow: &policy.Allow{Anonymous: true, Conditions: policy.Conditions{When: `request.host != "b"`}}}}, "401"},
		"a condition of a deny rule on the host":   {"GET /a HTTP/1.0\r\n\r\n", []policy.Rule{all, {Name: "a", Deny: &policy.Conditions{When: `request.host == "a"`}}}, "403"},
	} {
		run(t, name, func(t testing.TB) {
			c := dial(t, guard(t, says(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), ruled(t, tt.rules...)))
			c.send(tt.send)
			if h, body := c.answer(); h.status() != tt.status {
				t.Errorf("got %s %q %q, want %s", h.line, h.fields, body, tt.status)
			}
		})
	}
	run(t, "the app gets HTTP/1.1 with its own address", func(t testing.TB) {
		heads := make(chan head, 1)
		url := seenBy(t, heads)
		c := dial(t, guard(t, url))
		c.send("GET /open/a HTTP/1.0\r\n\r\n")
		if h, _ := c.answer(); h.status() != "200" || h.get("Connection") != "close" {
			t.Errorf("got %s %q", h.line, h.fields)
		}
		h := receive(t, heads)
		if h.line != "GET /open/a HTTP/1.1" || h.get("Host") != strings.TrimPrefix(url, "http://") || h.has("X-Forwarded-Host") || strings.Contains(h.get("Forwarded"), "host=") {
			t.Errorf("the app got %s %q", h.line, h.fields)
		}
	})
	run(t, "the connection may be kept", func(t testing.TB) {
		c := dial(t, guard(t, says(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")))
		for range 3 {
			c.send("GET /open/a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
			if h, body := c.answer(); h.status() != "200" || h.get("Connection") != "keep-alive" || body != "ok" {
				t.Fatalf("got %s %q %q", h.line, h.fields, body)
			}
		}
	})
}

// RFC 9110 section 10.1.1: a client of HTTP/1.0 knows nothing of interim answers, whatever it says of them.
func TestHTTP10ThatExpectsAnInterimAnswer(t *testing.T) {
	t.Parallel()
	url := rawApp(t, func(c *wire, _ int) {
		c.bytes(len(c.head().get("Content-Length")))
		c.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	})
	c := dial(t, guard(t, url))
	c.send("POST /open/a HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
	_ = c.SetReadDeadline(time.Now().Add(1500 * time.Millisecond)) // an app has a second to ask for the body
	if b, err := c.in.Peek(12); err == nil {
		t.Fatalf("without the body it gets %q", b)
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
	c.in.Reset(c)
	c.send("x")
	if h, text := c.answer(); h.status() != "200" || text != "ok" {
		t.Errorf("got %s %q", h.line, text)
	}
}
