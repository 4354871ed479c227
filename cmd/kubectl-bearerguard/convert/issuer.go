package convert

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

// issuer is an entry of jwtRules.
type issuer struct {
	node    *node
	spec    policy.Issuer
	spaces  []string // claims that are split at spaces
	headers []policy.IdentityHeader
	payload string
	keep    bool
}

// readIssuer reads an entry of jwtRules. It reports false, with a note, if the entry cannot be said.
func readIssuer(n *node, used names) (is issuer, ok bool) {
	is.node = n
	s := &is.spec
	s.Issuer = n.field("issuer").text()
	for _, a := range n.field("audiences").items() {
		s.Audiences = append(s.Audiences, a.text())
	}
	s.AnyAudience = len(s.Audiences) == 0
	is.keys(n)
	is.locations(n)
	is.payload = n.field("outputPayloadToHeader").text()
	for _, h := range n.field("outputClaimToHeaders").items() {
		is.headers = append(is.headers, policy.IdentityHeader{Name: h.field("header").text(), Claim: claimPath(strings.Split(h.field("claim").text(), "."))})
		h.rest()
	}
	is.keep = n.field("forwardOriginalToken").text() == "true"
	n.field("timeout").note(Differs, "is fixed: 10 s, and the last good keys hold meanwhile")
	for _, c := range n.field("spaceDelimitedClaims").items() {
		is.spaces = append(is.spaces, c.text())
	}
	odd := n.unknown() || len(s.Audiences) == 0 && n.field("audiences") != nil && len(n.field("audiences").yaml.Content)+len(n.field("audiences").text()) > 0
	if odd || slices.Contains(s.Audiences, "") {
		n.rest()
		n.note(LeftOut, "its tokens are not trusted: it has fields that are not known, or audiences that are no list of texts")
		return is, false
	}
	s.Name = "issuer"
	if err := compiles(policy.Spec{Issuers: []policy.Issuer{*s}}); err != nil {
		n.note(LeftOut, "its tokens are not trusted: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
		return is, false
	}
	_, host, found := strings.Cut(s.Issuer, "://")
	if !found {
		host = s.Issuer
	}
	s.Name = used.unique(host)
	return is, true
}

func (is *issuer) keys(n *node) {
	url, inline := n.field("jwksUri"), n.field("jwks")
	if url == nil {
		url = n.field("jwks_uri")
	}
	switch {
	case url != nil:
		is.spec.Keys.JWKSURL = url.text()
		inline.note(LeftOut, "jwksUri says where the keys are")
		if strings.HasPrefix(url.text(), "http:") {
			url.note(Differs, "is fetched only where the operator allows http")
		}
	case inline != nil:
		is.spec.Keys.JWKS = inline.text()
	default:
		is.spec.Keys.Discovery = &policy.Discovery{}
	}
}

func (is *issuer) locations(n *node) {
	for _, h := range n.field("fromHeaders").items() {
		is.spec.From = append(is.spec.From, policy.TokenLocation{Header: h.field("name").text(), Prefix: h.field("prefix").text()})
		h.rest()
	}
	for _, p := range n.field("fromParams").items() {
		is.spec.From = append(is.spec.From, policy.TokenLocation{Query: p.text()})
	}
	for _, c := range n.field("fromCookies").items() {
		is.spec.From = append(is.spec.From, policy.TokenLocation{Cookie: c.text()})
	}
	if len(is.spec.From) == 0 {
		n.note(Differs, "tokens are looked for in the header Authorization alone, not in the parameter access_token; add from if clients use it")
	}
}

// forwards finds what the app sees of tokens. Which issuer's it is cannot be said, so all have to agree: a header that is left out would
// be one that any client can write.
func (g *group) forwards() error {
	if len(g.issuers) == 0 {
		return nil
	}
	first := g.issuers[0]
	f := policy.Forward{Token: policy.Keep, Headers: first.headers, PayloadHeader: first.payload}
	for _, is := range g.issuers {
		if is.payload != first.payload || !reflect.DeepEqual(is.headers, first.headers) {
			return is.node.refuse("outputPayloadToHeader and outputClaimToHeaders differ from those of %s at line %d; an AuthPolicy has the same for all issuers, "+
				"and the app would take a header for proved that is not: convert the issuers apart", strconv.Quote(first.spec.Issuer), first.node.line())
		}
		if !is.keep {
			f.Token = policy.Strip
		}
	}
	for _, is := range g.issuers {
		if is.keep && f.Token == policy.Strip {
			is.node.note(Stricter, "forwardOriginalToken: true, but another issuer says false, and so no token is forwarded")
		}
	}
	if err := compiles(policy.Spec{Issuers: g.spec().Issuers, Forward: &f}); err != nil {
		return first.node.refuse("what the app is to get cannot be said: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	if f.Token == policy.Strip || len(f.Headers) > 0 || f.PayloadHeader != "" {
		g.forward = &f
	}
	return nil
}

// named returns the names of the issuers whose name at the source fits.
func (g *group) named(v value) (out []string) {
	for _, is := range g.issuers {
		if v.fits(is.spec.Issuer) {
			out = append(out, is.spec.Name)
		}
	}
	return out
}

// principal is an entry of requestPrincipals.
type principal struct{ issuer, subject value }

// parsePrincipal reads ISSUER/SUBJECT as Istio does: the last slash divides.
func parsePrincipal(s string) (principal, error) {
	i := strings.LastIndexByte(s, '/')
	iss, sub := s, ""
	if i >= 0 {
		iss, sub = s[:i], s[i+1:]
	}
	every := value{kind: anything}
	switch v := parseValue(s); {
	case v.kind == anything:
		return principal{every, every}, nil
	case i < 0 && v.kind == suffix:
		return principal{every, v}, nil
	case i < 0 && v.kind == prefix:
		return principal{v, every}, nil
	case i < 0 || sub == "":
		return principal{}, errNever
	case v.kind == suffix: // only a star at the beginning counts
		return principal{parseValue(iss), value{exact, sub}}, nil
	case v.kind == prefix && sub == "*":
		return principal{value{exact, iss}, every}, nil
	case v.kind == prefix:
		return principal{value{exact, iss}, value{prefix, strings.TrimSuffix(sub, "*")}}, nil
	}
	return principal{value{exact, iss}, value{exact, sub}}, nil
}

// cel says that a token is the principal's. It is false without a token.
func (p principal) cel() string {
	subject := `"sub" in claims && type(claims.sub) == string && ` + p.subject.cel("claims.sub")
	if p.issuer.kind == anything {
		return subject
	}
	return fmt.Sprintf("%s && %s", p.issuer.cel("issuer"), subject)
}

// sameIssuers groups principals by the issuers they mean.
func sameIssuers(all []principal) (out [][]principal) {
	for _, p := range all {
		i := slices.IndexFunc(out, func(g []principal) bool { return g[0].issuer == p.issuer })
		if i < 0 {
			out = append(out, nil)
			i = len(out) - 1
		}
		out[i] = append(out[i], p)
	}
	return out
}
