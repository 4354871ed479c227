package decision_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/decision/randompolicy"
	"github.com/bearerguard/bearerguard/api/policy"
)

// TestDoubtfulPaths has rules over paths that an app may read in another way than the canonical form reads.
func TestDoubtfulPaths(t *testing.T) {
	t.Parallel()
	const keep, sent, both = "encodedSlash: Keep", "forward: AsSent", "encodedSlash: Keep, forward: AsSent"
	tests := map[string]struct {
		paths string
		match string
		deny  bool
		raw   string
		want  bool   // the rule fits
		error string // the path is refused
	}{
		"a slash first does not pass deny":               {paths: keep, deny: true, match: "paths: ['/admin*/**']", raw: "/%2Fadmin", want: true},
		"nor in lower case":                              {paths: keep, deny: true, match: "paths: ['/admin*/**']", raw: "/%2fadmin-1/x", want: true},
		"nor several":                                    {paths: keep, deny: true, match: "paths: ['/admin/**']", raw: "/%2F%2f/%2Fadmin%2Fx", want: true},
		"nor one below":                                  {paths: keep, deny: true, match: "paths: ['/x/admin']", raw: "/x%2Fadmin", want: true},
		"nor one at the end":                             {paths: keep, deny: true, match: "paths: [/admin]", raw: "/admin%2F", want: true},
		"nor one before the rest":                        {paths: keep, deny: true, match: "paths: ['/**/secret/*']", raw: "/a%2Fb/secret%2Fx", want: true},
		"nor parameters beside it":                       {paths: keep, deny: true, match: "paths: ['/admin/**']", raw: "/;%2Fadmin;x", want: true},
		"nor dots that parameters hide":                  {paths: keep, deny: true, match: "paths: ['/admin/**']", raw: "/public%2F..;x%2Fadmin", want: true},
		"dots beside a slash are refused":                {paths: keep, deny: true, match: "paths: ['/admin/**']", raw: "/admin%2F..", error: "dot segment beside an encoded slash"},
		"data is data to deny as well":                   {paths: keep, deny: true, match: "paths: ['/a%2Fb']", raw: "/a%2fb", want: true},
		"data is one segment to deny as well":            {paths: keep, deny: true, match: "paths: ['/{x}']", raw: "/a%2fb", want: true},
		"another path is another":                        {paths: keep, deny: true, match: "paths: ['/b/**']", raw: "/a%2fb"},
		"an allow rule takes it for data":                {paths: keep, match: "paths: ['/projects/{id}/issues']", raw: "/projects/group%2Fproj/issues", want: true},
		"and not for a separator":                        {paths: keep, match: "paths: ['/projects/group/*/issues']", raw: "/projects/group%2Fproj/issues"},
		"what allow excludes is excluded in every way":   {paths: keep, match: "paths: ['/**'], notPaths: ['/admin/**']", raw: "/%2Fadmin"},
		"what deny excludes must be so in every way":     {paths: keep, deny: true, match: "paths: ['/**'], notPaths: ['/public/**']", raw: "/public%2Fx", want: true},
		"a deny rule without paths fits":                 {paths: keep, deny: true, match: "methods: [GET]", raw: "/a%2Fb", want: true},
		"a path without encoded slashes has no doubt":    {paths: both, match: "paths: ['/a/{x}']", raw: "/a/b", want: true},
		"parameters of the last segment":                 {paths: sent, deny: true, match: "paths: [/admin]", raw: "/admin;x", want: true},
		"parameters of another":                          {paths: sent, deny: true, match: "paths: ['/admin/**']", raw: "/admin;x=1/y", want: true},
		"encoded ones":                                   {paths: sent, deny: true, match: "paths: ['/admin/**']", raw: "/admin%3bx=1/y", want: true},
		"parameters alone":                               {paths: sent, deny: true, match: "paths: ['/admin/**']", raw: "/;/;x/admin", want: true},
		"dots before parameters":                         {paths: sent, deny: true, match: "paths: ['/admin/**']", raw: "/public/..;/admin", want: true},
		"encoded dots before parameters":                 {paths: sent, deny: true, match: "paths: ['/admin/**']", raw: "/public/%2e%2E;a=b/admin", want: true},
		"dots before parameters that climb":              {paths: sent, deny: true, match: "paths: ['/admin/**']", raw: "/..;/admin", error: "climbs above the root"},
		"parameters as they are":                         {paths: sent, deny: true, match: "paths: ['/admin;x']", raw: "/admin;x", want: true},
		"dot segments":                                   {paths: sent, deny: true, match: "paths: ['/admin/**']", raw: "/a/../admin", want: true},
		"dot segments that an app does not resolve":      {paths: sent, deny: true, match: "paths: ['/admin/**']", raw: "/admin/../a", want: true},
		"dot segments after two slashes":                 {paths: sent, deny: true, match: "paths: ['/admin/**']", raw: "/admin//../a", want: true},
		"two slashes":                                    {paths: sent, deny: true, match: "paths: ['/admin/**']", raw: "//admin", want: true},
		"an escaped letter":                              {paths: sent, deny: true, match: "paths: ['/admin/**']", raw: "/%61dmin", want: true},
		"a slash where both are kept":                    {paths: both, deny: true, match: "paths: ['/admin/**']", raw: "/x/..%3b/%2fadmin", want: true},
		"cut first, then split":                          {paths: both, deny: true, match: "paths: [/a/b]", raw: "/a%2Fb;c%2Fd", want: true},
		"split first, then cut":                          {paths: both, deny: true, match: "paths: [/a/b/d]", raw: "/a%2Fb;c%2Fd", want: true},
		"climbing out is refused as ever":                {paths: sent, deny: true, match: "paths: ['/**']", raw: "/../a", error: "climbs above the root"},
		"a raw space would end the target":               {paths: sent, deny: true, match: "paths: ['/**']", raw: "/a b", error: "raw space"},
		"an encoded slash is refused as ever":            {paths: sent, deny: true, match: "paths: ['/**']", raw: "/a%2Fb", error: "paths.encodedSlash: Keep"},
		"parameters and an allow rule that has none":     {paths: sent, match: "paths: [/app]", raw: "/app;jsessionid=1"},
		"parameters and one for what they may be":        {paths: sent, match: "paths: ['/app*']", raw: "/app;jsessionid=1", want: true},
		"parameters and one for a segment":               {paths: sent, match: "paths: ['/orders/{id}']", raw: "/orders/7;v=1", want: true},
		"parameters and one for the rest":                {paths: sent, match: "paths: ['/app/**']", raw: "/app/x;jsessionid=1", want: true},
		"parameters that hide where a path leads":        {paths: sent, match: "paths: ['/public/**']", raw: "/public/..;/admin"},
		"dots that lead to a public place":               {paths: sent, match: "paths: ['/public/**']", raw: "/admin/../public/x"},
		"dots that stay in it":                           {paths: sent, match: "paths: ['/public/**']", raw: "/public/a/../b", want: true},
		"two slashes and an allow rule":                  {paths: sent, match: "paths: ['/orders/{id}']", raw: "/orders//7", want: true},
		"an encoded semicolon is data to an allow rule":  {paths: sent, match: "paths: ['/a;b']", raw: "/a%3Bb", want: true},
		"an allow rule that excludes what parameters do": {paths: sent, match: "paths: ['/**'], notPaths: [/admin]", raw: "/admin;x"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			effect := "allow: {anonymous: true}"
			if test.deny {
				effect = "deny: {}"
			}
			p := compile(t, "paths: {"+test.paths+"}\nrules: [{name: r, match: [{"+test.match+"}], "+effect+"}]")
			path, err := decision.ReadPath(test.raw, p.PathOptions())
			if test.error != "" || err != nil {
				if err == nil || test.error == "" || !strings.Contains(err.Error(), test.error) {
					t.Fatalf("%s: %v; want %q", test.raw, err, test.error)
				}
				return
			}
			r := request(t, "GET /")
			r.Path, r.Readings = path.Match, path.Readings
			d := decide(t, p, r, nil)
			if d.Allowed != (test.want && !test.deny) || (d.Reason == decision.DeniedByRule) != (test.want && test.deny) {
				t.Errorf("%s: %s; want the rule to fit: %v; readings %+v", test.raw, d.Reason, test.want, path.Readings)
			}
		})
	}
}

// A condition on a path that can be read in several ways holds for an allow rule if it does in all, for a deny rule in any.
func TestConditionsOnDoubtfulPaths(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		rule, raw string
		allowed   bool
	}{
		"allow by what the path is not": {`allow: {anonymous: true, when: '!request.path.startsWith("/admin")'}`, "/%2Fadmin", false},
		"allow by what the path is":     {`allow: {anonymous: true, when: 'request.path.startsWith("/a")'}`, "/a%2Fb", true},
		"allow by a capture":            {`match: [{paths: ["/u/{x}"]}], allow: {anonymous: true, when: 'path.x == "a/b"'}`, "/u/a%2Fb", true},
		"deny by what the path is":      {`deny: {when: 'request.path.startsWith("/admin")'}`, "/%2Fadmin", false},
		"deny by a capture":             {`match: [{paths: ["/u/{x}/**"]}], deny: {when: 'path.x == "a"'}`, "/u/a%2Fb", false},
		"deny by an encoded equals":     {`deny: {when: 'request.path == "/a=b"'}`, "/a%3Db", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rules := "rules: [{name: r, " + test.rule + "}"
			if strings.Contains(test.rule, "deny:") {
				rules += ", {name: all, allow: {anonymous: true}}"
			}
			p := compile(t, "paths: {encodedSlash: Keep}\n"+rules+"]")
			path, err := decision.ReadPath(test.raw, p.PathOptions())
			if err != nil {
				t.Fatal(err)
			}
			r := request(t, "GET /")
			r.Path, r.Readings = path.Match, path.Readings
			if d := decide(t, p, r, nil); d.Allowed != test.allowed {
				t.Errorf("%s: %s", test.raw, d.Reason)
			}
		})
	}
}

// app is how some app finds the segments that it routes by in what it is sent. ok is false where it finds none.
type app struct {
	name string
	data bool // it takes an encoded slash and an encoded semicolon for data
	read func(sent string) (segments []string, ok bool)
}

// apps are written for nothing but clarity, after what servers and frameworks do.
var apps = []app{
	{"splits, decodes", true, func(s string) ([]string, bool) { return decodeAll(strings.Split(s, "/")[1:]), true }},
	{"splits, decodes, resolves dots", true, func(s string) ([]string, bool) { return resolve(decodeAll(strings.Split(s, "/")[1:])) }},
	{"merges, splits, decodes, resolves dots", true, func(s string) ([]string, bool) { return resolve(decodeAll(merged(strings.Split(s, "/")[1:]))) }},
	{"cuts parameters, decodes, resolves dots", true, func(s string) ([]string, bool) { return resolve(decodeAll(merged(cutAll(strings.Split(s, "/")[1:])))) }},
	{"cuts parameters, decodes", true, func(s string) ([]string, bool) { return decodeAll(cutAll(strings.Split(s, "/")[1:])), true }},
	{"decodes, splits", false, func(s string) ([]string, bool) { return strings.Split(decoded(s), "/")[1:], true }},
	{"decodes, splits, resolves dots", false, func(s string) ([]string, bool) { return resolve(merged(strings.Split(decoded(s), "/")[1:])) }},
	{"decodes, splits, cuts parameters, resolves dots", false, func(s string) ([]string, bool) { return resolve(merged(cutAll(strings.Split(decoded(s), "/")[1:]))) }},
	{"cuts parameters, decodes, splits, resolves dots", false, func(s string) ([]string, bool) {
		return resolve(merged(strings.Split(decoded("/"+strings.Join(cutAll(strings.Split(s, "/")[1:]), "/")), "/")[1:]))
	}},
}

func decoded(s string) string {
	out, err := url.PathUnescape(s)
	if err != nil {
		panic(err)
	}
	return out
}

func decodeAll(segments []string) []string {
	var out []string
	for _, s := range segments {
		out = append(out, decoded(s))
	}
	return out
}

func cutAll(segments []string) []string {
	var out []string
	for _, s := range segments {
		s, _, _ = strings.Cut(s, ";")
		out = append(out, s)
	}
	return out
}

// merged drops empty segments, but for a last one.
func merged(segments []string) []string {
	var out []string
	for i, s := range segments {
		if s != "" || i == len(segments)-1 {
			out = append(out, s)
		}
	}
	return out
}

func resolve(segments []string) ([]string, bool) {
	var out []string
	for i, s := range segments {
		last := i == len(segments)-1
		switch {
		case s == ".." && len(out) == 0:
			return nil, false
		case s == "..":
			out = out[:len(out)-1]
		case s != ".":
			out = append(out, s)
			continue
		}
		if last {
			out = append(out, "")
		}
	}
	return out, true
}

// inRules writes what an app reads in the form that rules see.
func inRules(segments []string) string {
	var b strings.Builder
	for _, s := range merged(segments) {
		b.WriteByte('/')
		for _, c := range []byte(s) {
			b.WriteString(naiveEscape(c, unreserved+"!$&'()*+,=:@"))
		}
	}
	return b.String()
}

// FuzzReadings holds that whatever an app makes of the path that it gets, a deny rule that fits it has denied the request;
// and that what is allowed is allowed in each way to read it that leaves encoded slashes alone.
func FuzzReadings(f *testing.F) {
	for i := range uint64(64) {
		f.Add(i)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		rnd := newRand(seed)
		asSent := rnd.IntN(2) == 0
		spec := policy.Spec{Paths: &policy.Paths{EncodedSlash: policy.KeepEncodedSlash}}
		if asSent {
			spec.Paths.Forward = policy.ForwardAsSent
		}
		var templates []string
		for range 1 + rnd.IntN(3) {
			if tpl := randompolicy.Template(rnd); !slices.Contains(templates, tpl) {
				templates = append(templates, tpl)
			}
		}
		match := []policy.Match{{Paths: templates}}
		open, shut := spec, spec
		open.Rules = []policy.Rule{{Name: "r", Match: match, Allow: &policy.Allow{Anonymous: true}}}
		shut.Rules = []policy.Rule{{Name: "r", Match: match, Deny: &policy.Conditions{}}, {Name: "all", Allow: &policy.Allow{Anonymous: true}}}
		allow, err := decision.Compile([]decision.Policy{{Name: "open", Spec: open}})
		if err != nil {
			t.Fatal(err)
		}
		deny, err := decision.Compile([]decision.Policy{{Name: "shut", Spec: shut}})
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			raw := "/"
			for range rnd.IntN(8) {
				raw += randompolicy.OneOf(rnd, "a", "b", "c", "a", "b", "/", "/", "%2F", "%2f", ";", ";", "%3B", "%3b", "/..", "/.", "/../", "/./", "/..;", "..", "%2e", ";x=1", "%61", "=", "%3D")
			}
			path, err := decision.ReadPath(raw, allow.PathOptions())
			if err != nil {
				continue
			}
			r := &decision.Request{Method: http.MethodGet, Host: "h", Path: path.Match, Readings: path.Readings}
			denied, allowed := decide(t, deny, r, nil).Reason == decision.DeniedByRule, decide(t, allow, r, nil).Allowed
			for _, a := range apps {
				segments, ok := a.read(path.Forward)
				if !ok || !asSent && strings.Contains(a.name, "splits, cuts") { // "%3B" is part of a segment then
					continue
				}
				routed := inRules(segments)
				fits := func(path string) bool {
					return slices.ContainsFunc(templates, func(tpl string) bool { return naivePathFits(tpl, path) })
				}
				says := fmt.Sprintf("%q as %q, to an app that %s: %q; templates %q, readings %+v", raw, path.Forward, a.name, routed, templates, path.Readings)
				if fits(routed) && !denied {
					t.Fatalf("not denied: %s", says)
				}
				if asSent && a.data && allowed && !fits(routed) {
					t.Fatalf("allowed: %s", says)
				}
			}
		}
	})
}
