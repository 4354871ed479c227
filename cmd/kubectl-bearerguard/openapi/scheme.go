package openapi

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

// scheme is a security scheme.
type scheme struct {
	node node
	name string
	// lost is why nothing can be made of it; empty for schemes whose credential is a Bearer token.
	lost string
	// scoped says that names in requirements are scopes; otherwise they are roles (OpenAPI 3.1 section 4.8.30).
	scoped bool
	// discovery is where an OpenID provider's metadata are.
	discovery string
	// hint is what the document says of where tokens come from.
	hint string
	// header says that it is an API key in the header Authorization, which may be a Bearer token.
	header bool

	issuer *policy.Issuer // once it is used
}

func schemeNames(all map[string]*scheme) []string { return slices.Sorted(maps.Keys(all)) }

// schemes reads the security schemes of a document.
func (d *document) readSchemes() error {
	at := []string{"components", "securitySchemes"}
	if d.swagger {
		at = []string{"securityDefinitions"}
	}
	n := d.root
	var err error
	for _, name := range at {
		if n, err = n.field(name); err != nil {
			return err
		}
	}
	all, err := n.members()
	if err != nil {
		return err
	}
	d.schemes = map[string]*scheme{}
	for _, m := range all {
		if extension(m.name) {
			continue
		}
		v, err := d.files.resolve(m.value)
		if err != nil {
			return err
		}
		s, err := readScheme(m.name, v)
		if err != nil {
			return err
		}
		s.node = m.value
		d.schemes[m.name] = s
	}
	return nil
}

func readScheme(name string, n node) (*scheme, error) {
	s := &scheme{name: name}
	texts := map[string]string{}
	for _, field := range []string{"type", "scheme", "in", "name", "openIdConnectUrl"} {
		var err error
		if texts[field], err = n.text(field); err != nil {
			return nil, err
		}
	}
	switch kind := texts["type"]; kind {
	case "openIdConnect":
		s.scoped, s.discovery = true, texts["openIdConnectUrl"]
	case "oauth2":
		s.scoped = true
		var err error
		s.hint, err = tokenURL(n)
		return s, err
	case "http":
		if !strings.EqualFold(texts["scheme"], "bearer") {
			s.lost = fmt.Sprintf("is HTTP authentication %q, and no Bearer token", texts["scheme"])
		}
	case "apiKey":
		s.header = texts["in"] == "header" && strings.EqualFold(texts["name"], "Authorization")
		s.lost = fmt.Sprintf("is an API key in %s %s, and no Bearer token", texts["in"], texts["name"])
	case "basic":
		s.lost = "is HTTP authentication by a password, and no Bearer token"
	case "mutualTLS":
		s.lost = "is about certificates of clients, which no rule asks for"
	default:
		s.lost = fmt.Sprintf("has the type %q, which is not known", kind)
	}
	return s, nil
}

// tokenURL returns where clients get tokens, of OpenAPI's flows or Swagger's only one.
func tokenURL(n node) (string, error) {
	flows, err := n.field("flows")
	if err != nil {
		return "", err
	}
	all, err := flows.members()
	if err != nil {
		return "", err
	}
	places := []node{n}
	for _, m := range all {
		if !extension(m.name) {
			places = append(places, m.value)
		}
	}
	for _, at := range places {
		for _, field := range []string{"tokenUrl", "authorizationUrl"} {
			if u, err := at.text(field); err != nil || u != "" {
				return u, err
			}
		}
	}
	return "", nil
}

// carried reports whether a scheme's credential is a Bearer token; why not, otherwise.
func (d *document) carried(s *scheme) (why string) {
	if s.lost == "" || s.header && named(d.options.Issuers, s.name) {
		return ""
	}
	if s.header {
		return s.lost + fmt.Sprintf("; if it is one after all, give --issuer %s=URL", s.name)
	}
	return s.lost
}

// trust makes the issuer of a scheme.
func (d *document) trust(s *scheme) error {
	if s.issuer != nil {
		return nil
	}
	is := policy.Issuer{Keys: policy.KeySource{Discovery: &policy.Discovery{}}}
	switch given := forScheme(d.options.Issuers, s.name, d.schemes); {
	case s.discovery != "" && !named(d.options.Issuers, s.name):
		is.Issuer = issuerOf(s.discovery)
		if is.Issuer == "" {
			return s.node.refuse("openIdConnectUrl %q does not say who the issuer is; give --issuer %s=URL with what tokens have in iss", s.discovery, s.name)
		}
		d.note(s.node, Differs, "tokens are to have iss %q, which follows from openIdConnectUrl; if \"issuer\" in that document differs, if only by a final slash, give --issuer %s=URL", is.Issuer, s.name)
	case len(given) == 0:
		hint := ""
		if s.hint != "" {
			hint = fmt.Sprintf(" (clients get them at %s, which does not name it)", s.hint)
		}
		return s.node.refuse("does not say whose tokens it takes%s; give --issuer %s=URL with what they have in iss", hint, s.name)
	case len(given) > 1:
		return s.node.refuse("--issuer is given twice for %s; want one", s.name)
	default:
		is.Issuer = given[0]
	}
	if s.discovery != "" && s.discovery != strings.TrimSuffix(is.Issuer, "/")+wellKnown {
		is.Keys.Discovery.URL = s.discovery
	}
	return d.accept(s, is)
}

// accept gives a scheme its issuer, with the audiences that its tokens are to have. Schemes with the same one share it.
func (d *document) accept(s *scheme, is policy.Issuer) error {
	is.Audiences, is.AnyAudience = forScheme(d.options.Audiences, s.name, d.schemes), d.options.AnyAudience
	if len(is.Audiences) == 0 && !is.AnyAudience {
		return s.node.refuse("nothing says which tokens are for this API; give --audience AUDIENCE with what they have in aud, or --any-audience")
	}
	for i := range d.issuers {
		if o := &d.issuers[i]; o.Issuer == is.Issuer && o.Keys.Discovery.URL == is.Keys.Discovery.URL && slices.Equal(o.Audiences, is.Audiences) {
			s.issuer = o
			return nil
		}
	}
	is.Name = d.names.Unique(s.name, "issuer")
	d.issuers = append(d.issuers, is)
	s.issuer = &is
	return nil
}

const (
	wellKnown      = "/.well-known/openid-configuration"
	wellKnownOAuth = "/.well-known/oauth-authorization-server" // RFC 8414 section 3
)

// issuerOf returns the issuer whose metadata are at a URL; "" if that does not follow.
func issuerOf(discovery string) string {
	u, err := url.Parse(discovery)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return ""
	}
	if is, ok := strings.CutSuffix(discovery, wellKnown); ok {
		return is
	}
	if path, ok := strings.CutPrefix(u.EscapedPath(), wellKnownOAuth); ok {
		return u.Scheme + "://" + u.Host + path
	}
	return ""
}
