package lint

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

func TestFindingsInMCP(t *testing.T) {
	t.Parallel()
	tools := &policy.MCPMatch{Methods: []string{"tools/call"}, Names: []string{"db_*"}}
	const at = "spec.rules[0].match[0].mcp"
	for what, c := range map[string]struct {
		match policy.Match
		want  []string
	}{
		"nothing":           {policy.Match{Paths: []string{"/mcp"}, MCP: tools}, nil},
		"nothing, by POST":  {policy.Match{Paths: []string{"/mcp"}, Methods: []string{"POST"}, MCP: tools}, nil},
		"a pattern":         {policy.Match{Paths: []string{"/mcp"}, MCP: &policy.MCPMatch{Methods: []string{"resources/*"}, Names: []string{"file:*"}}}, nil},
		"GET":               {policy.Match{Paths: []string{"/mcp"}, Methods: []string{"GET"}, MCP: tools}, []string{at + ": never fits: messages come by POST, which methods leave out; want methods: [POST], or methods left out; another entry without mcp for GET"}},
		"all but POST":      {policy.Match{Paths: []string{"/mcp"}, NotMethods: []string{"POST"}, MCP: tools}, []string{at + ": never fits: messages come by POST, which methods leave out; want methods: [POST], or methods left out; another entry without mcp for GET"}},
		"no path":           {policy.Match{MCP: tools}, []string{at + ": is without paths, so the body of every POST of JSON is read, and one in doubt fits no allow rule and every deny rule; want paths with that of the MCP server"}},
		"a nameless method": {policy.Match{Paths: []string{"/mcp"}, MCP: &policy.MCPMatch{Methods: []string{"tools/call", "tools/list"}, Names: []string{"a"}}}, []string{at + ".methods[1]: never fits beside names: tools/list has no name; want another entry for it, without names"}},
		"names alone":       {policy.Match{Paths: []string{"/mcp"}, MCP: &policy.MCPMatch{Names: []string{"a"}}}, []string{at + ".names: is without methods, so a tool, a prompt and a resource of one name are the same; want methods: [tools/call]"}},
	} {
		var got []string
		r := policy.Rule{Name: "a", Match: []policy.Match{c.match}, Allow: &policy.Allow{Authenticated: true}}
		for _, f := range Policy(&policy.Spec{Rules: []policy.Rule{r}}, decision.ExpressionHints) {
			got = append(got, f.Error())
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	anonymous, one := open("all", "/mcp"), sound("one", "/mcp")
	anonymous.Match[0].MCP = tools
	if got := Policy(&policy.Spec{Rules: []policy.Rule{anonymous, one}}, decision.ExpressionHints); len(got) != 0 {
		t.Errorf("a rule about some messages is taken to cover all: %v", got)
	}
}
