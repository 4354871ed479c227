package proxy

import (
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// Whatever way a request takes, the app gets the target in the form that paths.forward says; refused shapes are refused in
// either form.
func TestTargetsArriveAsThePolicySays(t *testing.T) {
	t.Parallel()
	upstream := echo(t).URL
	spec := func(f policy.PathForwarding) policy.Spec {
		out := orders()
		out.Paths = &policy.Paths{Forward: f}
		out.Issuers[0].From = []policy.TokenLocation{{Query: "access_token"}}
		return out
	}
	for name, tt := range map[string]struct {
		target, canonical, asSent string // empty: refused
	}{
		"a plain target":                {"/docs/a?b=c", "/docs/a?b=c", "/docs/a?b=c"},
		"an empty query":                {"/docs/a?", "/docs/a?", "/docs/a?"},
		"path parameters":               {"/docs/a;jsessionid=1;v?b;c", "/docs/a%3Bjsessionid=1%3Bv?b;c", "/docs/a;jsessionid=1;v?b;c"},
		"two slashes":                   {"/docs//a//", "/docs/a/", "/docs//a//"},
		"two slashes first":             {"//docs//a?//b", "/docs/a?//b", "//docs//a?//b"},
		"an address in a path":          {"/docs/http://a.example/%7Eb", "/docs/http:/a.example/~b", "/docs/http://a.example/%7Eb"},
		"encoded reserved characters":   {"/docs/a%2bb%3dc+d=e", "/docs/a%2Bb%3Dc+d=e", "/docs/a%2bb%3dc+d=e"},
		"encoded unreserved ones":       {"/docs/%61%2e", "/docs/a.", "/docs/%61%2e"},
		"an encoded percent":            {"/docs/%2561", "/docs/%2561", "/docs/%2561"},
		"an encoded delimiter":          {"/docs/a%3fb%23c?d", "/docs/a%3Fb%23c?d", "/docs/a%3fb%23c?d"},
		"raw bytes beyond ASCII":        {"/docs/ä\"|", "/docs/%C3%A4%22%7C", "/docs/ä\"|"},
		"dot segments that stay inside": {"/docs/a/../b", "/docs/b", "/docs/a/../b"},
		"dots that lead to a denial":    {"/docs/x/../admin/y", "", ""},
		"dots and parameters":           {"/docs/x/..;/admin/y", "/docs/x/..%3B/admin/y", ""},
		"parameters of a denied path":   {"/docs/admin;x/y", "/docs/admin%3Bx/y", ""},
		"two slashes and a denied path": {"//docs/admin", "", ""},
		"an escape of a denied path":    {"/docs/%61dmin", "", ""},
		"climbing out":                  {"/docs/../../a", "", ""},
		"an encoded slash":              {"/docs/a%2Fb", "", ""},
		"an encoded backslash":          {"/docs/a%5Cb", "", ""},
		"an encoded NUL":                {"/docs/a%00b", "", ""},
	} {
		for forward, want := range map[policy.PathForwarding]string{policy.ForwardCanonical: tt.canonical, policy.ForwardAsSent: tt.asSent} {
			t.Run(name+" "+string(forward), func(t *testing.T) {
				t.Parallel()
				g := protect(t, upstream, nil, gatetest.Policy("orders", spec(forward)))
				for way, h2 := range map[string]bool{"text/plain": false, "application/json": true, "application/grpc": true} {
					r := request(t, "POST", "http://"+g.addr+"/", nil, "Content-Type", way)
					r.Host = "a.example"
					path, query, hasQuery := strings.Cut(tt.target, "?")
					r.URL.Opaque, r.URL.RawQuery, r.URL.ForceQuery = "//a.example"+path, query, hasQuery
					res, body := ask(t, client(t, h2), r)
					line, _, _ := strings.Cut(body, "\n")
					got := ""
					if _, rest, ok := strings.Cut(line, " POST "); ok {
						got, _, _ = strings.Cut(rest, " host=")
					}
					if got != want {
						t.Errorf("%s: %s, the app got %q; want %q", way, res.Status, got, want)
					}
				}
			})
		}
	}
}

// The parameter that carried a token is cut out of a target that is forwarded as it was sent, and nothing else changes.
func TestTokensLeaveTargetsThatAreForwardedAsSent(t *testing.T) {
	t.Parallel()
	spec := orders()
	spec.Paths = &policy.Paths{Forward: policy.ForwardAsSent}
	spec.Issuers[0].From = []policy.TokenLocation{{Query: "access_token"}}
	g := protect(t, echo(t).URL, nil, gatetest.Policy("orders", spec))
	for _, h2 := range []bool{false, true} {
		r := request(t, "GET", "http://"+g.addr+"/", nil)
		r.URL.Opaque, r.URL.RawQuery = "//"+g.addr+"//orders/%7e1;v=2", "a=%2f&access_token="+token()+"&b=;+"
		if res, body := ask(t, client(t, h2), r); !strings.Contains(body, " GET //orders/%7e1;v=2?a=%2f&b=;+ host=") {
			t.Errorf("%s: %s", res.Status, body)
		}
	}
}
