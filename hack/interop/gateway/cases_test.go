package gateway

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
)

// testGateway holds a gateway that asks by forward-auth to what docs/ext-authz.md says of it.
func testGateway(t *testing.T, address string, a *app) {
	t.Run("allowed", func(t *testing.T) { testAllowed(t, address, a) })
	t.Run("refused", func(t *testing.T) { testRefused(t, address, a) })
	t.Run("spoofed", func(t *testing.T) { testSpoofed(t, address, a) })
	t.Run("ambiguous", func(t *testing.T) { testAmbiguous(t, address, a) })
}

func testAllowed(t *testing.T, address string, a *app) {
	for name, tc := range map[string]struct {
		claims       map[string]any
		user, groups string
	}{
		"with all headers":             {map[string]any{"groups": []string{"dev", "ops"}}, "alice", "dev,ops"},
		"without a claim for a header": {nil, "alice", ""},
	} {
		status, _, body := send(t, address, "GET", "/orders?page=2&q=a%20b", corp.Token(time.Now(), tc.claims), "X-Request-Id: id-7")
		got := a.take()
		if status != http.StatusOK || body != "hello from the app" || len(got) != 1 {
			t.Fatalf("%s: %d %q, %d requests at the app", name, status, body, len(got))
		}
		r := got[0]
		if r.RequestURI != "/orders?page=2&q=a%20b" || r.Host != "shop.example" {
			t.Errorf("%s: the app got %s of %s", name, r.RequestURI, r.Host)
		}
		if r.Header.Get("X-User") != tc.user || strings.ReplaceAll(r.Header.Get("X-Groups"), " ", "") != tc.groups || r.Header.Get("X-Request-Id") != "id-7" {
			t.Errorf("%s: the app got %v", name, r.Header)
		}
		if _, there := r.Header["X-Groups"]; there && tc.groups == "" {
			t.Errorf("%s: an empty X-Groups got to the app", name)
		}
	}
}

func testRefused(t *testing.T, address string, a *app) {
	valid := corp.Token(time.Now(), nil)
	for name, tc := range map[string]struct {
		method, target, token string
		status                int
	}{
		"no token":               {"GET", "/orders", "", 401},
		"an expired token":       {"GET", "/orders", corp.Token(time.Now().Add(-3*time.Hour), nil), 401},
		"a token of another key": {"GET", "/orders", valid[:len(valid)-8] + "AAAAAAAA", 401},
		"a path that is denied":  {"GET", "/admin", valid, 403},
		"one below it":           {"POST", "/admin/users", valid, 403},
	} {
		status, header, _ := send(t, address, tc.method, tc.target, tc.token)
		if got := a.take(); status != tc.status || len(got) > 0 {
			t.Errorf("%s: %d, %d requests at the app; want %d and none", name, status, len(got), tc.status)
		}
		if challenge := header.Get("Www-Authenticate"); (status == http.StatusUnauthorized) != strings.HasPrefix(challenge, "Bearer") {
			t.Errorf("%s: challenge %q", name, challenge)
		}
	}
}

// What a client says of itself, or of its request, gets to the app under no name that the app may read.
func testSpoofed(t *testing.T, address string, a *app) {
	valid := corp.Token(time.Now(), nil)
	for _, fields := range [][]string{
		{"X-User: admin"}, {"x-user: admin"}, {"X-Groups: admin"}, {"X_User: admin"}, {"X_Groups: admin"}, {"X-User: admin", "X-User: alice"},
		{"X-User: admin", "Connection: X-User"}, {"X-HTTP-Method-Override: admin"}, {"X-Original-URL: /admin"}, {"X-Rewrite-URL: /admin"},
		{"X-Original-URI: /admin", "X-Original-Method: admin"}, {"X-Original-Host: admin"},
	} {
		status, _, _ := send(t, address, "GET", "/orders", valid, fields...)
		got := a.take()
		if (status == http.StatusOK) != (len(got) == 1) {
			t.Errorf("%v: %d, %d requests at the app", fields, status, len(got))
		}
		for _, r := range got {
			for name, values := range r.Header {
				if strings.Contains(strings.Join(values, " "), "admin") {
					t.Errorf("%v: the app got %s: %v", fields, name, values)
				}
			}
		}
	}
	// A second token, of which nobody knows which one the app reads; and one that is taken away on the way.
	for _, fields := range [][]string{{"Authorization: Bearer admin"}, {"authorization: Basic YTpi"}} {
		status, _, _ := send(t, address, "GET", "/orders", valid, fields...)
		if got := a.take(); status < 400 || len(got) > 0 {
			t.Errorf("%v: %d, %d requests at the app", fields, status, len(got))
		}
	}
	status, _, _ := send(t, address, "GET", "/orders", valid, "Connection: Authorization")
	if got := a.take(); status != http.StatusUnauthorized && len(got) == 1 && got[0].Header.Get("X-User") != "alice" {
		t.Errorf("a token that Connection names: %d, and the app got %v", status, got[0].Header)
	}
	// The description of a request that is denied, replaced by that of one that is not.
	for _, fields := range [][]string{
		{"X-Forwarded-Uri: /orders"}, {"X-Original-URI: /orders"}, {"X-Original-URL: http://shop.example/orders"}, {"X_Forwarded_Uri: /orders"},
		{"X-Forwarded-Uri: /orders", "Connection: X-Forwarded-Uri"}, {"X-Original-URI: /orders", "Connection: X-Original-URI"},
		{"X-Forwarded-Host: shop.example", "X-Forwarded-Method: GET", "X-Forwarded-Uri: /orders", "X-Forwarded-For: 127.0.0.1"},
	} {
		status, _, _ := send(t, address, "GET", "/admin", valid, fields...)
		if got := a.take(); status < 400 || len(got) > 0 {
			t.Errorf("%v: %d, %d requests at the app", fields, status, len(got))
		}
	}
}

// A path that two programs may read in two ways is refused, or the gateway itself has made one of it that cannot be.
func testAmbiguous(t *testing.T, address string, a *app) {
	valid := corp.Token(time.Now(), nil)
	for _, target := range []string{
		"//admin", "/orders/../admin", "/orders/%2e%2e/admin", "/%61dmin", "/./admin", "/admin;a=b", "/orders/..;/admin", "/orders%2f..%2fadmin",
		`/orders\..\admin`, "/admin%00", "/orders//1", "/orders;a=b", "/caf%c3%a9", "http://evil.example/admin", "http://shop.example//admin", "/orders#/admin",
		"/orders?x#/admin", "/orders/%2e%2e%2fadmin", "/%2561dmin/..", "/ADMIN/../admin",
	} {
		status, _, _ := send(t, address, "GET", target, valid)
		for _, r := range a.take() {
			path, _, _ := strings.Cut(r.RequestURI, "?")
			if read, err := decision.ReadPath(path, decision.PathOptions{}); err != nil || read.Forward != path || strings.HasPrefix(path, "/admin") {
				t.Errorf("%s: %d, and the app got %s", target, status, r.RequestURI)
			}
		}
	}
}
