package decision_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
)

func TestOrigins(t *testing.T) {
	t.Parallel()
	p := compile(t, `cors: {origins: ["https://app.example.com", "http://localhost:3000", "https://*.wild.example", "https://*.port.example:8443", "capacitor://localhost", "http://[::1]:8080"]}`)
	for from, want := range map[string]bool{
		"https://app.example.com": true, "http://app.example.com": false, "https://app.example.com:8443": false, "https://APP.example.com": false,
		"https://app.example.com.evil": false, "https://evilapp.example.com": false, "https://app.example.com/": false, "null": false, "": false,
		"http://localhost:3000": true, "http://localhost": false, "http://localhost:30000": false, "capacitor://localhost": true,
		"https://a.wild.example": true, "https://a.b.wild.example": true, "https://wild.example": false, "https://.wild.example": false,
		"https://evil.com/.wild.example": false, "https://evil.com#.wild.example": false, "https://u@a.wild.example": false, "https://a:1.wild.example": false,
		"http://a.wild.example": false, "https://a.wild.example:8443": false, "https://a.port.example:8443": true, "https://a.port.example": false,
		"http://[::1]:8080": true,
	} {
		g, ok := p.CORS(from)
		if ok != want || ok && g.Origin != from {
			t.Errorf("%q: listed %v as %q, want %v", from, ok, g.Origin, want)
		}
	}
	if p := compile(t, "mode: Audit\ncors: {origins: ['*']}"); p.HasCORS() {
		t.Error("an Audit policy changes answers")
	}
	if g, ok := compile(t, "cors: {origins: ['*']}").CORS("https://any.example"); !ok || g.Origin != "*" || g.Credentials {
		t.Errorf("everybody: %v %+v", ok, g)
	}
}

func TestCORSOfSeveralPoliciesIsWhatEachAllows(t *testing.T) {
	t.Parallel()
	specs := []string{
		"cors: {origins: ['*'], methods: [GET], headers: [X-A], maxAge: 1h}",
		"cors: {origins: ['https://a.example'], methods: [PUT, GET], headers: [x-b, X-A], exposeHeaders: [x-total, www-authenticate], credentials: true, maxAge: 10m}",
		"cors: {origins: ['https://b.example'], methods: ['*', GET], headers: ['*']}",
		"issuers: [{name: c, issuer: 'https://c', audiences: [a], keys: {kubernetes: {}}, from: [{header: x-token}]}]\ncors: {origins: ['https://c.example']}",
	}
	www := []string{"WWW-Authenticate"}
	want := map[string]decision.Grant{
		"https://other.example": {Origin: "*", Methods: []string{"GET"}, Headers: []string{"X-A"}, Expose: www, MaxAge: time.Hour},
		"https://a.example": {Origin: "https://a.example", Credentials: true, Methods: []string{"GET", "PUT"}, Headers: []string{"X-A", "X-B"},
			Expose: []string{"WWW-Authenticate", "X-Total"}, MaxAge: 10 * time.Minute},
		"https://b.example": {Origin: "*", Methods: []string{"*"}, Headers: []string{"*"}, Expose: www, MaxAge: time.Hour},
		"https://c.example": {Origin: "*", Methods: []string{"DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"},
			Headers: []string{"Authorization", "Content-Type", "X-A", "X-Token"}, Expose: www, MaxAge: time.Hour},
	}
	rnd := newRand(3)
	for range 10 {
		rnd.Shuffle(len(specs), func(i, j int) { specs[i], specs[j] = specs[j], specs[i] })
		p := compile(t, specs...)
		for from, want := range want {
			got, ok := p.CORS(from)
			if diff := cmp.Diff(want, got); !ok || diff != "" {
				t.Fatalf("%s (-want +got):\n%s", from, diff)
			}
		}
	}
	if g, _ := compile(t, "cors: {origins: ['https://a.example']}").CORS("https://a.example"); g.MaxAge >= 0 {
		t.Errorf("maxAge %s though no policy says", g.MaxAge)
	}
}

func TestCORSMistakes(t *testing.T) {
	t.Parallel()
	origin := func(o string) string { return "cors: {origins: ['" + o + "']}" }
	with := func(more string) string { return "cors: {origins: ['https://a.example'], " + more + "}" }
	for name, tt := range map[string]struct{ spec, path, text string }{
		"no origins":                   {"cors: {}", "spec.cors.origins", "is missing"},
		"an empty list":                {"cors: {origins: []}", "spec.cors.origins", "left out"},
		"an empty origin":              {origin(""), "spec.cors.origins[0]", "is empty"},
		"null":                         {origin("null"), "spec.cors.origins[0]", "sandboxed"},
		"a host alone":                 {origin("app.example.com"), "spec.cors.origins[0]", "scheme://host"},
		"a slash at the end":           {origin("https://app.example.com/"), "spec.cors.origins[0]", "without a slash at the end"},
		"upper case":                   {origin("https://App.example.com"), "spec.cors.origins[0]", "want https://app.example.com"},
		"the scheme's own port":        {origin("https://a.example:443"), "spec.cors.origins[0]", "want https://a.example"},
		"no port":                      {origin("https://a.example:"), "spec.cors.origins[0]", "no port"},
		"any port":                     {origin("http://localhost:*"), "spec.cors.origins[0]", "no port"},
		"a user":                       {origin("https://u@a.example"), "spec.cors.origins[0]", "user information"},
		"every host":                   {origin("https://*"), "spec.cors.origins[0]", "or * for every origin"},
		"every host of a top domain":   {origin("https://*.com"), "spec.cors.origins[0]", "https://*.example.com"},
		"a star inside":                {origin("https://a.*.example.com"), "spec.cors.origins[0]", "no host"},
		"an international name":        {origin("https://bücher.example"), "spec.cors.origins[0]", "xn--"},
		"credentials for everybody":    {"cors: {origins: ['*'], credentials: true}", "spec.cors.credentials", "origins listed"},
		"a method in lower case":       {with("methods: [get]"), "spec.cors.methods[0]", "upper case"},
		"no methods":                   {with("methods: []"), "spec.cors.methods", "left out"},
		"a header with a space":        {with("headers: ['a b']"), "spec.cors.headers[0]", "header names"},
		"a line break in a header":     {with(`exposeHeaders: ["a\r\nb"]`), "spec.cors.exposeHeaders[0]", "header names"},
		"a long maxAge":                {with("maxAge: 25h"), "spec.cors.maxAge", "24h"},
		"half a second":                {with("maxAge: 500ms"), "spec.cors.maxAge", "whole seconds"},
		"the same origin twice":        {"cors: {origins: ['https://a.example', 'https://a.example']}", "spec.cors.origins[1]", "same"},
		"a mistake in an Audit policy": {"mode: Audit\n" + origin("null"), "spec.cors.origins[0]", "sandboxed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refused(t, tt.spec, tt.path, tt.text)
		})
	}
}

// refused wants a spec to be refused for one field.
func refused(t *testing.T, spec, path, text string) {
	t.Helper()
	_, err := decision.Compile([]decision.Policy{parse(t, "a", spec)})
	problems := fieldErrors(t, err)
	if len(problems) != 1 || problems[0].Path != path || !strings.Contains(problems[0].Error(), text) {
		t.Errorf("got %v; want one problem of %s that says %q", err, path, text)
	}
}
