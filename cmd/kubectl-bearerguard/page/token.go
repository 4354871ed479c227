package page

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/keyset/strictjson"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/source/manifest"
)

// Token is a token taken apart.
type Token struct {
	// Header is its header as JSON (RFC 7515 section 4), indented.
	Header string `json:"header,omitempty"`
	// Note says why there are no claims.
	Note   string  `json:"note,omitempty"`
	Claims []Claim `json:"claims,omitempty"`
}

// Claim is one claim and what it means for the policies.
type Claim struct {
	Name string `json:"name"`
	// Value is JSON.
	Value string `json:"value"`
	// Verdict is good, bad or, for what no issuer and no rule looks at, empty.
	Verdict string `json:"verdict,omitempty"`
	Note    string `json:"note,omitempty"`
}

const (
	good = "good"
	bad  = "bad"
)

// explainToken takes the token or the claims of a question apart; nil: it has neither.
func explainToken(q Question, set *manifest.Set, rules []decision.RuleReport, now time.Time) *Token {
	if q.Claims != "" {
		return claimsOf("", []byte(q.Claims), set, rules, now)
	}
	raw := q.token()
	if raw == "" {
		return nil
	}
	parts := strings.Split(raw, ".")
	header, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil || len(parts) < 3 || !json.Valid(header) {
		return &Token{Note: "It is not a JWT: only its issuer can tell what it stands for."}
	}
	if len(parts) != 3 {
		return &Token{Header: indented(header), Note: "It is encrypted: what is inside is for who has the key."}
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return &Token{Header: indented(header), Note: "Its payload is not base64url (RFC 7515 section 7.1)."}
	}
	return claimsOf(indented(header), payload, set, rules, now)
}

func indented(text []byte) string {
	var out bytes.Buffer
	if json.Indent(&out, text, "", "  ") != nil {
		return string(text)
	}
	return out.String()
}

// claimsOf explains each claim of a payload, in its order.
func claimsOf(header string, payload []byte, set *manifest.Set, rules []decision.RuleReport, now time.Time) *Token {
	t := &Token{Header: header}
	claims, err := members(payload)
	if err != nil {
		t.Note = "Its claims are not a JSON object: " + err.Error()
		return t
	}
	e := explainer{set: set, rules: rules, now: now}
	_ = json.Unmarshal(payload, &e.all) // it has been read once
	for _, c := range claims {
		t.Claims = append(t.Claims, e.claim(c.name, c.value))
	}
	return t
}

type member struct {
	name  string
	value json.RawMessage
}

// members returns the members of a JSON object in the order in which they are written.
func members(text []byte) ([]member, error) {
	if _, err := strictjson.Object(text); err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	var out []member
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		m := member{name: fmt.Sprint(name)}
		if err := d.Decode(&m.value); err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// explainer knows what the claims are held to.
type explainer struct {
	set   *manifest.Set
	rules []decision.RuleReport
	now   time.Time
	all   struct {
		Issuer string `json:"iss"`
	}
}

func (e *explainer) claim(name string, value json.RawMessage) Claim {
	c := Claim{Name: name, Value: string(value)}
	switch name {
	case "iss":
		c.Verdict, c.Note = e.issuer()
	case "aud":
		c.Verdict, c.Note = e.audience(value)
	case "exp", "nbf", "iat", "auth_time":
		c.Verdict, c.Note = e.date(name, value)
	}
	uses, holds := e.uses(name)
	if len(uses) > 0 {
		if c.Note != "" {
			c.Note += "; "
		}
		c.Note += strings.Join(uses, ", ")
		if c.Verdict == "" && holds {
			c.Verdict = good
		}
	}
	return c
}

// issuers returns the issuers of the policies whose iss the token has, as "corp of shop/orders".
func (e *explainer) issuers() (out []issuerOf) {
	for _, o := range e.set.Policies {
		for _, is := range o.Spec.Issuers {
			if is.AnyIssuer || is.Issuer == e.all.Issuer {
				out = append(out, issuerOf{o.ID(), is})
			}
		}
	}
	return out
}

type issuerOf struct {
	policy string
	policy.Issuer
}

func (e *explainer) issuer() (verdict, note string) {
	var names []string
	for _, is := range e.issuers() {
		names = append(names, is.Name+" of "+is.policy)
	}
	if len(names) == 0 {
		return bad, "no issuer of the policies has it"
	}
	return good, "issuer " + strings.Join(names, ", ")
}

// audience holds aud, a string or a list of them (RFC 7519 section 4.1.3), to the audiences of the issuers.
func (e *explainer) audience(value json.RawMessage) (verdict, note string) {
	var list []string
	var one string
	if json.Unmarshal(value, &one) == nil {
		list = []string{one}
	} else if json.Unmarshal(value, &list) != nil {
		return bad, "is neither a string nor a list of strings"
	}
	var wants []string
	for _, is := range e.issuers() {
		if is.AnyAudience || slices.ContainsFunc(is.Audiences, func(a string) bool { return slices.Contains(list, a) }) {
			return good, "taken by issuer " + is.Name + " of " + is.policy
		}
		wants = append(wants, is.Audiences...)
	}
	if len(wants) == 0 {
		return "", ""
	}
	return bad, "the issuer takes " + strings.Join(wants, ", ")
}

// date tells a NumericDate (RFC 7519 section 2) as one that people read, and whether it is good now. The skew of clocks is
// the verdict's business, not this note's.
func (e *explainer) date(name string, value json.RawMessage) (verdict, note string) {
	var seconds float64
	if json.Unmarshal(value, &seconds) != nil || seconds < 0 || seconds > 1e11 {
		return bad, "is not a time in seconds"
	}
	at := time.Unix(int64(seconds), 0).UTC()
	note = at.Format(time.RFC3339) + ", " + distance(at.Sub(e.now))
	switch past := !at.After(e.now); {
	case name == "auth_time":
		return "", note
	case name == "exp" == past:
		return bad, note
	}
	return good, note
}

// distance tells how far a time is away, in its two largest units.
func distance(d time.Duration) string {
	text, ago := "in %s", d <= 0
	if ago {
		text, d = "%s ago", -d
	}
	units := []struct {
		name string
		unit time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"min", time.Minute}, {"s", time.Second}}
	var parts []string
	for _, u := range units {
		if n := d / u.unit; n > 0 && len(parts) < 2 {
			parts = append(parts, fmt.Sprintf("%d %s", n, u.name))
			d -= n * u.unit
		} else if len(parts) > 0 {
			break
		}
	}
	if len(parts) == 0 {
		return "now"
	}
	return fmt.Sprintf(text, strings.Join(parts, " "))
}

// uses returns what looks at a claim, and whether all conditions on it of rules that match hold.
func (e *explainer) uses(name string) (out []string, holds bool) {
	holds = true
	for _, o := range e.set.Policies {
		for i := range o.Spec.Rules {
			rule := &o.Spec.Rules[i]
			for field := range fieldsOf(rule, name) {
				out = append(out, "rule "+rule.Name)
				holds = holds && e.holds(o.ID(), rule.Name, fmt.Sprintf("spec.rules[%d].%s", i, field))
			}
		}
		if f := o.Spec.Forward; f != nil {
			for _, h := range f.Headers {
				if root(h.Claim) == name {
					out = append(out, "header "+h.Name)
				}
			}
		}
	}
	return slices.Compact(out), holds
}

// holds reports whether a condition holds, or has not been asked.
func (e *explainer) holds(policy, rule, field string) bool {
	for i := range e.rules {
		if r := &e.rules[i]; r.Policy == policy && r.Rule == rule {
			for _, c := range r.Conditions {
				if c.Field == field && r.Matches && !c.Holds {
					return false
				}
			}
		}
	}
	return true
}

// fieldsOf yields the conditions of a rule that look at a claim, as field paths within the rule.
func fieldsOf(rule *policy.Rule, name string) map[string]bool {
	at, conditions := "deny", rule.Deny
	if rule.Allow != nil {
		at, conditions = "allow", &rule.Allow.Conditions
	}
	out := map[string]bool{}
	if conditions == nil {
		return out
	}
	add := func(field string, looks bool) {
		if looks {
			out[at+"."+field] = true
		}
	}
	add("subjects", name == "sub" && len(conditions.Subjects) > 0)
	add("serviceAccounts", name == "sub" && len(conditions.ServiceAccounts) > 0)
	add("spiffeIDs", name == "sub" && len(conditions.SPIFFEIDs) > 0)
	add("scopes", (name == "scope" || name == "scp") && len(conditions.Scopes) > 0)
	add("actors", name == "act" && conditions.Actors != nil)
	add("when", mentions(conditions.When, name))
	for i := range conditions.Claims {
		add(fmt.Sprintf("claims[%d]", i), root(conditions.Claims[i].Claim) == name)
	}
	if rule.Allow != nil && rule.Allow.Authentication != nil {
		add("authentication.acr", name == "acr" && len(rule.Allow.Authentication.ACR) > 0)
		add("authentication.maxAge", name == "auth_time" && rule.Allow.Authentication.MaxAge != nil)
	}
	return out
}

// root returns the first part of a claim path: realm_access of "realm_access.roles".
func root(path string) string {
	p, err := decision.ParseClaimPath(path)
	if err != nil {
		return ""
	}
	return p.Root()
}

// mentions reports whether a CEL expression reads a claim by its name.
func mentions(expression, name string) bool {
	for _, form := range []string{"claims." + name, `claims["` + name + `"]`, `claims['` + name + `']`} {
		for rest := expression; ; {
			_, after, ok := strings.Cut(rest, form)
			if !ok {
				break
			}
			if strings.HasSuffix(form, "]") || after == "" || !isWord(after[0]) {
				return true
			}
			rest = after
		}
	}
	return false
}

func isWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
