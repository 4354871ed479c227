package decision_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

// people has two issuers whose clocks are trusted differently.
const people = `
issuers:
- {name: corp, issuer: https://corp.example, audiences: [orders], keys: {discovery: {}}}
- {name: exact, issuer: https://corp.example, audiences: [pay], clockSkew: 0s, keys: {discovery: {}}}
`

func TestAuthentication(t *testing.T) {
	t.Parallel()
	const (
		corp, exact = decision.IssuerSet(1), decision.IssuerSet(2)
		both        = "authentication: {acr: [strong, stronger], maxAge: 5m}"
	)
	at := func(ago time.Duration) string {
		return fmt.Sprintf(`{"acr":"strong","scope":"pay","auth_time":%d}`, request(t, "GET /").Now.Add(-ago).Unix())
	}
	tests := map[string]struct {
		allow, claims string
		by            decision.IssuerSet
		want          decision.Reason
		scopes        []string
	}{
		"a class that is asked for":                 {"authentication: {acr: [strong]}", `{"acr":"strong"}`, corp, decision.Allowed, nil},
		"one of several":                            {"authentication: {acr: [a, strong]}", `{"acr":"strong"}`, corp, decision.Allowed, nil},
		"another class":                             {"authentication: {acr: [strong]}", `{"acr":"weak"}`, corp, decision.InsufficientAuthentication, nil},
		"no class":                                  {"authentication: {acr: [strong]}", `{}`, corp, decision.InsufficientAuthentication, nil},
		"a list of classes is none":                 {"authentication: {acr: [strong]}", `{"acr":["strong"]}`, corp, decision.InsufficientAuthentication, nil},
		"case counts":                               {"authentication: {acr: [strong]}", `{"acr":"Strong"}`, corp, decision.InsufficientAuthentication, nil},
		"just now":                                  {both, at(0), corp, decision.Allowed, nil},
		"not too long ago":                          {both, at(5 * time.Minute), exact, decision.Allowed, nil},
		"a second too long ago":                     {both, at(5*time.Minute + time.Second), exact, decision.InsufficientAuthentication, nil},
		"the skew is the token's":                   {both, at(5*time.Minute + 30*time.Second), corp, decision.Allowed, nil},
		"the skew is over":                          {both, at(5*time.Minute + 31*time.Second), corp, decision.InsufficientAuthentication, nil},
		"the greatest skew of those who vouch":      {both, at(5*time.Minute + 30*time.Second), corp | exact, decision.Allowed, nil},
		"only issuers that the rule takes":          {"issuers: [exact], " + both, at(5*time.Minute + 30*time.Second), corp | exact, decision.InsufficientAuthentication, nil},
		"the future":                                {both, at(-time.Second), exact, decision.InsufficientAuthentication, nil},
		"the future within the skew":                {both, at(-30 * time.Second), corp, decision.Allowed, nil},
		"no time":                                   {both, `{"acr":"strong"}`, corp, decision.InsufficientAuthentication, nil},
		"a time as text":                            {both, `{"acr":"strong","auth_time":"1795584600"}`, corp, decision.InsufficientAuthentication, nil},
		"a time before 1970":                        {both, `{"acr":"strong","auth_time":-1}`, corp, decision.InsufficientAuthentication, nil},
		"a time that is no number":                  {both, `{"acr":"strong","auth_time":1e999}`, corp, decision.InsufficientAuthentication, nil},
		"a time that is null":                       {both, `{"acr":"strong","auth_time":null}`, corp, decision.InsufficientAuthentication, nil},
		"recent, but another class":                 {both, `{"acr":"weak","auth_time":1795584600}`, corp, decision.InsufficientAuthentication, nil},
		"scopes alone are lacking":                  {"scopes: [pay, more], " + both, at(0), corp, decision.InsufficientScope, []string{"pay", "more"}},
		"scopes and the class":                      {"scopes: [pay], authentication: {acr: [strong]}", `{"acr":"weak"}`, corp, decision.InsufficientAuthentication, []string{"pay"}},
		"scopes and the time":                       {"scopes: [pay, more], " + both, at(time.Hour), corp, decision.InsufficientAuthentication, []string{"pay", "more"}},
		"the class and the time, scopes hold":       {"scopes: [pay], " + both, `{"acr":"weak","scope":"pay"}`, corp, decision.InsufficientAuthentication, []string{"pay"}},
		"something that another log-in cannot mend": {"subjects: [ann], " + both, `{"sub":"bob"}`, corp, decision.NoRule, nil},
		"a condition on the request too":            {"when: 'request.method == claims.method', " + both, `{"method":"GET"}`, corp, decision.InsufficientAuthentication, nil},
		"a condition on the request fails":          {"when: 'request.method == claims.method', " + both, `{"method":"PUT"}`, corp, decision.NoRule, nil},
		"a condition on the request alone fails":    {"when: 'request.method == claims.method', " + both, at(0), corp, decision.NoRule, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := compile(t, people+"rules: [{name: r, allow: {"+tt.allow+"}}]")
			d := decide(t, p, request(t, "GET /"), p.Bind(claims(t, tt.claims), tt.by))
			if d.Reason != tt.want || (d.Authentication != nil) != (tt.want == decision.InsufficientAuthentication) {
				t.Errorf("%s with %+v, want %s", d.Reason, d.Authentication, tt.want)
			}
			if diff := cmp.Diff(tt.scopes, d.Scopes); diff != "" {
				t.Errorf("Scopes (-want +got):\n%s", diff)
			}
		})
	}
}

// A token is bound once and kept: it is the request's time that counts.
func TestALogInAges(t *testing.T) {
	t.Parallel()
	p := compile(t, people+"rules: [{name: r, allow: {authentication: {maxAge: 5m}, scopes: [pay]}}]")
	r := request(t, "GET /")
	start := r.Now
	payload := fmt.Sprintf(`{"scope":"pay","auth_time":%d.5}`, start.Unix())
	kept, _ := p.NewPool().Bind(claims(t, payload), 2)
	for after, want := range map[time.Duration]decision.Reason{
		time.Second: decision.Allowed, 5 * time.Minute: decision.Allowed, 5*time.Minute + 500*time.Millisecond: decision.Allowed,
		5*time.Minute + 501*time.Millisecond: decision.InsufficientAuthentication, 24 * time.Hour: decision.InsufficientAuthentication,
		0: decision.InsufficientAuthentication, // half a second before
	} {
		r.Now = start.Add(after)
		if d := p.Decide(r, kept); d.Reason != want {
			t.Errorf("after %s: %s, want %s", after, d.Reason, want)
		}
	}
}

// Of rules that fit but for something, the one with scopes alone is told, since scopes may be had without the user. An Audit
// policy says what it would have said.
func TestAuthenticationAmongRules(t *testing.T) {
	t.Parallel()
	const strong = "{name: strong, match: [{paths: [/a]}], allow: {authentication: {acr: [b, a], maxAge: 90s}}}"
	const scope = "{name: scope, match: [{paths: [/a]}], allow: {scopes: [x]}}"
	c := claims(t, `{"scope":"y"}`)
	p := compile(t, people+"rules: ["+strong+","+scope+"]")
	if d := decide(t, p, request(t, "GET /a"), p.Bind(c, 1)); d.Reason != decision.InsufficientScope || d.Rule != "scope" {
		t.Errorf("%+v", d)
	}
	p = compile(t, people+"rules: ["+strong+"]", "mode: Audit"+people+"rules: ["+strong+"]")
	want := decision.Decision{
		Reason: decision.InsufficientAuthentication, Policy: "shop/a", Rule: "strong",
		Authentication: &policy.Authentication{ACR: []string{"b", "a"}, MaxAge: &policy.Duration{Duration: 90 * time.Second}},
		Audit:          []decision.AuditResult{{Policy: "shop/b", Rule: "strong", Reason: decision.InsufficientAuthentication}},
	}
	if diff := cmp.Diff(want, decide(t, p, request(t, "GET /a"), p.Bind(c, 5))); diff != "" {
		t.Errorf("Decide (-want +got):\n%s", diff)
	}
	if d := decide(t, p, request(t, "GET /a"), nil); d.Reason != decision.NoToken || d.Authentication != nil {
		t.Errorf("without a token: %+v", d)
	}
	// One reading of the path is not enough.
	r := request(t, "GET /a")
	r.Readings = []decision.Reading{{Path: "/b"}}
	if d := decide(t, p, r, p.Bind(c, 5)); d.Reason != decision.NoRule {
		t.Errorf("a path that can be read in two ways: %s", d.Reason)
	}
}

func TestAuthenticationMistakes(t *testing.T) {
	t.Parallel()
	const at = "spec.rules[0].allow.authentication"
	allow := func(authentication string) string {
		return people + "rules: [{name: r, allow: {authentication: " + authentication + "}}]"
	}
	for name, tt := range map[string]struct{ spec, path, text string }{
		"nothing asked for":          {allow("{}"), at, "acr, maxAge or both"},
		"an empty list":              {allow("{acr: []}"), at + ".acr", "left out"},
		"a class with a space":       {allow("{acr: ['a b']}"), at + ".acr[0]", "without spaces"},
		"a class with a quote":       {allow(`{acr: ['a"b']}`), at + ".acr[0]", "RFC 9470"},
		"a class with a backslash":   {allow(`{acr: ['a\b']}`), at + ".acr[0]", "RFC 9470"},
		"an empty class":             {allow("{acr: ['']}"), at + ".acr[0]", "is empty"},
		"the same twice":             {allow("{acr: [a, a]}"), at + ".acr[1]", "same"},
		"a part of a second":         {allow("{maxAge: 1500ms}"), at + ".maxAge", "whole seconds"},
		"no time":                    {allow("{maxAge: 0s}"), at + ".maxAge", "1s to 8760h"},
		"more than a year":           {allow("{maxAge: 8761h}"), at + ".maxAge", "1s to 8760h"},
		"of those who need no token": {people + "rules: [{name: r, allow: {anonymous: true, authentication: {acr: [a]}}}]", "spec.rules[0].allow.anonymous", "authentication"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refused(t, tt.spec, tt.path, tt.text)
		})
	}
}
