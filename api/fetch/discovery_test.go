package fetch_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/fetch"
)

func TestDiscover(t *testing.T) {
	t.Parallel()
	const metadata = `{"issuer":"%[1]s/tenant","jwks_uri":"%[1]s/jwks"}`
	tests := map[string]struct {
		at, body string // where the metadata is; %[1]s is the server's URL
		from     string // discovery.url below the server
		issuer   string // default: the server's URL + /tenant
		problem  string
	}{
		"OpenID form":      {at: "/tenant/.well-known/openid-configuration", body: metadata},
		"RFC 8414 form":    {at: "/.well-known/oauth-authorization-server/tenant", body: metadata},
		"an URL elsewhere": {at: "/meta", from: "/meta", body: metadata},
		"a dead URL elsewhere is not replaced by the usual places": {
			at: "/tenant/.well-known/openid-configuration", from: "/meta", body: metadata, problem: "answered 404"},
		"another issuer's metadata is refused": {
			at: "/meta", from: "/meta", body: `{"issuer":"https://evil-` + canary + `","jwks_uri":"%s/jwks"}`, problem: "of another issuer"},
		"an issuer that differs by a slash is another": {
			at: "/meta", from: "/meta", body: `{"issuer":"%[1]s/tenant/","jwks_uri":"%[1]s/jwks"}`, problem: "of another issuer"},
		"metadata without jwks_uri":      {at: "/meta", from: "/meta", body: `{"issuer":"%[1]s/tenant"}`, problem: "no jwks_uri"},
		"jwks_uri with a foreign scheme": {at: "/meta", from: "/meta", body: `{"issuer":"%[1]s/tenant","jwks_uri":"file:///etc/passwd"}`, problem: "jwks_uri: not an absolute URL"},
		"text":                           {at: "/meta", from: "/meta", body: canary, problem: "not the metadata of an issuer"},
		"an issuer that is not a URL":    {issuer: "corp", problem: "issuer is not a URL"},
		"an issuer with a query":         {issuer: "https://host/?a=b", problem: "issuer is not a URL without query"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != test.at {
					http.NotFound(w, r)
					return
				}
				body := test.body
				if strings.Contains(body, "%") {
					body = fmt.Sprintf(body, "http://"+r.Host)
				}
				_, _ = w.Write([]byte(body))
			})
			issuer, from := test.issuer, ""
			if issuer == "" {
				issuer = s.URL + "/tenant"
			}
			if test.from != "" {
				from = s.URL + test.from
			}
			got, err := fetch.Discover(t.Context(), issuer, from, open())
			check(t, err, test.problem)
			if test.problem == "" && got != s.URL+"/jwks" {
				t.Errorf("Discover = %q, want %q", got, s.URL+"/jwks")
			}
		})
	}
}

func TestDiscoverIntrospection(t *testing.T) {
	t.Parallel()
	const plain = `{"issuer":"%[1]s","introspection_endpoint":"%[1]s/ask"`
	tests := map[string]struct {
		body                 string
		want, mtls           string // below the server
		problem, mtlsProblem string
	}{
		"one endpoint for all":                   {body: plain + `}`, want: "/ask", mtls: "/ask"},
		"an alias for clients with certificates": {body: plain + `,"mtls_endpoint_aliases":{"introspection_endpoint":"%[1]s/mtls"}}`, want: "/ask", mtls: "/mtls"},
		"aliases for others":                     {body: plain + `,"mtls_endpoint_aliases":{"token_endpoint":"%[1]s/mtls"}}`, want: "/ask", mtls: "/ask"},
		"aliases that are none":                  {body: plain + `,"mtls_endpoint_aliases":["x"]}`, want: "/ask", mtls: "/ask"},
		"an alias alone": {body: `{"issuer":"%[1]s","mtls_endpoint_aliases":{"introspection_endpoint":"%[1]s/mtls"}}`, mtls: "/mtls",
			problem: "no introspection_endpoint"},
		"an alias with a foreign scheme": {body: plain + `,"mtls_endpoint_aliases":{"introspection_endpoint":"file:///x"}}`, want: "/ask",
			mtlsProblem: "introspection_endpoint: not an absolute URL"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, test.body, "http://"+r.Host) })
			got, err := fetch.DiscoverIntrospection(t.Context(), s.URL, "", open())
			check(t, err, test.problem)
			if test.want != "" && got != s.URL+test.want {
				t.Errorf("%q, want %q", got, s.URL+test.want)
			}
			got, err = fetch.DiscoverMTLSIntrospection(t.Context(), s.URL, "", open())
			check(t, err, test.mtlsProblem)
			if test.mtls != "" && got != s.URL+test.mtls {
				t.Errorf("with a certificate: %q, want %q", got, s.URL+test.mtls)
			}
		})
	}
}

func TestFreshness(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		header map[string]string
		want   fetch.Meta
	}{
		"silence":                   {},
		"max-age":                   {header: map[string]string{"Cache-Control": "public, Max-Age=600"}, want: fetch.Meta{MaxAge: 10 * time.Minute, HasMaxAge: true}},
		"max-age in quotes":         {header: map[string]string{"Cache-Control": `max-age="60"`}, want: fetch.Meta{MaxAge: time.Minute, HasMaxAge: true}},
		"max-age less age":          {header: map[string]string{"Cache-Control": "max-age=600", "Age": "100"}, want: fetch.Meta{MaxAge: 500 * time.Second, HasMaxAge: true}},
		"older than max-age":        {header: map[string]string{"Cache-Control": "max-age=600", "Age": "1000"}, want: fetch.Meta{HasMaxAge: true}},
		"no-store wins":             {header: map[string]string{"Cache-Control": "max-age=600, no-store"}, want: fetch.Meta{HasMaxAge: true}},
		"junk is silence":           {header: map[string]string{"Cache-Control": "max-age=soon"}},
		"a giant is a year":         {header: map[string]string{"Cache-Control": "max-age=99999999999999999999999"}, want: fetch.Meta{MaxAge: 365 * 24 * time.Hour, HasMaxAge: true}},
		"a negative age is silence": {header: map[string]string{"Cache-Control": "max-age=-5"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				for k, v := range test.header {
					w.Header().Set(k, v)
				}
				_, _ = w.Write([]byte(keys))
			})
			_, got, err := fetch.JWKS(t.Context(), s.URL, open())
			check(t, err, "")
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("meta (-want +got):\n%s", diff)
			}
		})
	}
}
