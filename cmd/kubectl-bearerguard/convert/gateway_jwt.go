package convert

import (
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

// jwt reads spec.jwt: whose tokens are trusted, and whether one is needed.
func (s *security) jwt() error {
	n := s.spec.field("jwt")
	if n == nil {
		return nil
	}
	s.token = tokenNeeded
	if n.field("optional").text() == "true" {
		s.token = tokenOptional
	}
	if open := n.field("failOpen"); open.text() == "true" {
		s.token = tokenOptional
		open.note(Stricter, "requests without a token are let in, as there; those with a broken token are refused")
	}
	used := names{}
	for _, provider := range n.field("providers").items() {
		is, ok := readProvider(provider, used)
		name := provider.field("name").text()
		if _, twice := s.providers[name]; twice || name == "" {
			return provider.refuse("has no name, or that of another")
		}
		s.providers[name] = is.spec.Name
		if ok {
			s.issuers = append(s.issuers, is)
		}
	}
	if n.unknown() || len(s.providers) == 0 {
		n.rest()
		return n.refuse("has no providers, or fields that are not known")
	}
	return nil
}

// readProvider reads an entry of jwt.providers. It reports false, with a note, if its tokens are not trusted.
func readProvider(n *node, used names) (is issuer, ok bool) {
	is.node, is.keep = n, true
	x := &is.spec
	x.Issuer = n.field("issuer").text()
	x.AnyIssuer = x.Issuer == ""
	audiences := n.field("audiences")
	for _, a := range audiences.items() {
		x.Audiences = append(x.Audiences, a.text())
	}
	x.AnyAudience = len(x.Audiences) == 0
	odd := len(x.Audiences) == 0 && audiences != nil && len(audiences.yaml.Content)+len(audiences.text()) > 0 || slices.Contains(x.Audiences, "")
	is.remote(n)
	for _, h := range n.field("claimToHeaders").items() {
		is.headers = append(is.headers, policy.IdentityHeader{Name: h.field("header").text(), Claim: claimPath(strings.Split(h.field("claim").text(), "."))})
		odd = odd || h.unknown()
	}
	n.field("recomputeRoute").note(Differs, "a sidecar routes nothing; the route is chosen before")
	is.extract(n)
	name := n.field("name").text()
	if n.unknown() || odd {
		n.rest()
		n.note(LeftOut, "its tokens are not trusted: it has fields that are not known, or audiences that are no list of texts")
		return issuer{}, false
	}
	x.Name = "issuer"
	if err := compiles(policy.Spec{Issuers: []policy.Issuer{*x}}); err != nil {
		n.note(LeftOut, "its tokens are not trusted: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
		return issuer{}, false
	}
	x.Name = used.unique(name)
	return is, true
}

// remote reads where the keys are.
func (is *issuer) remote(n *node) {
	remote, local := n.field("remoteJWKS"), n.field("localJWKS")
	keys := &is.spec.Keys
	if remote != nil {
		uri := remote.field("uri")
		keys.JWKSURL = uri.text()
		if strings.HasPrefix(uri.text(), "http:") {
			uri.note(Differs, "is fetched only where the operator allows http")
		}
		for _, name := range []string{"backendRef", "backendRefs", "backendSettings"} {
			remote.field(name).note(Differs, "the keys are fetched from the uri itself; where its certificate is of an authority of your own, name that in caSecretRef")
		}
		for _, name := range []string{"cacheDuration", "failedRefetchDuration"} {
			remote.field(name).note(Differs, "is not said by the policy: the keys are polled, and the last good ones hold meanwhile")
		}
		remote.rest()
	}
	if local == nil {
		return
	}
	local.field("type")
	keys.JWKS = local.field("inline").text()
	if ref := local.field("valueRef"); ref != nil {
		keys.ConfigMapRef = &policy.KeyRef{Name: ref.field("name").text(), Key: "jwks"}
		if kind := ref.field("kind").text(); kind != "" && kind != "ConfigMap" {
			keys.ConfigMapRef.Name = "" // refused below
		}
		ref.note(Differs, `the keys are in the entry "jwks" of the ConfigMap; Envoy Gateway takes its first entry if there is none of that name`)
	}
}

// extract reads where tokens are looked for.
func (is *issuer) extract(n *node) {
	from := n.field("extractFrom")
	for _, h := range from.field("headers").items() {
		is.spec.From = append(is.spec.From, policy.TokenLocation{Header: h.field("name").text(), Prefix: h.field("valuePrefix").text()})
		h.rest()
	}
	for _, c := range from.field("cookies").items() {
		is.spec.From = append(is.spec.From, policy.TokenLocation{Cookie: c.text()})
	}
	for _, p := range from.field("params").items() {
		is.spec.From = append(is.spec.From, policy.TokenLocation{Query: p.text()})
	}
	from.rest()
	if len(is.spec.From) == 0 {
		n.note(Differs, "tokens are looked for in the header Authorization alone, not in the parameter access_token; add from if clients use it")
	}
}
