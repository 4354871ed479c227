package decision_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

// TestHostilePaths asks for /admin in every spelling that peers let through, on a policy that allows all else: either
// the path is refused, or what is matched and forwarded is plainly not below /admin, or it is denied.
func TestHostilePaths(t *testing.T) {
	t.Parallel()
	p := compile(t, "rules: [{name: all, allow: {anonymous: true}}, {name: admin, match: [{paths: ['/admin/**']}], deny: {}}]")
	var spellings []string
	for _, dot := range []string{".", "%2e", "%2E", "%252e", "%c0%ae", "．", "%u002e"} {
		for _, slash := range []string{"/", "//", "%2f", "%2F", "%5c", `\`, "%252f", "/./", "/;/", "/.;/", "%00/", "/%20/"} {
			up := dot + dot
			spellings = append(spellings,
				"/public"+slash+up+slash+"admin", "/"+up+slash+"admin", "/admin"+slash+dot, "/x"+slash+"y"+slash+up+slash+up+slash+"admin/",
				slash+"admin", "/admin"+slash+"x", "/public"+slash+up+";"+slash+"admin", "/public/"+up+slash+up+"/admin")
		}
	}
	for _, name := range []string{"%61dmin", "a%64min", "admi%6e", "%41dmin", "%2561dmin", "ADMIN"} {
		spellings = append(spellings, "/"+name, "//"+name, "/"+name+"/", "/"+name+"/x")
	}
	spellings = append(spellings, "/admin;x=1", "/admin;x=1/y", "/admin%3bx/y", "/admin?x", "/admin#x", "/public?/../admin",
		"/public#/../admin", "admin", "*", "", "http://h/admin", "//admin", "///admin///", "/admin/", "/admin//", "/admin/.", "/admin%00", "/admin%0a")
	for _, raw := range spellings {
		for _, slash := range []policy.EncodedSlash{policy.RefuseEncodedSlash, policy.KeepEncodedSlash} {
			read, err := decision.ReadPath(raw, decision.PathOptions{Slash: slash})
			if err != nil {
				continue
			}
			path := read.Forward
			below := path == "/admin" || strings.HasPrefix(path, "/admin/")
			d := p.Decide(&decision.Request{Method: http.MethodGet, Host: "h", Path: read.Match, Readings: read.Readings}, nil)
			if d.Allowed && below || !d.Allowed && !below && read.Readings == nil {
				t.Errorf("%q is forwarded as %q: allowed %v", raw, path, d.Allowed)
			}
			for _, bad := range []string{"//", "/./", "/../", `\`, ";", "?", "#", "%2e", "%2E", "%5C", "%00"} {
				if strings.Contains(path, bad) {
					t.Errorf("%q is forwarded as %q, with %q in it", raw, path, bad)
				}
			}
		}
	}
}

func TestQueryIsNoPartOfThePath(t *testing.T) {
	t.Parallel()
	p := compile(t, "rules: [{name: health, match: [{paths: [/healthz, '/*/healthz']}], allow: {anonymous: true}}]")
	for _, line := range []string{"GET /admin?/healthz", "GET /admin?x=/healthz", "GET /admin/?/healthz"} {
		if d := decide(t, p, request(t, line), nil); d.Allowed {
			t.Errorf("%s: %s", line, d.Reason)
		}
	}
	for _, raw := range []string{"/admin?/healthz", "/admin#/healthz"} {
		if path, err := decision.ReadPath(raw, decision.PathOptions{}); err == nil {
			t.Errorf("ReadPath(%q) = %+v; want a refusal", raw, path)
		}
	}
}

func TestHostilePathsAreNotDecidedRaw(t *testing.T) {
	t.Parallel()
	p := compile(t, "rules: [{name: all, allow: {anonymous: true}}]")
	for _, path := range []string{"", "*", "admin", "http://h/"} {
		if d := decide(t, p, &decision.Request{Method: http.MethodGet, Path: path}, nil); d.Allowed || d.Reason != decision.BadPath {
			t.Errorf("path %q: %s", path, d.Reason)
		}
	}
}

// TestHostileHosts holds a deny rule on a host against other spellings of it.
func TestHostileHosts(t *testing.T) {
	t.Parallel()
	p := compile(t, "rules: [{name: all, allow: {anonymous: true}}, {name: internal, match: [{hosts: [internal.example, '*.internal.example']}], deny: {}}]")
	for _, raw := range []string{
		"internal.example", "INTERNAL.example", "internal.example.", "internal.example:80", "Internal.Example.:8080",
		"public.example@internal.example", "internal.example@public.example", "internal.example:80@x", "a.internal.example",
		"internal.example\x00", "internal.example ", " internal.example", "internal.example/", "internal.example,public.example",
		"internal.example#", "internal%2eexample",
	} {
		host, err := decision.CanonicalHost(raw)
		if err != nil {
			continue
		}
		if d := decide(t, p, &decision.Request{Method: http.MethodGet, Host: host, Path: "/"}, nil); d.Allowed {
			t.Errorf("host %q is taken as %q and allowed", raw, host)
		}
	}
}

func TestHostileHeaders(t *testing.T) {
	t.Parallel()
	p := compile(t, `
rules:
- {name: internal, match: [{headers: [{name: X-Kind, values: [internal]}]}], allow: {anonymous: true}}
- {name: blocked, match: [{headers: [{name: X-Kind, values: [blocked]}]}], deny: {}}
- {name: plain, match: [{headers: [{name: X-Kind, exists: false}]}], allow: {anonymous: true}}
`)
	tests := map[string]struct {
		headers []string
		want    decision.Reason
	}{
		"no header":                              {nil, decision.Allowed},
		"the value":                              {[]string{"X-Kind: internal"}, decision.Allowed},
		"a second value opens nothing":           {[]string{"X-Kind: public", "X-Kind: internal"}, decision.NoToken},
		"a list in one line opens nothing":       {[]string{"X-Kind: internal, public"}, decision.NoToken},
		"an empty header is there":               {[]string{"X-Kind: "}, decision.NoToken},
		"a second value does not hide the first": {[]string{"X-Kind: blocked", "X-Kind: internal"}, decision.DeniedByRule},
		"nor the other way round":                {[]string{"X-Kind: internal", "X-Kind: blocked"}, decision.DeniedByRule},
		"bytes that are no UTF-8":                {[]string{"X-Kind: internal\xff"}, decision.NoToken},
		"a method in a header is no method":      {[]string{"X-Kind: x", "X-Http-Method-Override: GET"}, decision.NoToken},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if d := decide(t, p, request(t, "GET /", test.headers...), nil); d.Reason != test.want {
				t.Errorf("%q: %s, want %s", test.headers, d.Reason, test.want)
			}
		})
	}
}

// TestFailsClosed holds that absence and failure never open anything.
func TestFailsClosed(t *testing.T) {
	t.Parallel()
	r := request(t, "GET /")
	token := claims(t, `{"sub":"ann"}`)
	open := compile(t, corp+"rules: [{name: all, allow: {anonymous: true}}, {name: any, allow: {authenticated: true}}]")
	other := compile(t, corp+"rules: [{name: all, allow: {authenticated: true}}]")
	var zero decision.Program
	tests := map[string]struct {
		program *decision.Program
		subject *decision.Subject
		want    decision.Reason
	}{
		"the nil program":                  {nil, nil, decision.NoPolicy},
		"the zero program":                 {&zero, nil, decision.NoPolicy},
		"the zero program with a token":    {&zero, zero.Bind(token, 1), decision.NoPolicy},
		"no policies":                      {compile(t), nil, decision.NoPolicy},
		"a policy without rules":           {compile(t, corp), nil, decision.NoToken},
		"a policy without rules, a token":  {compile(t, corp), compile(t, corp).Bind(token, 1), decision.InternalError},
		"an empty policy":                  {compile(t, "{}"), nil, decision.NoToken},
		"claims nobody vouches for":        {open, open.Bind(token, 0), decision.UnknownIssuer},
		"no claims, nobody vouches":        {open, open.Bind(nil, 0), decision.UnknownIssuer},
		"an issuer beyond the program's":   {open, open.Bind(token, 1<<7), decision.UnknownIssuer},
		"a token bound to another program": {open, other.Bind(token, 1), decision.InternalError},
		"a token bound to no program":      {open, (*decision.Program)(nil).Bind(token, 1), decision.InternalError},
		"a subject that nobody made":       {open, &decision.Subject{}, decision.InternalError},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := test.program.Decide(r, test.subject)
			if d.Allowed || d.Reason != test.want {
				t.Errorf("allowed %v, %s; want %s", d.Allowed, d.Reason, test.want)
			}
			if e := test.program.Explain(r, test.subject); e.Decision.Allowed || e.Decision.Reason != test.want {
				t.Errorf("Explain: %s; want %s", e.Decision.Reason, test.want)
			}
		})
	}
	if (decision.Decision{}).Allowed {
		t.Error("the zero Decision allows")
	}
}

// TestZeroSetIsNeverAllowed holds it for all policies and requests at hand.
func TestZeroSetIsNeverAllowed(t *testing.T) {
	t.Parallel()
	rnd := newRand(5)
	p := compile(t, teams()...)
	for range 2000 {
		r := randomTeamRequest(t, rnd)
		if d := decide(t, p, r, p.Bind(randomClaims(t, rnd), 0)); d.Allowed {
			t.Fatalf("%s %s%s: %s", r.Method, r.Host, r.Path, d.Reason)
		}
	}
}

// TestPathologicalPoliciesAreRefused holds that no expression or pattern of a policy can wear anybody down.
func TestPathologicalPoliciesAreRefused(t *testing.T) {
	t.Parallel()
	for name, rule := range map[string]string{
		"nested loops":         "allow: {when: 'claims.a.all(x, claims.a.all(y, claims.a.all(z, x == y && y == z)))'}",
		"growing strings":      "allow: {when: 'claims.a.map(x, x + x).map(x, x + x).exists(x, claims.a.map(y, x + y).exists(z, z == x))'}",
		"a repeated pattern":   "allow: {claims: [{claim: a, matches: '((a{10}){10}){10}((b{10}){10}){10}((c{10}){10}){10}'}]}",
		"a repeated CEL regex": `allow: {when: 'claims.a.matches("((abcdefghij){100}){10}")'}`,
		"a deep expression":    "allow: {when: '" + strings.Repeat("[", 300) + strings.Repeat("]", 300) + " == []'}",
		"a long expression":    "allow: {when: '" + strings.Repeat("a", 5000) + "'}",
	} {
		if _, err := compileBoth(t, []decision.Policy{parse(t, "a", corp+"rules: [{name: r, "+rule+"}]")}); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
