package ruleset_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/ruleset"
)

func TestParsePath(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/":                  "/",
		"/pets/{petId}":      "/pets/{petId}",
		"/pets/{pet-id}/":    "/pets/{pet_id}/",
		"/{id}/x/{id}":       "/{id}/x/*",
		"/{in}":              "/*",
		"/files/{name}.json": "/files/*.json",
		"/{v}:cancel":        "/*:cancel",
		"/%7euser/a%3Db":     "/~user/a=b",
		"/a*":                "/a%2A",
		"/ü":                 "/%C3%BC",
		"/what?x=1":          "has a query",
		"/a//b":              "has an empty segment",
		"/a/../b":            "has a dot segment",
		"/{a}-{b}":           "has one variable in a segment",
		"/{}":                "has one variable in a segment",
		"/a%2Fb":             "no request has it",
		"pets":               "does not begin with a slash",
	} {
		p, err := ruleset.ParsePath(path)
		got := p.Template(true)
		if err != nil {
			got = err.Error()
		}
		if got != want && (err == nil || !strings.Contains(got, want)) {
			t.Errorf("%s: %s; want %s", path, got, want)
		}
	}
}

// rulesOf writes rules in short: "NAME: METHODS PATHS ! NOTPATHS, ...".
func rulesOf(r ruleset.Result) (out []string) {
	for _, rule := range r.Rules {
		var matches []string
		for _, m := range rule.Match {
			s := strings.Join(m.Methods, "+") + " " + strings.Join(m.Paths, " ")
			if len(m.NotPaths) > 0 {
				s += " ! " + strings.Join(m.NotPaths, " ")
			}
			if len(m.Ports) > 0 {
				s += fmt.Sprint(" at ", m.Ports)
			}
			matches = append(matches, s)
		}
		out = append(out, rule.Name+": "+strings.Join(matches, ", "))
	}
	return out
}

func TestRules(t *testing.T) {
	t.Parallel()
	op := func(s string, scopes ...string) ruleset.Operation {
		method, path, _ := strings.Cut(s, " ")
		p, _ := ruleset.ParsePath(path)
		return ruleset.Operation{Method: method, Path: p, Who: []ruleset.Who{{Scopes: scopes}}, Tags: []string{"pets"}}
	}
	at := func(port int32, o ruleset.Operation) ruleset.Operation {
		o.Port = port
		return o
	}
	nobody := func(o ruleset.Operation) ruleset.Operation {
		o.Who = nil
		return o
	}
	for name, c := range map[string]struct {
		all  []ruleset.Operation
		want []string
	}{
		"operations that ask for the same are one rule": {
			[]ruleset.Operation{op("POST /pets", "write"), op("GET /pets", "read"), op("PUT /pets", "write"), op("PUT /toys", "write")},
			[]string{"write: POST+PUT /pets, PUT /toys", "get-pets: GET /pets"}},
		"a path that says more is cut out of the other": {
			[]ruleset.Operation{op("GET /pets/{id}", "read"), op("GET /pets/mine")},
			[]string{"get-pets-id: GET /pets/{id} ! /pets/mine", "get-pets-mine: GET /pets/mine"}},
		"unless both ask for the same": {
			[]ruleset.Operation{op("GET /pets/{id}", "read"), op("GET /pets/mine", "read")},
			[]string{"read: GET /pets/{id} /pets/mine"}},
		"it is cut out too where it has not the method": {
			[]ruleset.Operation{op("DELETE /pets/{id}", "read"), op("GET /pets/mine", "read")},
			[]string{"read: DELETE /pets/{id} ! /pets/mine, GET /pets/mine"}},
		"and where nobody is let in": {
			[]ruleset.Operation{op("GET /pets/{id}", "read"), nobody(op("GET /pets/mine"))},
			[]string{"get-pets-id: GET /pets/{id} ! /pets/mine"}},
		"paths of which neither says more are cut out of one another": {
			[]ruleset.Operation{op("GET /{kind}/me", "a"), op("GET /pets/{id}", "b")},
			[]string{"get-kind-me: GET /{kind}/me ! /pets/*", "get-pets-id: GET /pets/{id} ! /*/me"}},
		"a path that no template says is cut out as far as one does": {
			[]ruleset.Operation{nobody(op("GET /a/{x}-{y}")), op("GET /{z}/b", "z"), op("GET /a/b", "b")},
			[]string{"get-z-b: GET /{z}/b ! /a/* /a/b", "get-a-b: GET /a/b"}},
		"text beside a variable does not stand alone": {
			[]ruleset.Operation{op("GET /{name}.json", "a")},
			[]string{"get-json: GET /*.json ! /.json"}},
		"ports are told apart": {
			[]ruleset.Operation{at(8080, op("GET /x", "a")), at(9090, op("GET /x", "a")), at(8080, op("GET /y", "a"))},
			[]string{"a: GET /x /y at [8080], GET /x at [9090]"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, rulesOf(ruleset.Rules(c.all, ruleset.Names{}))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Bounds of a policy: 64 paths and notPaths a match, 32 matches a rule.
func TestLargeRules(t *testing.T) {
	t.Parallel()
	var all []ruleset.Operation
	add := func(method, path string, scopes ...string) {
		p, err := ruleset.ParsePath(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, ruleset.Operation{Method: method, Path: p, Who: []ruleset.Who{{Scopes: scopes}}})
	}
	for i := range 130 {
		add("GET", fmt.Sprintf("/a/b%d", i), "read")
		add("GET", fmt.Sprintf("/a%d/{x}", i), "write")
		add("GET", fmt.Sprintf("/a%d/b", i), "read")
	}
	add("PUT", "/a/{x}", "write")
	r := ruleset.Rules(all, ruleset.Names{})
	if want := []int{len(all) - 1}; !slices.Equal(r.Crowded, want) {
		t.Errorf("crowded: %v; want %v", r.Crowded, want)
	}
	paths := 0
	for _, rule := range r.Rules {
		if len(rule.Match) > 32 {
			t.Errorf("%s has %d matches", rule.Name, len(rule.Match))
		}
		for _, m := range rule.Match {
			paths += len(m.Paths)
			if len(m.Paths) > 64 || len(m.NotPaths) > 64 {
				t.Errorf("%s has %d paths, %d notPaths", rule.Name, len(m.Paths), len(m.NotPaths))
			}
		}
	}
	if paths != 390 {
		t.Errorf("%d paths", paths)
	}
}

// Operations are compared with each other, so what is done for each pair must be little: a document may have ten thousand.
func TestManyOperationsAreLittleWork(t *testing.T) {
	var all []ruleset.Operation
	for i := range 2000 {
		p, err := ruleset.ParsePath(fmt.Sprintf("/{a}/{b}/x%d", i))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, ruleset.Operation{Method: "GET", Path: p, Who: []ruleset.Who{{Scopes: []string{fmt.Sprint("r", i%50)}}}})
	}
	if n := testing.AllocsPerRun(1, func() { ruleset.Rules(all, ruleset.Names{}) }); n > 2000*200 {
		t.Errorf("%d operations take %.0f allocations", len(all), n)
	}
}
