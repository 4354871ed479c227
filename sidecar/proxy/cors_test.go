package proxy

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

const page = "https://app.example.com"

// corsOf is what an answer says of CORS.
func corsOf(h http.Header) map[string]string {
	out := map[string]string{}
	for name, values := range h {
		if name == "Vary" || strings.HasPrefix(name, "Access-Control-") {
			out[name] = strings.Join(values, " | ")
		}
	}
	return out
}

// waysToTheApp are all combinations of what a client speaks and what the app is spoken to in.
func waysToTheApp(t *testing.T, run func(t *testing.T, app AppProtocol, h2 bool)) {
	t.Helper()
	for _, app := range []AppProtocol{AppHTTP1, AppH2C} {
		for _, h2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("HTTP/2 %v, app %s", h2, app), func(t *testing.T) {
				t.Parallel()
				run(t, app, h2)
			})
		}
	}
}

// The app has CORS of its own, of which nothing may be left.
func TestCORS(t *testing.T) {
	t.Parallel()
	upstream := app(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/broken") {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("access-control-allow-credentials", "true")
		w.Header().Set("Vary", "Accept")
		_, _ = io.WriteString(w, r.Method)
	}).URL
	spec := orders()
	spec.CORS = &policy.CORS{
		Origins: []string{page}, ExposeHeaders: []string{"X-Total"}, Credentials: true, MaxAge: &policy.Duration{Duration: time.Hour},
	}
	readable := map[string]string{
		"Access-Control-Allow-Origin": page, "Access-Control-Allow-Credentials": "true",
		"Access-Control-Expose-Headers": "WWW-Authenticate, X-Total", "Vary": "Origin",
	}
	and := func(more ...string) map[string]string {
		out := maps.Clone(readable)
		for i := 0; i < len(more); i += 2 {
			out[more[i]] = more[i+1]
		}
		return out
	}
	none := map[string]string{"Vary": "Origin"}
	tests := map[string]struct {
		method, path string
		headers      []string
		status       int
		want         map[string]string
	}{
		"a preflight": {"OPTIONS", "/orders/1", []string{"Origin", page, "Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", "authorization"}, 204,
			and("Access-Control-Allow-Methods", "DELETE, GET, HEAD, PATCH, POST, PUT", "Access-Control-Allow-Headers", "Authorization, Content-Type", "Access-Control-Max-Age", "3600")},
		"a preflight of another origin":         {"OPTIONS", "/orders/1", []string{"Origin", "https://evil.example", "Access-Control-Request-Method", "PUT"}, 401, none},
		"OPTIONS that asks for no method":       {"OPTIONS", "/orders/1", []string{"Origin", page}, 401, readable},
		"OPTIONS of an app's own":               {"OPTIONS", "/docs/a", []string{"Origin", page}, 200, and("Vary", "Accept | Origin")},
		"a request without a token":             {"GET", "/orders/1", []string{"Origin", page}, 401, readable},
		"a request with a broken token":         {"POST", "/orders/1", []string{"Origin", page, "Authorization", "Bearer x"}, 401, readable},
		"a denied request":                      {"GET", "/docs/admin/a", []string{"Origin", page}, 403, readable},
		"a path that is none":                   {"GET", "/docs%2fa", []string{"Origin", page}, 400, readable},
		"a request that is forwarded":           {"GET", "/docs/a", []string{"Origin", page}, 200, and("Vary", "Accept | Origin")},
		"an app that breaks off":                {"GET", "/docs/broken", []string{"Origin", page}, 502, readable},
		"another origin":                        {"GET", "/docs/a", []string{"Origin", "https://evil.example"}, 200, map[string]string{"Vary": "Accept | Origin"}},
		"another origin that is refused":        {"GET", "/orders/1", []string{"Origin", "https://evil.example"}, 401, none},
		"no origin":                             {"GET", "/docs/a", nil, 200, map[string]string{"Vary": "Accept | Origin"}},
		"two origins":                           {"GET", "/orders/1", []string{"Origin", page, "Origin", page}, 401, none},
		"a preflight that asks for two at once": {"OPTIONS", "/orders/1", []string{"Origin", page, "Access-Control-Request-Method", "PUT", "Access-Control-Request-Method", "GET"}, 401, readable},
	}
	waysToTheApp(t, func(t *testing.T, app AppProtocol, h2 bool) {
		g := protect(t, upstream, func(c *Config) { c.AppProtocol = app }, gatetest.Policy("orders", spec))
		c := client(t, h2)
		for _, name := range slices.Sorted(maps.Keys(tests)) {
			tt := tests[name]
			res, body := ask(t, c, request(t, tt.method, "http://"+g.addr+tt.path, nil, tt.headers...))
			if diff := cmp.Diff(tt.want, corsOf(res.Header)); res.StatusCode != tt.status || diff != "" {
				t.Errorf("%s: %s, want %d (-want +got):\n%s", name, res.Status, tt.status, diff)
			}
			if tt.status == 204 && (body != "" || res.Header["Content-Length"] != nil || res.Header["Content-Type"] != nil) {
				t.Errorf("%s: a body of %q, %v", name, body, res.Header)
			}
			if tt.status == 401 && res.Header.Get("Www-Authenticate") == "" {
				t.Errorf("%s: no challenge", name)
			}
		}
		if got := strings.Join(g.observer.reasons(), " "); strings.Count(got, "Preflight") != 1 {
			t.Errorf("reasons %s", got)
		}
	})
}

func TestWithoutCORSTheAppSpeaksForItself(t *testing.T) {
	t.Parallel()
	upstream := app(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "https://own.example")
		w.WriteHeader(http.StatusNoContent)
	}).URL
	waysToTheApp(t, func(t *testing.T, app AppProtocol, h2 bool) {
		g := protect(t, upstream, func(c *Config) { c.AppProtocol = app })
		for path, want := range map[string]map[string]string{"/docs/a": {"Access-Control-Allow-Origin": "https://own.example"}, "/orders/1": {}} {
			res, _ := ask(t, client(t, h2), request(t, "OPTIONS", "http://"+g.addr+path, nil, "Origin", page, "Access-Control-Request-Method", "PUT"))
			if diff := cmp.Diff(want, corsOf(res.Header)); diff != "" {
				t.Errorf("%s: %s (-want +got):\n%s", path, res.Status, diff)
			}
		}
	})
}

// Any method or header is said by name: browsers take "*" for neither Authorization nor what goes with credentials.
func TestCORSOfAnyMethodAndHeader(t *testing.T) {
	t.Parallel()
	spec := orders()
	spec.CORS = &policy.CORS{Origins: []string{"https://*.example.com"}, Methods: []string{"*"}, Headers: []string{"*"}}
	g := protect(t, "http://127.0.0.1:1", nil, gatetest.Policy("orders", spec))
	for asked, want := range map[string]string{"authorization,x-a": "authorization,x-a", "": "", "a; b": ""} {
		headers := []string{"Origin", page, "Access-Control-Request-Method", "PURGE"}
		if asked != "" {
			headers = append(headers, "Access-Control-Request-Headers", asked)
		}
		res, _ := ask(t, client(t, false), request(t, "OPTIONS", "http://"+g.addr+"/", nil, headers...))
		if h := res.Header; res.StatusCode != 204 || h.Get("Access-Control-Allow-Methods") != "PURGE" || h.Get("Access-Control-Allow-Headers") != want ||
			h.Get("Access-Control-Allow-Origin") != page {
			t.Errorf("%q: %s %v", asked, res.Status, h)
		}
	}
}
