package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

// named are the MCP methods that have a name.
var named = []string{"tools/call", "prompts/get", "resources/read", "resources/subscribe", "resources/unsubscribe"}

// mcp warns of a match of messages to an MCP server that can never fit, or fits more than it seems to.
func (l *linter) mcp(at string, m *policy.Match) {
	if m.MCP == nil {
		return
	}
	here := at + ".mcp"
	if m.Methods != nil && !slices.Contains(m.Methods, "POST") || slices.Contains(m.NotMethods, "POST") {
		l.add(MCPMatch, here, "never fits: messages come by POST, which methods leave out", "methods: [POST], or methods left out; another entry without mcp for GET")
	}
	if m.Paths == nil {
		l.add(MCPMatch, here, "is without paths, so the body of every POST of JSON is read, and one in doubt fits no allow rule and every deny rule", "paths with that of the MCP server")
	}
	if m.MCP.Names == nil {
		return
	}
	for i, method := range m.MCP.Methods {
		if !slices.ContainsFunc(named, func(n string) bool { return patternFits(method, n) }) {
			l.add(MCPMatch, fmt.Sprintf("%s.methods[%d]", here, i), fmt.Sprintf("never fits beside names: %s has no name", method), "another entry for it, without names")
		}
	}
	if m.MCP.Methods == nil {
		l.add(MCPMatch, here+".names", "is without methods, so a tool, a prompt and a resource of one name are the same", "methods: [tools/call]")
	}
}

// patternFits reports whether a text fits a pattern with at most one *.
func patternFits(pattern, text string) bool {
	prefix, suffix, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == text
	}
	return len(text) >= len(prefix)+len(suffix) && strings.HasPrefix(text, prefix) && strings.HasSuffix(text, suffix)
}
