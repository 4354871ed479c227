package decision

import (
	"fmt"
	"slices"
	"time"

	"github.com/bearerguard/bearerguard/api/policy"
)

// Bounds of introspection.cacheTTL, and its default.
const (
	DefaultAnswerTTL = 30 * time.Second
	// MinAnswerTTL keeps one client that comes again and again from being one question each time.
	MinAnswerTTL = time.Second
	MaxAnswerTTL = 10 * time.Minute
)

// checkIntrospection checks how an issuer is asked about tokens, and what makes no sense beside that.
func (c *compiler) checkIntrospection(at string, spec *policy.Issuer) {
	in := spec.Introspection
	if in == nil {
		return
	}
	here := at + ".introspection"
	if (in.URL != "") == (in.Discovery != nil) {
		c.fail(here, "has url and discovery, or neither", "exactly one of url, discovery")
	}
	if in.URL != "" {
		c.checkURL(here+".url", in.URL)
	}
	if d := in.Discovery; d != nil {
		c.checkEndpointDiscovery(at, spec)
	}
	if !onlyBytes(in.CredentialsSecretRef.Name, "-.", 253) {
		c.fail(here+".credentialsSecretRef.name", fmt.Sprintf("%q is no name", clip(in.CredentialsSecretRef.Name)),
			"the name of a Secret in the policy's namespace")
	}
	methods := []policy.IntrospectionAuth{policy.AuthBasic, policy.AuthPost, policy.AuthPrivateKeyJWT, policy.AuthMTLS}
	if in.Auth != "" && !slices.Contains(methods, in.Auth) {
		c.fail(here+".auth", fmt.Sprintf("%q is no method of authentication", clip(string(in.Auth))), oneOf(methods))
	}
	if d := in.CacheTTL; d != nil && (d.Duration < MinAnswerTTL || d.Duration > MaxAnswerTTL) {
		c.fail(here+".cacheTTL", fmt.Sprintf("is %s", d.Duration), "1s to 10m")
	}
	c.checkBesideIntrospection(at, spec)
}

// checkEndpointDiscovery checks that metadata can be found, and compared with the issuer's name (RFC 8414 section 3.3).
func (c *compiler) checkEndpointDiscovery(at string, spec *policy.Issuer) {
	d := spec.Introspection.Discovery
	switch {
	case spec.Issuer == "":
		c.fail(at+".introspection.discovery", "needs a name to compare the metadata with", "issuer given, not anyIssuer")
	case d.URL != "":
		c.checkURL(at+".introspection.discovery.url", d.URL)
	default:
		if problem := urlProblem(spec.Issuer); problem != "" {
			c.fail(at+".issuer", problem+", so that discovery finds nothing", "an https URL, or introspection.discovery.url")
		}
	}
}

// checkBesideIntrospection refuses what is about tokens that the sidecar reads itself.
func (c *compiler) checkBesideIntrospection(at string, spec *policy.Issuer) {
	signed, keys := spec.Introspection.SignedResponse, spec.Keys != (policy.KeySource{})
	refuse := func(given bool, field, want string) {
		if given {
			c.fail(at+"."+field, "is about tokens that the sidecar reads itself, but with introspection their issuer does", want)
		}
	}
	refuse(len(spec.Types) > 0, "types", "the field left out")
	refuse(spec.Profile != "", "profile", "the field left out")
	refuse(spec.Decryption != nil, "decryption", "the field left out")
	refuse(keys && !signed, "keys", "keys or introspection, or introspection.signedResponse: true, whose answers the keys verify")
	refuse(len(spec.Algorithms) > 0 && !signed, "algorithms", "the field left out, or introspection.signedResponse: true, whose answers they are of")
	if signed && !keys {
		c.fail(at+".introspection.signedResponse", "is true, but there are no keys that verify answers", "keys beside introspection, such as keys.discovery")
	}
	if signed && spec.Keys.Kubernetes != nil {
		c.fail(at+".keys.kubernetes", "are keys of a cluster, which signs no answers", "another source of keys")
	}
	if signed && spec.AnyIssuer {
		c.fail(at+".anyIssuer", "is true, but signed answers name their issuer", "issuer given")
	}
}
