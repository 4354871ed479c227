package convert_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/convert"
)

// authenticator is an AuthenticationConfiguration; takes says whether the API server takes a token, as its documentation and its reader have it. Of an
// expression there is what it means in Go beside it. It shares nothing with the converter.
type authenticator struct {
	issuers []authenticatorIssuer
}

type authenticatorIssuer struct {
	url                 string
	audiences           []string
	name, groups, uid   claimOrText
	extra               *textOfClaims
	required            map[string]string // claimValidationRules of a claim and its value
	claimRules, onUsers []ruleOfClaims
}

// claimOrText is a claim with what goes before it, or an expression.
type claimOrText struct {
	claim, prefix string
	expression    *textOfClaims
}

// textOfClaims is an expression that makes a text, or a list, of claims; false: it cannot be evaluated.
type textOfClaims struct {
	cel  string
	text func(c map[string]any) (any, bool)
}

// ruleOfClaims is an expression that a token or a user has to fit; an error does not.
type ruleOfClaims struct {
	cel  string
	fits func(c map[string]any, u userOf) bool
}

type userOf struct {
	name, uid string
	groups    []string
}

var textsOfClaims = []textOfClaims{
	{"claims.c", func(c map[string]any) (any, bool) { v, ok := c["c"]; return v, ok }},
	{"claims.sub", func(c map[string]any) (any, bool) { v, ok := c["sub"]; return v, ok }},
	{`"x" + claims.sub`, func(c map[string]any) (any, bool) { v, ok := c["sub"].(string); return "x" + v, ok }},
	{`has(claims.c) ? claims.c : "none"`, func(c map[string]any) (any, bool) {
		if v, ok := c["c"]; ok {
			return v, true
		}
		return "none", true
	}},
}

var claimRules = []ruleOfClaims{
	{`claims.c == "a"`, func(c map[string]any, _ userOf) bool { return c["c"] == any("a") }},
	{`claims.c != "a"`, func(c map[string]any, _ userOf) bool { v, there := c["c"]; return there && v != any("a") }},
	{`has(claims.n) && claims.n.c == "a"`, func(c map[string]any, _ userOf) bool {
		m, is := c["n"].(map[string]any)
		return is && m["c"] == any("a")
	}},
	{`!has(claims.c)`, func(c map[string]any, _ userOf) bool { _, there := c["c"]; return !there }},
	{`type(claims.c) == string && claims.c.startsWith("a")`, func(c map[string]any, _ userOf) bool {
		s, is := c["c"].(string)
		return is && strings.HasPrefix(s, "a")
	}},
	{`"a" in claims.c`, func(c map[string]any, _ userOf) bool {
		switch v := c["c"].(type) {
		case []any:
			return slices.ContainsFunc(v, func(x any) bool { return x == any("a") })
		case map[string]any:
			_, in := v["a"]
			return in
		}
		return false
	}},
	{"claims.c / 2 == 1", func(map[string]any, userOf) bool { return true }}, // may hold: so nothing may come of it
}

var userRules = []ruleOfClaims{
	{`user.username != "ann"`, func(_ map[string]any, u userOf) bool { return u.name != "ann" }},
	{`!user.username.startsWith("x")`, func(_ map[string]any, u userOf) bool { return !strings.HasPrefix(u.name, "x") }},
	{`!user.groups.exists(g, g == "a")`, func(_ map[string]any, u userOf) bool { return !slices.Contains(u.groups, "a") }},
	{`user.groups.all(user, user != "xa")`, func(_ map[string]any, u userOf) bool { return !slices.Contains(u.groups, "xa") }},
	{`"a" in user.groups || user.username == "user.groups"`, func(_ map[string]any, u userOf) bool { return slices.Contains(u.groups, "a") }},
	{`user.uid != "a"`, func(_ map[string]any, u userOf) bool { return u.uid != "a" }},
}

func (m claimOrText) object() map[string]any {
	if m.expression != nil {
		return map[string]any{"expression": m.expression.cel}
	}
	return map[string]any{"claim": m.claim, "prefix": m.prefix}
}

func (c *authenticator) file() convert.File {
	var all []any
	for _, is := range c.issuers {
		mappings := map[string]any{"username": is.name.object()}
		if is.groups.claim != "" || is.groups.expression != nil {
			mappings["groups"] = is.groups.object()
		}
		if is.uid.claim != "" || is.uid.expression != nil {
			o := is.uid.object()
			delete(o, "prefix")
			mappings["uid"] = o
		}
		if is.extra != nil {
			mappings["extra"] = []any{map[string]any{"key": "example.com/x", "valueExpression": is.extra.cel}}
		}
		var rules, users []any
		for claim, value := range is.required {
			rules = append(rules, map[string]any{"claim": claim, "requiredValue": value})
		}
		for _, r := range is.claimRules {
			rules = append(rules, map[string]any{"expression": r.cel, "message": "no"})
		}
		for _, r := range is.onUsers {
			users = append(users, map[string]any{"expression": r.cel, "message": "no"})
		}
		one := map[string]any{"issuer": map[string]any{"url": is.url, "audiences": is.audiences}, "claimMappings": mappings}
		if len(rules) > 0 {
			one["claimValidationRules"] = rules
		}
		if len(users) > 0 {
			one["userValidationRules"] = users
		}
		all = append(all, one)
	}
	text, err := json.Marshal(map[string]any{"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration", "jwt": all})
	if err != nil {
		panic(err)
	}
	return convert.File{Name: "f.yaml", Data: text}
}

func (c *authenticator) takes(a asked) bool {
	return a.claims != nil && slices.ContainsFunc(c.issuers, func(is authenticatorIssuer) bool { return is.takes(a.claims) })
}

func (is *authenticatorIssuer) takes(c map[string]any) bool {
	if c["iss"] != is.url || !meantFor(is.audiences, c["aud"]) {
		return false
	}
	var u userOf
	var ok bool
	if u.name, ok = is.name.one(c); !ok || u.name == "" {
		return false
	}
	if v, there := c["email_verified"]; is.name.claim == "email" && there && v != true {
		return false
	}
	if u.groups, ok = is.groups.list(c); !ok {
		return false
	}
	if is.uid.claim != "" || is.uid.expression != nil {
		if u.uid, ok = is.uid.one(c); !ok {
			return false
		}
	}
	if is.extra != nil {
		if v, ok := is.extra.text(c); !ok || !textOrTexts(v) {
			return false
		}
	}
	for claim, value := range is.required {
		if c[claim] != any(value) {
			return false
		}
	}
	unfit := func(r ruleOfClaims) bool { return !r.fits(c, u) }
	return !slices.ContainsFunc(is.claimRules, unfit) && !slices.ContainsFunc(is.onUsers, unfit)
}

func textOrTexts(v any) bool {
	list, is := v.([]any)
	_, text := v.(string)
	return text || v == nil || is && !slices.ContainsFunc(list, func(x any) bool { _, text := x.(string); return !text })
}

func (m claimOrText) one(c map[string]any) (string, bool) {
	v, ok := c[m.claim], true
	if m.expression != nil {
		v, ok = m.expression.text(c)
	}
	s, is := v.(string)
	return m.prefix + s, ok && is && (m.expression != nil || s != "")
}

func (m claimOrText) list(c map[string]any) (out []string, ok bool) {
	v, ok := c[m.claim], true
	if m.expression != nil {
		v, ok = m.expression.text(c)
	}
	switch v := v.(type) {
	case nil:
		return nil, ok
	case string:
		return []string{m.prefix + v}, ok
	case []any:
		for _, x := range v {
			s, is := x.(string)
			if !is {
				return nil, false
			}
			out = append(out, m.prefix+s)
		}
		return out, ok
	}
	return nil, false
}

func (f family) mapped(claims ...string) claimOrText {
	if f.IntN(4) == 0 {
		return claimOrText{expression: &textsOfClaims[f.IntN(len(textsOfClaims))]}
	}
	return claimOrText{claim: pick(f, claims...), prefix: pick(f, "", "", "x")}
}

func (f family) authenticator() *authenticator {
	c := &authenticator{}
	for _, url := range []string{"https://one.example", "https://two.example"}[:1+f.IntN(2)] {
		is := authenticatorIssuer{url: url, audiences: []string{"a", "b"}, name: f.mapped("sub", "sub", "c", "email")}
		if f.IntN(2) == 0 {
			is.groups = f.mapped("c", "scope")
		}
		if f.IntN(4) == 0 {
			is.uid = f.mapped("sub", "c")
			is.uid.prefix = ""
		}
		if f.IntN(6) == 0 {
			is.extra = &textsOfClaims[f.IntN(len(textsOfClaims))]
		}
		if f.IntN(6) == 0 {
			is.required = map[string]string{pick(f, "c", "scope"): pick(f, "a", "7", "a*b")}
		}
		if f.IntN(3) == 0 {
			is.claimRules = []ruleOfClaims{pick(f, claimRules...)}
		}
		for range f.IntN(3) {
			is.onUsers = append(is.onUsers, pick(f, userRules...))
		}
		c.issuers = append(c.issuers, is)
	}
	return c
}

// TestAuthenticationNeverWider converts random AuthenticationConfigurations, as TestOAuth2NeverWider does.
func TestAuthenticationNeverWider(t *testing.T) {
	t.Parallel()
	neverWider(t, "the API server", 23, 50, func(f family) ([]convert.File, func(asked) bool) {
		c := f.authenticator()
		return []convert.File{c.file()}, c.takes
	}, func(f family, a *asked) {
		if a.claims == nil {
			return
		}
		a.claims["email"] = pick[any](f, "ann@shop.example", "ann", "", nil)
		if f.IntN(3) == 0 {
			a.claims["email_verified"] = pick[any](f, true, false, nil, "true")
		}
	})
}
