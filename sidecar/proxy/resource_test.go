package proxy

import (
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// Metadata come from the sidecar whatever a client speaks, to pages of any origin, whatever spec.cors says; the app gets
// nothing of it.
func TestResourceMetadata(t *testing.T) {
	t.Parallel()
	upstream := app(t, func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("the app got %s %s", r.Method, r.URL)
		_, _ = io.WriteString(w, r.Method)
	}).URL
	spec := orders()
	spec.Resource = &policy.Resource{URL: "https://tools.example.com/mcp", Scopes: []string{"a"}}
	spec.CORS = &policy.CORS{Origins: []string{page}, Methods: []string{"PUT"}}
	const path = "/.well-known/oauth-protected-resource/mcp"
	const document = `{"resource":"https://tools.example.com/mcp","authorization_servers":["https://login.example.com"],"scopes_supported":["a"],"bearer_methods_supported":["header"]}`
	waysToTheApp(t, func(t *testing.T, app AppProtocol, h2 bool) {
		g := protect(t, upstream, func(c *Config) { c.AppProtocol = app }, gatetest.Policy("orders", spec))
		c := client(t, h2)
		for method, want := range map[string]string{"GET": document, "HEAD": ""} {
			res, body := ask(t, c, request(t, method, "http://"+g.addr+path, nil, "Origin", page, "Content-Type", "application/grpc"))
			got := map[string]string{}
			for _, name := range []string{"Content-Type", "Cache-Control", "Access-Control-Allow-Origin", "Vary"} {
				got[name] = res.Header.Get(name)
			}
			if diff := cmp.Diff(map[string]string{"Content-Type": "application/json", "Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*", "Vary": ""}, got); diff != "" || res.StatusCode != 200 || body != want {
				t.Errorf("%s: %s %q (-want +got)\n%s", method, res.Status, body, diff)
			}
		}
		for _, origin := range []string{page, "https://inspector.example"} {
			res, _ := ask(t, c, request(t, "OPTIONS", "http://"+g.addr+path, nil, "Origin", origin, "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "mcp-protocol-version"))
			if h := res.Header; res.StatusCode != 204 || h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Allow-Headers") != "*" || h.Get("Access-Control-Allow-Methods") != "GET, HEAD" {
				t.Errorf("a preflight: %s %v", res.Status, h)
			}
		}
		res, _ := ask(t, c, request(t, "GET", "http://"+g.addr+"/orders/1", nil))
		if got := res.Header.Get("Www-Authenticate"); res.StatusCode != 401 || got != `Bearer resource_metadata="https://tools.example.com`+path+`"` {
			t.Errorf("%s %s", res.Status, got)
		}
		for _, reason := range g.observer.reasons() {
			if reason != "ResourceMetadata" && reason != "NoToken" {
				t.Errorf("reason %s", reason)
			}
		}
	})
}
