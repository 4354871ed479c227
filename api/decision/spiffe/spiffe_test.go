package spiffe_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/api/decision/spiffe"
)

// ids are SPIFFE IDs with their trust domain and path; those without a trust domain are none.
var ids = map[string][2]string{
	"spiffe://example.org/ns/shop/sa/cart":        {"example.org", "/ns/shop/sa/cart"},
	"spiffe://example.org":                        {"example.org", ""},
	"spiffe://1-_.x/A.b-c_D/...":                  {"1-_.x", "/A.b-c_D/..."},
	"spiffe://" + strings.Repeat("a", 255) + "/b": {strings.Repeat("a", 255), "/b"},

	"":                                                  {},
	"spiffe://":                                         {},
	"spiffe:///a":                                       {},
	"SPIFFE://example.org/a":                            {},
	"https://example.org/a":                             {},
	"spiffe:example.org/a":                              {},
	"spiffe://Example.org/a":                            {},
	"spiffe://example.org/":                             {},
	"spiffe://example.org/a/":                           {},
	"spiffe://example.org//a":                           {},
	"spiffe://example.org/a//b":                         {},
	"spiffe://example.org/./a":                          {},
	"spiffe://example.org/a/..":                         {},
	"spiffe://example.org:443/a":                        {},
	"spiffe://user@example.org/a":                       {},
	"spiffe://example.org/a?b":                          {},
	"spiffe://example.org/a#b":                          {},
	"spiffe://example.org?a":                            {},
	"spiffe://example.org/%61":                          {},
	"spiffe://ex%61mple.org/a":                          {},
	"spiffe://example.org/a b":                          {},
	"spiffe://example.org/*":                            {},
	"spiffe://example.org/ä":                            {},
	"spiffe://exämple.org/a":                            {},
	"spiffe://example.org/a\x00":                        {},
	"spiffe://example.org/a\n":                          {},
	"spiffe://[::1]/a":                                  {},
	" spiffe://example.org/a":                           {},
	"spiffe://" + strings.Repeat("a", 256):              {},
	"spiffe://example.org/" + strings.Repeat("a", 2048): {},
}

func TestParse(t *testing.T) {
	t.Parallel()
	for id, want := range ids {
		domain, path, ok := spiffe.Parse(id)
		if domain != want[0] || path != want[1] || ok != (want[0] != "") {
			t.Errorf("%q: %q %q %v, want %q", id, domain, path, ok, want)
		}
	}
}

func TestPattern(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, id string
		want        bool
	}{
		{"spiffe://example.org/ns/shop/sa/cart", "spiffe://example.org/ns/shop/sa/cart", true},
		{"spiffe://example.org/ns/*/sa/cart", "spiffe://example.org/ns/shop/sa/cart", true},
		{"spiffe://example.org/*/*", "spiffe://example.org/a/b", true},
		{"spiffe://example.org", "spiffe://example.org", true},
		{"spiffe://example.org/*", "spiffe://example.org", false},
		{"spiffe://example.org", "spiffe://example.org/a", false},
		{"spiffe://example.org/ns/*", "spiffe://example.org/ns/shop/sa", false},
		{"spiffe://example.org/ns/*/sa", "spiffe://example.org/ns/shop", false},
		{"spiffe://example.org/ns/*/sa/cart", "spiffe://example.org/ns/a/b/sa/cart", false},
		{"spiffe://example.org/ns/*/sa/cart", "spiffe://example.org/ns//sa/cart", false},
		{"spiffe://example.org/ns/*/sa/cart", "spiffe://example.org/ns/../sa/cart", false},
		{"spiffe://example.org/a", "spiffe://example.org/A", false},
		{"spiffe://example.org/a", "spiffe://example.com/a", false},
		{"spiffe://example.org/a", "spiffe://example.org.evil/a", false},
		{"spiffe://example.org/a", "spiffe://evil.example.org/a", false},
	} {
		p, ok := spiffe.ParsePattern(tt.pattern)
		if !ok || p.Fits(tt.id) != tt.want || p.Domain() != "example.org" {
			t.Errorf("%s fits %s: %v, want %v", tt.pattern, tt.id, !tt.want, tt.want)
		}
	}
	for id, want := range ids {
		if id == "spiffe://example.org/*" {
			continue
		}
		p, ok := spiffe.ParsePattern(id)
		if ok != (want[0] != "") || ok && !p.Fits(id) {
			t.Errorf("as a pattern, %q: %v", id, ok)
		}
	}
	for _, bad := range []string{"spiffe://*/a", "spiffe://*.example.org/a", "spiffe://example.org/a*", "spiffe://example.org/**", "spiffe://example.org/*/"} {
		if _, ok := spiffe.ParsePattern(bad); ok {
			t.Errorf("%s is taken for a pattern", bad)
		}
	}
	if (spiffe.Pattern{}).Fits("spiffe://example.org") {
		t.Error("no pattern fits")
	}
}

// What is a SPIFFE ID is a URI of the same parts, and no other text is the same one.
func FuzzParse(f *testing.F) {
	for id := range ids {
		f.Add(id, id)
	}
	f.Add("spiffe://example.org/a/b", "spiffe://example.org/*/b")
	f.Fuzz(func(t *testing.T, id, pattern string) {
		domain, path, ok := spiffe.Parse(id)
		p, isPattern := spiffe.ParsePattern(pattern)
		if isPattern && p.Fits(id) {
			if !ok || p.Domain() != domain || strings.Count(id, "/") != strings.Count(pattern, "/") {
				t.Errorf("%q fits %q", pattern, id)
			}
		}
		if !ok {
			return
		}
		u, err := url.Parse(id)
		if err != nil || u.Scheme != "spiffe" || u.Host != domain || u.Path != path || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.RawPath != "" {
			t.Errorf("%q is the URI %+v (%v), and was read as %q %q", id, u, err, domain, path)
		}
		if spiffe.Scheme+domain+path != id || strings.ToLower(domain) != domain {
			t.Errorf("%q was read as %q %q", id, domain, path)
		}
	})
}
