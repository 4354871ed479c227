package decision_test

import (
	"testing"

	"github.com/bearerguard/bearerguard/api/decision"
)

// What an entry of mcp fits, in an allow and in a deny rule.
func TestMCPMatches(t *testing.T) {
	t.Parallel()
	tool := &decision.Call{Kind: decision.CallMessage, Method: "tools/call", Name: "db_query", Named: true}
	list := &decision.Call{Kind: decision.CallMessage, Method: "tools/list"}
	answer := &decision.Call{Kind: decision.CallResponse}
	for what, c := range map[string]struct {
		match       string
		call        *decision.Call
		allow, deny bool
	}{
		"the method":                       {"methods: [tools/call]", tool, true, true},
		"one of two":                       {"methods: [tools/list, tools/call]", tool, true, true},
		"a pattern":                        {"methods: ['tools/*']", tool, true, true},
		"another method":                   {"methods: [tools/list]", tool, false, false},
		"a method in another case":         {"methods: [Tools/call]", tool, false, false},
		"the name":                         {"methods: [tools/call], names: [db_query]", tool, true, true},
		"a pattern of names":               {"methods: [tools/call], names: ['db_*']", tool, true, true},
		"another name":                     {"methods: [tools/call], names: ['admin_*']", tool, false, false},
		"a name alone":                     {"names: ['*']", tool, true, true},
		"a method without a name":          {"names: ['*']", list, false, false},
		"the method of no name":            {"methods: [tools/list]", list, true, true},
		"an answer":                        {"methods: ['*']", answer, false, false},
		"an answer that is asked for":      {"responses: true", answer, true, true},
		"answers alone":                    {"responses: true", tool, false, false},
		"answers besides":                  {"responses: true, methods: [tools/list]", list, true, true},
		"in doubt":                         {"methods: [tools/list]", &decision.Call{}, false, true},
		"nobody says":                      {"methods: [tools/list]", nil, false, true},
		"no message":                       {"methods: ['*']", &decision.Call{Kind: decision.CallNone}, false, false},
		"not read yet: what could be is":   {"methods: [tools/list]", decision.Unread, true, false},
		"a kind that nobody knows":         {"methods: [tools/list]", &decision.Call{Kind: 99}, false, true},
		"not read, answers":                {"responses: true", decision.Unread, true, false},
		"a doubt is one for answers, too":  {"responses: true", &decision.Call{}, false, true},
		"a name that starts like a method": {"names: ['tools/*']", tool, false, false},
	} {
		r := request(t, "POST /mcp")
		r.Call = c.call
		allow := compile(t, corp+"rules: [{name: r, match: [{paths: [/mcp], mcp: {"+c.match+"}}], allow: {anonymous: true}}]")
		if got := decide(t, allow, r, nil); got.Allowed != c.allow {
			t.Errorf("%s: allow %v", what, got)
		}
		deny := compile(t, corp+"rules: [{name: all, allow: {anonymous: true}}, {name: r, match: [{paths: [/mcp], mcp: {"+c.match+"}}], deny: {}}]")
		if got := decide(t, deny, r, nil); got.Allowed == c.deny {
			t.Errorf("%s: deny %v", what, got)
		}
	}
}

func TestWhoAsksAboutCalls(t *testing.T) {
	t.Parallel()
	p := compile(t, corp+`rules:
- {name: tools, match: [{paths: [/mcp], methods: [POST], mcp: {methods: [tools/call]}}], allow: {anonymous: true}}
- {name: never, match: [{paths: [/other], headers: [{name: X-A, exists: true}], mcp: {methods: [tools/call]}}], deny: {}}
- {name: plain, match: [{paths: [/plain]}], allow: {anonymous: true}}`,
		corp+"mode: Audit\nrules: [{name: r, match: [{paths: [/audited], mcp: {names: [a]}}], deny: {}}]")
	for line, want := range map[string][2]bool{
		"POST /mcp": {true, true}, "GET /mcp": {}, "POST /plain": {}, "POST /other": {}, "POST /audited": {true, false}, "POST /mcp/": {},
	} {
		if asks, enforced := p.AsksCall(request(t, line)); asks != want[0] || enforced != want[1] {
			t.Errorf("%s: %v, enforced %v", line, asks, enforced)
		}
	}
	if asks, enforced := p.AsksCall(request(t, "POST /other", "X-A: 1")); !asks || !enforced {
		t.Error("a deny rule does not ask")
	}
	if asks, _ := compile(t, corp+"rules: [{name: plain, allow: {anonymous: true}}]").AsksCall(request(t, "POST /mcp")); asks {
		t.Error("a policy without mcp asks")
	}
}
