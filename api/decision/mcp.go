package decision

import (
	"fmt"

	"github.com/bearerguard/bearerguard/api/policy"
)

// Call is the message that a request brings to an MCP server, as far as rules look at it. It is immutable.
type Call struct {
	Kind CallKind
	// Method is the JSON-RPC method of a CallMessage. Name is what it is about, a tool's or prompt's name or a resource's URI, if
	// Named.
	Method, Name string
	Named        bool
	// Doubt says why, in a CallDoubtful.
	Doubt Cause
}

// CallKind is what a request brings to an MCP server.
type CallKind int

// The kinds of a Call. The zero CallKind is in doubt.
const (
	// CallDoubtful: two readers may take it for two things. An allow rule's mcp does not fit, a deny rule's does.
	CallDoubtful CallKind = iota
	// CallNone: the request's method brings no message.
	CallNone
	// CallMessage: a request or a notification.
	CallMessage
	// CallResponse: an answer to a request of the server's.
	CallResponse
	// CallUnread: nobody has looked yet. An allow rule's mcp fits and a deny rule's does not, so what is refused now would be
	// refused whatever the message is.
	CallUnread
	// callAny: every mcp fits.
	callAny
)

// Unread is the Call of a request whose body nobody has looked at.
var Unread = &Call{Kind: CallUnread}

var anyCall = &Call{Kind: callAny}

// mcpMatch is a compiled policy.MCPMatch.
type mcpMatch struct {
	methods, names []textPattern // nil: any
	messages       bool          // some of both is given
	responses      bool
}

// mcpMatch compiles what a match says of the message to an MCP server.
func (c *compiler) mcpMatch(at string, m *policy.MCPMatch) *mcpMatch {
	if m == nil {
		return nil
	}
	if m.Methods == nil && m.Names == nil && !m.Responses {
		c.fail(at, "is empty", "methods, names or responses: true")
	}
	for i, s := range m.Methods {
		if len(s) > 128 {
			c.fail(fmt.Sprintf("%s.methods[%d]", at, i), fmt.Sprintf("has %d bytes", len(s)), "at most 128")
		}
	}
	return &mcpMatch{
		methods: c.textPatterns(at+".methods", m.Methods, 64), names: c.textPatterns(at+".names", m.Names, 256),
		messages: m.Methods != nil || m.Names != nil, responses: m.Responses,
	}
}

// fits reports whether the message of a request fits. nil is one in doubt.
func (m *mcpMatch) fits(c *Call, deny bool) bool {
	if c == nil {
		return deny
	}
	switch c.Kind {
	case callAny:
		return true
	case CallUnread:
		return !deny
	case CallNone:
		return false
	case CallResponse:
		return m.responses
	case CallMessage:
		return m.messages && (m.methods == nil || anyText(m.methods, c.Method)) &&
			(m.names == nil || c.Named && anyText(m.names, c.Name))
	case CallDoubtful:
	}
	return deny
}

// anyText reports whether a text fits one of the patterns.
func anyText(patterns []textPattern, text string) bool {
	for i := range patterns {
		if patterns[i].fits(text) {
			return true
		}
	}
	return false
}

// callRoutes returns the routes of entries with mcp; nil if there are none.
func callRoutes(rules []*rule) (routes *node) {
	for _, r := range rules {
		if r == nil {
			continue
		}
		for _, e := range r.entries {
			if e.mcp == nil {
				continue
			}
			if routes == nil {
				routes = &node{}
			}
			insertEntry(routes, r, e)
		}
	}
	return routes
}

// HasCalls reports whether a rule has mcp.
func (p *Program) HasCalls() bool { return p != nil && p.calls != nil }

// AsksCall reports whether a rule asks about the message to an MCP server that the request may bring, and whether a rule of an
// Enforce policy does. It costs nothing where no rule has mcp.
func (p *Program) AsksCall(r *Request) (asks, enforced bool) {
	if !p.HasCalls() || r.Path == "" || r.Path[0] != '/' {
		return false, false
	}
	one := *r
	one.Call = anyCall
	j := judge{program: p, request: &one, subject: p.nobody, matching: true}
	found := j.findAll(p.calls)
	for n, rule := range p.rules {
		if rule != nil && has(found.matches, n) {
			asks, enforced = true, enforced || !rule.audit
		}
	}
	return asks, enforced
}
