package convert

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/bearerguard/bearerguard/api/policy"
)

const (
	whyClientIP = "is the address of the gateway's client, and a sidecar sees that of the gateway; filter where addresses are true, at the gateway"
	whyGeo      = "is where the gateway's client is by its address, which a sidecar does not know; filter at the gateway"
	whyCert     = "is the certificate that the gateway's client showed, which a sidecar does not see"
	whyCEL      = "is an expression over Envoy's attributes; write it as when, over request and claims"
	whyNoList   = "is empty or no list"
	whyRegex    = "is a regular expression over the path with its query; write it as paths, or as when with request.path"
)

// access converts spec.authorization. There the first rule that fits decides; here rules are a set in which deny goes first.
func (s *security) access(n *node) (out []policy.Rule, err error) {
	if n == nil {
		return s.all(), nil
	}
	defaultAction := n.field("defaultAction").text()
	rules := n.field("rules")
	if n.unknown() || rules != nil && !rules.is(yaml.SequenceNode) {
		n.rest()
		return nil, n.refuse("has fields that are not known, or rules that are no list")
	}
	items := rules.items()
	firstAllow, lastAllow, err := allows(items)
	if err != nil {
		return nil, err
	}
	if defaultAction == "Allow" {
		lastAllow = len(items)
	}
	for i, item := range items {
		deny := item.field("action").text() == "Deny"
		switch {
		case deny && i > lastAllow:
			item.note(Differs, "is not needed: no rule after it lets anything in, and what no rule lets in is refused")
			continue
		case deny && i > firstAllow:
			item.note(Stricter, "comes after a rule that allows, and goes before it here: what both fit is refused")
		case !deny && s.blocked:
			item.note(LeftOut, "what it lets in is refused, since something else had to let it in too")
			continue
		}
		out = append(out, s.rule(item, deny, i)...)
	}
	if defaultAction == "Allow" {
		out = append(out, s.all()...)
	}
	return out, nil
}

// allows finds the first and the last rule that allow.
func allows(items []*node) (first, last int, err error) {
	first, last = len(items), -1
	for i, item := range items {
		switch item.field("action").text() {
		case "Allow":
			first, last = min(i, first), i
		case "Deny":
		default:
			return 0, 0, item.refuse("has no action; want Allow or Deny")
		}
	}
	return first, last, nil
}

// all is the rule that lets in whatever nothing denies.
func (s *security) all() []policy.Rule {
	rules := s.open(policy.Rule{Allow: &policy.Allow{}})
	for i := range rules {
		rules[i].Name = s.names.unique("all-else")
	}
	return rules
}

// open has an allow rule ask for as much of a token as the SecurityPolicy does.
func (s *security) open(rules ...policy.Rule) []policy.Rule {
	if s.blocked {
		return nil
	}
	for i := range rules {
		a := rules[i].Allow
		switch {
		case a.AsksToken() || a.Authenticated:
		case s.token == tokenNeeded:
			a.Authenticated, a.Anonymous = true, false
		default:
			a.Anonymous, a.IgnoreToken = true, s.token == tokenUnread
		}
	}
	return rules
}

// rule converts one entry of rules.
func (s *security) rule(n *node, isDeny bool, i int) (out []policy.Rule) {
	base := n.field("name").text()
	if base == "" {
		base = fmt.Sprintf("rule-%d", i)
	}
	r := &reader{group: &s.group, deny: isDeny}
	parts := []part{{}}
	for _, alternatives := range [][]part{r.gatewayOperation(n.field("operation")), s.principal(r, n.field("principal"))} {
		parts = r.product(n, parts, alternatives)
	}
	if cel := n.field("cel"); cel != nil {
		parts = r.product(n, parts, r.unsaid(entry{node: cel}, whyCEL))
	}
	if n.unknown() {
		n.rest()
		parts = r.broken(n, "has fields that are not known")
	}
	rules := merge(parts)
	if isDeny {
		rules = deny(rules)
	} else {
		rules = s.open(rules...)
	}
	for _, rule := range rules {
		if rule, ok := s.taken(rule, n, isDeny); ok {
			rule.Name = s.names.unique(base)
			out = append(out, rule)
		}
	}
	return out
}

// gatewayOperation reads operation.
func (r *reader) gatewayOperation(n *node) []part {
	if n == nil {
		return []part{{}}
	}
	out := []part{{}}
	if methods := n.field("methods"); methods != nil {
		out = r.product(n, out, r.gatewayMethods(methods))
	}
	if path := n.field("path"); path != nil {
		out = r.product(n, out, r.gatewayPath(path))
	}
	if n.unknown() {
		n.rest()
		return r.broken(n, "has fields that are not known")
	}
	return out
}

// gatewayMethods are compared there without case. So a deny rule does it too.
func (r *reader) gatewayMethods(n *node) []part {
	texts, ok := r.texts(n)
	if !ok {
		return r.broken(n, "is no list of texts, or has an empty one")
	}
	var quoted []string
	for i, t := range texts {
		texts[i] = strings.ToUpper(t)
		quoted = append(quoted, strconv.Quote(texts[i]))
	}
	if r.deny {
		return []part{{when: []string{"request.method.upperAscii() in [" + strings.Join(quoted, ", ") + "]"}}}
	}
	return []part{{match: policy.Match{Methods: union(nil, texts)}}}
}

// gatewayPath reads operation.path: the path itself or all below it, or with invert all others. What follows a semicolon does not count there.
func (r *reader) gatewayPath(n *node) []part {
	kind, text := n.field("type").text(), n.field("value").text()
	not := n.field("invert").text() == "true"
	if text == "" {
		text = "/"
	}
	if n.unknown() {
		n.rest()
		return r.broken(n, "has fields that are not known")
	}
	whole := strings.TrimSuffix(text, "/")
	var fits []string
	switch {
	case kind == "RegularExpression":
		return r.unsaid(entry{node: n}, whyRegex)
	case !strings.HasPrefix(text, "/") || !plainPath(text):
		return r.unsaid(entry{node: n}, errPath.Error())
	case kind == "Exact":
		fits = []string{text}
		if r.deny != not { // what may fit more
			fits = append(fits, text+";*/**")
		}
	case kind == "PathPrefix" || kind == "":
		fits = []string{whole + "/**"}
		if r.deny != not && whole != "" {
			fits = append(fits, whole+";*/**")
		}
	default:
		return r.broken(n, "has a type that is not known")
	}
	var p part
	switch {
	case not:
		p.match.NotPaths = fits
	case slices.Contains(fits, "/**"):
	default:
		p.match.Paths = fits
	}
	return []part{p}
}

// principal reads principal.
func (s *security) principal(r *reader, n *node) []part {
	out := []part{{}}
	if n == nil {
		return out
	}
	for _, unsaid := range [][2]string{{"clientCIDRs", whyClientIP}, {"sourceCIDRs", whyClientIP}, {"clientIPGeoLocations", whyGeo}, {"clientCert", whyCert}} {
		if f := n.field(unsaid[0]); f != nil {
			out = r.product(n, out, r.unsaid(entry{node: f}, unsaid[1]))
		}
	}
	if headers := n.field("headers"); headers != nil {
		if len(headers.items()) == 0 {
			return r.broken(headers, whyNoList)
		}
		for _, h := range headers.items() {
			out = r.product(h, out, r.gatewayHeader(h))
		}
	}
	if jwt := n.field("jwt"); jwt != nil {
		out = r.product(n, out, s.jwtPrincipal(r, jwt))
	}
	if n.unknown() {
		n.rest()
		return r.broken(n, "has fields that are not known")
	}
	return out
}

// gatewayHeader reads an entry of principal.headers, whose values are whole ones.
func (r *reader) gatewayHeader(n *node) []part {
	name := n.field("name").text()
	texts, ok := r.texts(n.field("values"))
	lower := strings.ToLower(name)
	switch {
	case n.unknown() || !ok:
		n.rest()
		return r.broken(n, "has no values, or fields that are not known")
	case name == "" || strings.Trim(lower, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || lower == "host":
		return r.unsaid(entry{node: n}, "is about "+strconv.Quote(name)+", which is no header that rules can look at")
	}
	return []part{{match: policy.Match{Headers: []policy.HeaderMatch{{Name: name, Values: union(nil, texts)}}}}}
}

// jwtPrincipal reads principal.jwt.
func (s *security) jwtPrincipal(r *reader, n *node) []part {
	provider := n.field("provider")
	name, known := s.providers[provider.text()]
	claims, scopes := n.field("claims"), n.field("scopes")
	switch {
	case n.unknown() || !known || claims == nil && scopes == nil:
		n.rest()
		return r.broken(n, "has no provider of this policy, neither claims nor scopes, or fields that are not known")
	case name == "" && r.deny:
		provider.note(Differs, "its tokens are not trusted, so the rule is not needed")
		return nil
	case name == "":
		provider.note(LeftOut, "its tokens are not trusted, so the rule lets nobody in")
		return nil
	}
	p := part{asks: true, limited: true, issuers: []string{name}}
	if scopes != nil {
		texts, ok := r.texts(scopes)
		if !ok {
			return r.broken(scopes, "is no list of texts, or has an empty one")
		}
		p.scopes = union(nil, texts)
	}
	out := []part{p}
	if claims != nil && len(claims.items()) == 0 {
		return r.broken(claims, whyNoList)
	}
	for _, c := range claims.items() {
		out = r.product(c, out, r.gatewayClaim(c))
	}
	return out
}

// gatewayClaim reads an entry of principal.jwt.claims. A claim of the one type never fits as the other, and scope and scp are lists there.
func (r *reader) gatewayClaim(n *node) []part {
	path := strings.Split(n.field("name").text(), ".")
	kind := n.field("valueType").text()
	texts, ok := r.texts(n.field("values"))
	if n.unknown() || !ok || slices.Contains(path, "") || kind != "" && kind != "String" && kind != "StringArray" {
		n.rest()
		return r.broken(n, "has no name or values, or fields that are not known")
	}
	list := kind == "StringArray"
	split := len(path) == 1 && (path[0] == "scope" || path[0] == "scp")
	if split && !list {
		n.note(Differs, "is a list there, whatever the token has, so no request fits it as a text")
		return nil
	}
	return []part{r.claimOfType(path, texts, list, split)}
}

// claimOfType is a condition on a claim that is a text, or a list of texts; split has a text be a list.
func (r *reader) claimOfType(path, texts []string, list, split bool) part {
	var values []value
	numeric := false
	for _, t := range texts {
		v := value{exact, t}
		values, numeric = append(values, v), numeric || v.numeric()
	}
	at := celPath(path)
	p := part{asks: true}
	switch {
	case split:
		p.when = []string{claimIs(path, values, true)}
	case numeric && list:
		p.when = []string{fmt.Sprintf("%[3]s && type(%[1]s) == list && %[1]s.exists(s, type(s) == string && (%[2]s))", at, anyOf(values, "s"), claimThere(path))}
	case numeric:
		p.when = []string{fmt.Sprintf("%[3]s && type(%[1]s) == string && (%[2]s)", at, anyOf(values, at), claimThere(path))}
	default:
		p.claims = []policy.ClaimCondition{{Claim: claimPath(path), AnyOf: union(nil, texts)}}
		if !r.deny {
			p.when = []string{fmt.Sprintf("type(%s) == %s", at, map[bool]string{true: "list", false: "string"}[list])}
		}
	}
	return p
}

// claimThere says that a claim is there, in CEL.
func claimThere(path []string) string {
	last := len(path) - 1
	return fmt.Sprintf("%s in %s", strconv.Quote(path[last]), celPath(path[:last]))
}

// celPath is a claim in CEL.
func celPath(path []string) string {
	at := "claims"
	for _, name := range path {
		const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
		word := name != "" && strings.Trim(name, letters+"0123456789") == "" && strings.IndexByte(letters, name[0]) >= 0
		if word && !slices.Contains(celWords, name) {
			at += "." + name
		} else {
			at += "[" + strconv.Quote(name) + "]"
		}
	}
	return at
}

// celWords are no names of fields in CEL.
var celWords = strings.Fields("as break const continue else false for function if import in let loop namespace null package return true var void while")
