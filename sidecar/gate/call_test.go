package gate_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
	"github.com/bearerguard/bearerguard/sidecar/mcp"
)

// mcpRule is a rule about messages that come to /mcp.
func mcpRule(name string, m policy.MCPMatch, allow *policy.Allow) policy.Rule {
	r := policy.Rule{Name: name, Match: []policy.Match{{Paths: []string{"/mcp"}, MCP: &m}}, Allow: allow}
	if allow == nil {
		r.Deny = &policy.Conditions{}
	}
	return r
}

func scopes(s ...string) *policy.Allow {
	return &policy.Allow{Conditions: policy.Conditions{Scopes: s}}
}

// server is a policy of an MCP server.
func server() policy.Spec {
	return policy.Spec{
		Issuers: []policy.Issuer{corp.Policy("corp")},
		Rules: []policy.Rule{
			{Name: "streams", Match: []policy.Match{{Paths: []string{"/mcp"}, Methods: []string{"GET", "DELETE"}}}, Allow: &policy.Allow{Authenticated: true}},
			mcpRule("session", policy.MCPMatch{Methods: []string{"initialize", "notifications/*", "tools/list"}, Responses: true}, &policy.Allow{Authenticated: true}),
			mcpRule("read", policy.MCPMatch{Methods: []string{"tools/call"}, Names: []string{"get_*"}}, scopes("tools.read")),
			mcpRule("write", policy.MCPMatch{Methods: []string{"tools/call"}, Names: []string{"set_*"}}, scopes("tools.read", "tools.write")),
			mcpRule("no-danger", policy.MCPMatch{Methods: []string{"tools/call"}, Names: []string{"*_all"}}, nil),
		},
	}
}

func tool(name string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q}}`, name)
}

// message is a request with a body.
func message(body string, headers ...string) *gate.Request {
	r := get("/mcp", append([]string{"Content-Type", "application/json"}, headers...)...)
	r.Method, r.Body = "POST", &gate.Body{Data: []byte(body), Whole: true}
	return r
}

func TestMessagesToAnMCPServer(t *testing.T) {
	t.Parallel()
	g := newGate(t, gatetest.Policy("server", server()))
	reader := bearer(corp.Token(start, map[string]any{"scope": "tools.read"}))
	with := func(headers ...string) []string { return append(headers, reader...) }
	for what, c := range map[string]struct {
		r      *gate.Request
		reason decision.Reason
		rule   string
		scopes string
	}{
		"a tool":                          {message(tool("get_user"), reader...), decision.Allowed, "read", ""},
		"a tool of another scope":         {message(tool("set_user"), reader...), decision.InsufficientScope, "write", "tools.read tools.write"},
		"a tool of no rule":               {message(tool("drop"), reader...), decision.NoRule, "", ""},
		"a tool that is denied":           {message(tool("get_all"), reader...), decision.DeniedByRule, "no-danger", ""},
		"the handshake":                   {message(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}`, reader...), decision.Allowed, "session", ""},
		"a notification":                  {message(`{"jsonrpc":"2.0","method":"notifications/initialized"}`, reader...), decision.Allowed, "session", ""},
		"an answer":                       {message(`{"jsonrpc":"2.0","id":1,"result":{}}`, reader...), decision.Allowed, "session", ""},
		"no token":                        {message(tool("get_user")), decision.NoToken, "", ""},
		"no token, and no message":        {message("[]"), decision.NoToken, "", ""},
		"no token, and a denied tool":     {message(tool("get_all")), decision.DeniedByRule, "no-danger", ""},
		"headers that agree":              {message(tool("get_user"), with("Mcp-Method", "tools/call", "Mcp-Name", "get_user")...), decision.Allowed, "read", ""},
		"a header of another tool":        {message(tool("set_user"), with("Mcp-Method", "tools/call", "Mcp-Name", "get_user")...), decision.MCPMismatch, "", ""},
		"a header of another method":      {message(tool("get_user"), with("Mcp-Method", "tools/list")...), decision.MCPMismatch, "", ""},
		"a batch":                         {message("["+tool("get_user")+"]", reader...), decision.DeniedByRule, "no-danger", ""},
		"two tools in one message":        {message(strings.Replace(tool("get_user"), `}}`, `,"name":"drop"}}`, 1), reader...), decision.DeniedByRule, "no-danger", ""},
		"two tools, in another case":      {message(strings.Replace(tool("get_user"), `}}`, `,"Name":"drop"}}`, 1), reader...), decision.DeniedByRule, "no-danger", ""},
		"a message that is not all there": {&gate.Request{Method: "POST", Target: "/mcp", Host: "a", Header: message("", reader...).Header, Body: &gate.Body{Data: []byte(tool("get_user"))}}, decision.DeniedByRule, "no-danger", ""},
	} {
		v := g.Judge(c.r)
		got := ""
		if v.Challenge != nil {
			got = strings.Join(v.Challenge.Scopes, " ")
		}
		if v.Reason != c.reason || v.Rule != c.rule || got != c.scopes || v.WantBody != 0 {
			t.Errorf("%s: %s by %s, scopes %q, wants %d", what, v.Reason, v.Rule, got, v.WantBody)
		}
	}
	for _, method := range []string{"GET", "DELETE"} {
		r := get("/mcp", reader...)
		r.Method = method
		if v := g.Judge(r); !v.Forward || v.Rule != "streams" {
			t.Errorf("%s: %s", method, v.Reason)
		}
	}
}

// A body is asked for only where it can make a difference, and who forgets to read it refuses.
func TestWhenTheBodyIsWanted(t *testing.T) {
	t.Parallel()
	anonymous := server()
	anonymous.Rules = append(anonymous.Rules, mcpRule("public", policy.MCPMatch{Methods: []string{"ping"}}, &policy.Allow{Anonymous: true, IgnoreToken: true}))
	reader := bearer(corp.Token(start, map[string]any{"scope": "tools.read"}))
	for what, c := range map[string]struct {
		spec   policy.Spec
		edit   func(*gate.Request)
		header []string
		reason decision.Reason // "": the body is wanted
	}{
		"a valid token":                           {server(), nil, reader, ""},
		"no token":                                {server(), nil, nil, decision.NoToken},
		"a broken token":                          {server(), nil, bearer("x"), decision.Malformed},
		"an expired token":                        {server(), nil, bearer(corp.Token(start, map[string]any{"exp": start.Unix() - 100})), decision.Expired},
		"no token, and a rule for everybody":      {anonymous, nil, nil, ""},
		"a broken token, and a rule that ignores": {anonymous, nil, bearer("x"), ""},
		"another path":                            {server(), func(r *gate.Request) { r.Target = "/other" }, reader, decision.NoRule},
		"another type":                            {server(), nil, append([]string{"Content-Type", "text/plain"}, reader...), decision.DeniedByRule},
		"another type, and no token":              {server(), nil, []string{"Content-Type", "text/plain"}, decision.NoToken},
		"a compressed body":                       {server(), nil, append([]string{"Content-Encoding", "gzip"}, reader...), decision.DeniedByRule},
		"a stream":                                {server(), func(r *gate.Request) { r.Method = "GET" }, reader, decision.Allowed},
		"a policy without mcp":                    {orders(), nil, reader, decision.NoRule},
	} {
		g := newGate(t, gatetest.Policy("server", c.spec))
		r := message("", c.header...)
		if r.Body = nil; c.edit != nil {
			c.edit(r)
		}
		v := g.Judge(r)
		switch {
		case c.reason != "" && (v.WantBody != 0 || v.Reason != c.reason):
			t.Errorf("%s: %s, wants %d", what, v.Reason, v.WantBody)
		case c.reason == "" && (v.WantBody != mcp.MaxBody || v.Forward || v.Reason != decision.InternalError):
			t.Errorf("%s: forward %v, %s, wants %d", what, v.Forward, v.Reason, v.WantBody)
		}
	}
}

// An Audit policy has the body be read too, but refuses nothing, and a contradiction is a doubt to it.
func TestMCPInAuditPolicies(t *testing.T) {
	t.Parallel()
	audit := server()
	audit.Mode = policy.Audit
	enforced := orders()
	enforced.Rules = append(enforced.Rules, policy.Rule{Name: "all", Allow: &policy.Allow{Authenticated: true}})
	reader := bearer(corp.Token(start, map[string]any{"scope": "tools.read"}))
	for _, policies := range [][]policy.Spec{{audit}, {audit, enforced}} {
		g := gate.New(gate.Options{Now: clock})
		if len(policies) == 1 {
			g.Swap(gatetest.Snapshot(t, clock, gatetest.Policy("audit", audit)))
		} else {
			g.Swap(gatetest.Snapshot(t, clock, gatetest.Policy("audit", audit), gatetest.Policy("orders", enforced)))
		}
		unread := message("", reader...)
		unread.Body = nil
		if v := g.Judge(unread); v.WantBody == 0 || v.Forward {
			t.Errorf("nobody wants the body: %s", v.Reason)
		}
		for body, want := range map[string]decision.Reason{
			tool("get_user"): decision.Allowed, tool("set_user"): decision.InsufficientScope, "[]": decision.DeniedByRule,
		} {
			v := g.Judge(message(body, reader...))
			if !v.Forward || len(v.Audit) != 1 || v.Audit[0].Reason != want {
				t.Errorf("%s: forward %v, %v", body, v.Forward, v.Audit)
			}
		}
		v := g.Judge(message(tool("get_user"), append([]string{"Mcp-Method", "x"}, reader...)...))
		if !v.Forward || v.Audit[0].Reason != decision.DeniedByRule {
			t.Errorf("a contradiction: forward %v, %v", v.Forward, v.Audit)
		}
		unread = message("") // refused without the body, or let through
		unread.Body = nil
		if v := g.Judge(unread); v.Forward != (len(policies) == 1) && v.WantBody == 0 || v.WantBody == 0 && len(v.Audit) > 0 && v.Audit[0].Allowed {
			t.Errorf("without a token: forward %v, %v", v.Forward, v.Audit)
		}
	}
}

// A refusal says why a message is in doubt, without what it holds.
func TestWhyAMessageIsInDoubt(t *testing.T) {
	t.Parallel()
	g := newGate(t, gatetest.Policy("server", server()))
	r := message(`{"jsonrpc":"2.0","id":1,"method":"tools/call","method":"secret"}`, bearer(corp.Token(start, nil))...)
	v := g.Judge(r)
	why := v.Why(r)
	if v.Cause == nil || v.Cause.String() != "the body has a duplicate member" || strings.Contains(fmt.Sprint(why.Details()), "secret") {
		t.Errorf("got %v %v", v.Cause, why.Details())
	}
	r = message(tool("drop"), bearer(corp.Token(start, nil))...)
	v = g.Judge(r)
	why = v.Why(r)
	if d := why.Details(); v.Cause != nil || !strings.Contains(d.Failed, "spec.rules[") || !strings.Contains(d.Failed, "mcp") {
		t.Errorf("got %v %+v", v.Cause, d)
	}
}
