package decision_test

import (
	"testing"

	"github.com/bearerguard/bearerguard/api/decision"
)

func TestActors(t *testing.T) {
	t.Parallel()
	const (
		allowed, none, denied = decision.Allowed, decision.NoRule, decision.DeniedByRule
		direct                = `{"iss":"https://corp.example","sub":"ann"}`
		gw                    = `{"iss":"https://corp.example","sub":"ann","act":{"sub":"gw"}}`
		gwHere                = `{"iss":"https://corp.example","sub":"ann","act":{"sub":"gw","iss":"https://corp.example"}}`
		gwElsewhere           = `{"iss":"https://corp.example","sub":"ann","act":{"sub":"gw","iss":"https://evil.example"}}`
		chain                 = `{"iss":"https://corp.example","sub":"ann","act":{"sub":"x","act":{"sub":"gw"}}}`
		inner                 = `{"iss":"https://corp.example","sub":"ann","act":{"act":{"sub":"gw"}}}`
	)
	odd := []string{`7`, `null`, `"gw"`, `["gw"]`, `[{"sub":"gw"}]`, `{}`, `{"sub":null}`, `{"sub":7}`, `{"sub":""}`, `{"sub":["gw"]}`,
		`{"client_id":"gw"}`, `{"sub":"gw","iss":7}`, `{"sub":"gw","iss":null}`, `{"sub":"gw","iss":""}`}
	tests := []struct {
		name, actors, claims string
		allow, deny          decision.Reason
	}{
		{"the subject itself", "{none: true}", direct, allowed, denied},
		{"somebody acts", "{none: true}", gw, none, allowed},
		{"somebody acts, anybody may", "{any: true}", gw, allowed, denied},
		{"nobody acts, somebody has to", "{any: true}", direct, none, allowed},
		{"one that may act", "{anyOf: [a, gw]}", gw, allowed, denied},
		{"one that may not", "{anyOf: [a, gwx]}", gw, none, allowed},
		{"nobody acts, one has to", "{anyOf: [gw]}", direct, none, allowed},
		{"either: nobody", "{anyOf: [gw], none: true}", direct, allowed, denied},
		{"either: one that may", "{anyOf: [gw], none: true}", gw, allowed, denied},
		{"either: another one", "{anyOf: [a], none: true}", gw, none, allowed},
		{"the subject does not act", "{anyOf: [ann]}", gw, none, allowed},
		{"the token's issuer by name", "{anyOf: [gw]}", gwHere, allowed, denied},
		{"the same name elsewhere is somebody else, and denied in doubt", "{anyOf: [gw]}", gwElsewhere, none, denied},
		{"an issuer that is asked for", "{anyOf: [gw], issuer: 'https://evil.example'}", gwElsewhere, allowed, denied},
		{"another issuer is asked for", "{anyOf: [gw], issuer: 'https://other.example'}", gwElsewhere, none, allowed},
		{"without an issuer it is the token's", "{anyOf: [gw], issuer: 'https://corp.example'}", gw, allowed, denied},
		{"who acted before is not looked at", "{anyOf: [gw]}", chain, none, allowed},
		{"who acts now counts", "{anyOf: [x]}", chain, allowed, denied},
		{"one inside an act without a sub", "{anyOf: [gw]}", inner, none, denied},
	}
	for _, actors := range []string{"{none: true}", "{any: true}", "{anyOf: [gw]}", "{anyOf: [gw], none: true}", "{anyOf: [nobody], issuer: x}"} {
		for _, act := range odd {
			tests = append(tests, struct {
				name, actors, claims string
				allow, deny          decision.Reason
			}{actors + " of " + act, actors, `{"iss":"https://corp.example","sub":"ann","act":` + act + `}`, none, denied})
		}
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for effect, want := range map[string]decision.Reason{"allow": tt.allow, "deny": tt.deny} {
				p := compile(t, corp+"rules: [{name: r, "+effect+": {actors: "+tt.actors+"}}"+
					map[string]string{"allow": "]", "deny": ", {name: all, allow: {authenticated: true}}]"}[effect])
				if d := decide(t, p, request(t, "GET /"), p.Bind(claims(t, tt.claims), 1)); d.Reason != want {
					t.Errorf("%s: %s, want %s", effect, d.Reason, want)
				}
				if d := decide(t, p, request(t, "GET /"), nil); d.Reason != decision.NoToken {
					t.Errorf("%s without a token: %s", effect, d.Reason)
				}
			}
		})
	}
}

func TestActorsInExpressions(t *testing.T) {
	t.Parallel()
	const direct, gw = `{"sub":"ann"}`, `{"sub":"ann","act":{"sub":"gw","client":"7","act":{"sub":"before"}}}`
	for name, tt := range map[string]struct {
		when, claims string
		allow, deny  decision.Reason
	}{
		"who acts":                     {`actor.sub == "gw" && actor.client == "7"`, gw, decision.Allowed, decision.DeniedByRule},
		"nobody acts":                  {`size(actor) == 0`, direct, decision.Allowed, decision.DeniedByRule},
		"nobody acts, by a name":       {`has(actor.sub)`, direct, decision.NoRule, decision.Allowed},
		"who acted before is not told": {`has(actor.act)`, gw, decision.NoRule, decision.Allowed},
		"an odd act is an error":       {`size(actor) == 0`, `{"act":7}`, decision.NoRule, decision.DeniedByRule},
		"an odd act is no name":        {`has(actor.sub)`, `{"act":{"sub":7}}`, decision.NoRule, decision.DeniedByRule},
		"beside the request":           {`actor.sub == "gw" && request.method == "GET"`, gw, decision.Allowed, decision.DeniedByRule},
		"an odd act beside it":         {`actor.sub != request.method`, `{"act":[]}`, decision.NoRule, decision.DeniedByRule},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for effect, want := range map[string]decision.Reason{"allow": tt.allow, "deny": tt.deny} {
				p := compile(t, corp+"rules: [{name: r, "+effect+": {when: '"+tt.when+"'}}"+
					map[string]string{"allow": "]", "deny": ", {name: all, allow: {authenticated: true}}]"}[effect])
				if d := decide(t, p, request(t, "GET /"), p.Bind(claims(t, tt.claims), 1)); d.Reason != want {
					t.Errorf("%s: %s, want %s", effect, d.Reason, want)
				}
			}
		})
	}
}

func TestActorMistakes(t *testing.T) {
	t.Parallel()
	const at = "spec.rules[0].allow.actors"
	allow := func(actors string) string { return corp + "rules: [{name: r, allow: {actors: " + actors + "}}]" }
	for name, tt := range map[string]struct{ spec, path, text string }{
		"nothing":                  {allow("{}"), at, "anyOf, none: true or any: true"},
		"an empty list":            {allow("{anyOf: []}"), at + ".anyOf", "left out"},
		"an empty name":            {allow("{anyOf: ['']}"), at + ".anyOf[0]", "is empty"},
		"the same twice":           {allow("{anyOf: [a, a]}"), at + ".anyOf[1]", "same"},
		"everybody and nobody":     {allow("{any: true, none: true}"), at + ".any", "any: true alone"},
		"everybody and some":       {allow("{any: true, anyOf: [a]}"), at + ".any", "any: true alone"},
		"an issuer of nobody":      {allow("{none: true, issuer: x}"), at + ".issuer", "anyOf"},
		"of those without a token": {corp + "rules: [{name: r, allow: {anonymous: true, actors: {none: true}}}]", "spec.rules[0].allow.anonymous", "actors"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refused(t, tt.spec, tt.path, tt.text)
		})
	}
}
