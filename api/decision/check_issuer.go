package decision

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/api/policy"
)

// MaxClockSkew is the greatest clockSkew of an issuer.
const MaxClockSkew = 5 * time.Minute

// MaxTokenAge is the greatest maxAge of an issuer.
const MaxTokenAge = 100 * 365 * 24 * time.Hour

// checkIssuer checks one entry of spec.issuers.
func (c *compiler) checkIssuer(at string, spec *policy.Issuer, resource *policy.Resource) {
	c.checkName(at+".name", spec.Name)
	c.checkParties(at, spec, resource)
	c.checkKeys(at, spec)
	c.checkIntrospection(at, spec)
	c.checkAlgorithms(at+".algorithms", spec)
	c.checkStrings(at+".types", spec.Types, bounds{items: 8, min: 1, max: 128})
	for _, conflict := range ProfileConflicts(spec) {
		c.fail(at+"."+conflict.Field, conflict.Problem, conflict.Want)
	}
	c.checkLocations(at+".from", spec.From)
	c.checkProof(at, spec)
	if spec.Decryption != nil {
		c.checkDecryption(at+".decryption", spec.Decryption)
	}
	c.checkStrings(at+".requiredClaims", spec.RequiredClaims, bounds{items: 16, min: 1, max: MaxClaimPath})
	for i, s := range spec.RequiredClaims {
		if _, err := ParseClaimPath(s); err != nil {
			c.fail(fmt.Sprintf("%s.requiredClaims[%d]", at, i), err.Error(), "a claim path such as sub or realm_access.roles")
		}
	}
	if d := spec.ClockSkew; d != nil && (d.Duration < 0 || d.Duration > MaxClockSkew) {
		c.fail(at+".clockSkew", fmt.Sprintf("is %s", d.Duration), "0s to 5m")
	}
	if d := spec.MaxAge; d != nil && (d.Duration <= 0 || d.Duration > MaxTokenAge) {
		c.fail(at+".maxAge", fmt.Sprintf("is %s", d.Duration), "a positive duration such as 1h, of 100 years (876000h) at most")
	}
}

// checkParties checks whom tokens are to be from, and for.
func (c *compiler) checkParties(at string, spec *policy.Issuer, resource *policy.Resource) {
	if (spec.Issuer != "") == spec.AnyIssuer && spec.Keys.SPIFFE == nil {
		c.fail(at+".issuer", "is given together with anyIssuer: true, or neither is", "exactly one of issuer, anyIssuer: true")
	}
	c.checkString(at+".issuer", spec.Issuer, bounds{max: 2048})
	if (spec.Audiences != nil || spec.ResourceAudience) == spec.AnyAudience {
		c.fail(at+".audiences", "is given together with anyAudience: true, or neither is", wantAudience(resource))
	}
	if spec.ResourceAudience && resource == nil {
		c.fail(at+".resourceAudience", "is true, but the policy has no spec.resource", "spec.resource.url, or audiences")
	}
	c.checkStrings(at+".audiences", spec.Audiences, bounds{items: 16, min: 1, max: 2048})
}

// Conflict is a field of an issuer that contradicts its profile. It reads: field problem; want want.
type Conflict struct{ Field, Problem, Want string }

// ProfileConflicts returns the fields that contradict the issuer's profile, or that its tokens are JWT-SVIDs, and a profile that
// is not known.
func ProfileConflicts(spec *policy.Issuer) []Conflict {
	var out []Conflict
	conflict := func(contradicts bool, field, problem, want string) {
		if contradicts {
			out = append(out, Conflict{field, problem, want})
		}
	}
	if spec.Keys.SPIFFE != nil {
		out = append(out, svidConflicts(spec)...)
	}
	typ := ProfileType(spec.Profile)
	if typ == "" {
		conflict(spec.Profile != "", "profile", fmt.Sprintf("%q is no profile", clip(string(spec.Profile))), "RFC9068, TransactionToken, or the field left out")
		return out
	}
	requires := func(what string) string {
		return fmt.Sprintf("is true, but profile %s requires %s", spec.Profile, what)
	}
	conflict(spec.AnyIssuer && spec.Profile == policy.ProfileRFC9068, "anyIssuer", requires("iss"), "issuer given")
	conflict(spec.AnyAudience, "anyAudience", requires("aud"), "audiences given")
	conflict(spec.AllowMissingExp, "allowMissingExp", requires("exp"), "the field left out")
	for i, t := range spec.Types {
		other := !strings.EqualFold(t, typ) && !strings.EqualFold(t, "application/"+typ)
		conflict(other, fmt.Sprintf("types[%d]", i), fmt.Sprintf("is not %s, which profile %s requires", typ, spec.Profile), "types left out")
	}
	conflict(spec.Decryption != nil && spec.Decryption.AllowUnsigned, "decryption.allowUnsigned", requires("a signature"), "the field left out")
	conflict(spec.Proof != nil && spec.Profile == policy.ProfileTransactionToken, "proof",
		"is given, but a transaction token is bound to no key", "the field left out")
	for i, from := range spec.From {
		conflict(spec.Profile == policy.ProfileTransactionToken && strings.EqualFold(from.Header, "Authorization"), fmt.Sprintf("from[%d]", i),
			"is Authorization, where no transaction token comes", "from left out, for the header Txn-Token")
	}
	return out
}

// ProfileType returns the typ of a profile's tokens, in lower case and without "application/"; empty for what is no profile.
func ProfileType(p policy.Profile) string {
	switch p {
	case policy.ProfileRFC9068:
		return "at+jwt"
	case policy.ProfileTransactionToken:
		return "txntoken+jwt"
	}
	return ""
}

// checkKeys checks where an issuer's keys come from.
func (c *compiler) checkKeys(at string, spec *policy.Issuer) {
	k := &spec.Keys
	given := 0
	for _, present := range []bool{k.JWKSURL != "", k.Discovery != nil, k.JWKS != "", k.SecretRef != nil,
		k.ConfigMapRef != nil, k.Kubernetes != nil, k.SPIFFE != nil} {
		if present {
			given++
		}
	}
	if given != 1 && (given != 0 || spec.Introspection == nil) {
		c.fail(at+".keys", fmt.Sprintf("has %d sources", given),
			"exactly one of jwksURL, discovery, jwks, secretRef, configMapRef, kubernetes, spiffe")
	}
	if k.SPIFFE != nil {
		c.checkSPIFFE(at+".keys.spiffe", k.SPIFFE)
	}
	if k.JWKSURL != "" {
		c.checkURL(at+".keys.jwksURL", k.JWKSURL)
	}
	if k.Discovery != nil {
		c.checkDiscovery(at, spec)
	}
	if k.JWKS != "" {
		c.checkInlineKeys(at+".keys.jwks", k.JWKS)
	}
	if k.SecretRef != nil {
		c.checkRef(at+".keys.secretRef", k.SecretRef)
		c.checkSecretFormat(at, spec)
	}
	if k.ConfigMapRef != nil {
		c.checkRef(at+".keys.configMapRef", k.ConfigMapRef)
		c.checkFormat(at+".keys.configMapRef", k.ConfigMapRef, "is HMAC, but a ConfigMap is no place for a secret; use keys.secretRef",
			policy.FormatJWKS, policy.FormatPEM)
	}
	if spec.CASecretRef != nil {
		c.checkCA(at, spec)
	}
}

// checkCA checks the certificates that fetches trust.
func (c *compiler) checkCA(at string, spec *policy.Issuer) {
	c.checkRef(at+".caSecretRef", spec.CASecretRef)
	c.checkFormat(at+".caSecretRef", spec.CASecretRef, fmt.Sprintf("is %s, but certificates to trust are PEM", spec.CASecretRef.Format),
		policy.FormatPEM)
	if spec.Keys.URL() == "" && spec.Keys.Discovery == nil && spec.Introspection == nil {
		c.fail(at+".caSecretRef", "is given where nothing is fetched", "keys.jwksURL, keys.discovery, keys.spiffe.bundleURL or introspection beside it")
	}
}

// checkDiscovery checks that metadata can be found, and compared with the issuer's name (RFC 8414 section 3.3).
func (c *compiler) checkDiscovery(at string, spec *policy.Issuer) {
	switch {
	case spec.Keys.Discovery.URL != "":
		c.checkURL(at+".keys.discovery.url", spec.Keys.Discovery.URL)
	case spec.Issuer != "":
		if problem := urlProblem(spec.Issuer); problem != "" {
			c.fail(at+".issuer", problem+", so that discovery finds nothing", "an https URL, or keys.discovery.url")
		}
	}
	if spec.Issuer == "" {
		c.fail(at+".keys.discovery", "needs a name to compare the metadata with", "issuer given, not anyIssuer")
	}
}

func (c *compiler) checkURL(at, s string) {
	if problem := writtenURLProblem(s); problem != "" {
		c.fail(at, problem, "an https URL without user information and fragment")
	}
}

// writtenURLProblem returns why s is no URL that a policy may have, or "". The CRDs take schemes in lower case alone.
func writtenURLProblem(s string) string {
	problem := urlProblem(s)
	if problem == "" && !strings.HasPrefix(s, "http") {
		return "has a scheme in upper case"
	}
	return problem
}

// urlProblem returns why s is no URL to fetch from, or "". Whether plain http may be used is the operator's choice and
// is checked where URLs are fetched.
func urlProblem(s string) string {
	if len(s) > 2048 {
		return fmt.Sprintf("has %d bytes, more than 2048", len(s))
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || hasControl(s) || strings.Contains(s, " "):
		return "is no URL"
	case u.Scheme != "https" && u.Scheme != "http":
		return fmt.Sprintf("has scheme %q", clip(u.Scheme))
	case u.Hostname() == "" || u.Opaque != "":
		return "has no host"
	case u.User != nil:
		return "has user information"
	case u.Fragment != "" || strings.Contains(s, "#"):
		return "has a fragment"
	}
	return ""
}

func (c *compiler) checkRef(at string, ref *policy.KeyRef) {
	if !onlyBytes(ref.Name, "-.", 253) {
		c.fail(at+".name", fmt.Sprintf("%q is no name", clip(ref.Name)), "the name of an object in the policy's namespace")
	}
	if !onlyBytes(ref.Key, "-._", 253) {
		c.fail(at+".key", fmt.Sprintf("%q is no key", clip(ref.Key)), "a key of the object's data")
	}
}

// checkFormat checks that the format of an entry is one of those that make sense for it, or Auto. mismatch says why a
// format that is none of them makes no sense.
func (c *compiler) checkFormat(at string, ref *policy.KeyRef, mismatch string, sensible ...policy.KeyFormat) {
	known := []policy.KeyFormat{policy.FormatAuto, policy.FormatJWKS, policy.FormatPEM, policy.FormatHMAC}
	sensible = append([]policy.KeyFormat{policy.FormatAuto}, sensible...)
	switch {
	case ref.Format == "" || slices.Contains(sensible, ref.Format):
	case !slices.Contains(known, ref.Format):
		c.fail(at+".format", fmt.Sprintf("%q is no format", clip(string(ref.Format))), oneOf(sensible))
	default:
		c.fail(at+".format", mismatch, oneOf(sensible)+", or the field left out")
	}
}

// checkSecretFormat checks the format of keys.secretRef against the issuer's algorithms.
func (c *compiler) checkSecretFormat(at string, spec *policy.Issuer) {
	here, ref := at+".keys.secretRef", spec.Keys.SecretRef
	c.checkFormat(here, ref, "", policy.FormatJWKS, policy.FormatPEM, policy.FormatHMAC)
	switch hmac := slices.ContainsFunc(spec.Algorithms, policy.Algorithm.HMAC); {
	case ref.Format == policy.FormatHMAC && !hmac:
		c.fail(here+".format", "is HMAC, but algorithms list no HMAC algorithm", "algorithms with HS256, HS384 or HS512, or another format")
	case ref.Format == policy.FormatPEM && spec.OnlyHMAC():
		c.fail(here+".format", "is PEM, which holds no secret, but every algorithm is an HMAC algorithm", "one of Auto, JWKS, HMAC, or other algorithms")
	}
}

// algorithms are those that policy.Algorithm names.
func algorithms() []policy.Algorithm {
	return []policy.Algorithm{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "ES256K",
		"EdDSA", "Ed25519", "HS256", "HS384", "HS512"}
}

func (c *compiler) checkAlgorithms(at string, spec *policy.Issuer) {
	checkNames(c, at, spec.Algorithms, algorithms())
	for i, a := range spec.Algorithms {
		here := fmt.Sprintf("%s[%d]", at, i)
		if a.HMAC() && spec.Keys.SecretRef == nil {
			c.fail(here, fmt.Sprintf("%s needs a shared secret, and this source of keys is public", a), "keys.secretRef")
		}
	}
}

// oneOf lists the names of a closed set.
func oneOf[T ~string](names []T) string {
	all := make([]string, 0, len(names))
	for _, n := range names {
		all = append(all, string(n))
	}
	return "one of " + strings.Join(all, ", ")
}

// checkNames checks a list of names out of a closed set.
func checkNames[T ~string](c *compiler, at string, list, known []T) {
	checkList(c, at, list, 16)
	checkUnique(c, at, list)
	for i, name := range list {
		if slices.Contains(known, name) {
			continue
		}
		c.fail(fmt.Sprintf("%s[%d]", at, i), fmt.Sprintf("%q is no algorithm that can be allowed", clip(string(name))), oneOf(known))
	}
}

// keyAlgorithms are those that policy.KeyAlgorithm names.
func keyAlgorithms() []policy.KeyAlgorithm {
	return []policy.KeyAlgorithm{"RSA-OAEP", "RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW",
		"A128KW", "A192KW", "A256KW", "A128GCMKW", "A192GCMKW", "A256GCMKW", "dir"}
}

// contentAlgorithms are those that policy.ContentAlgorithm names.
func contentAlgorithms() []policy.ContentAlgorithm {
	return []policy.ContentAlgorithm{"A128GCM", "A192GCM", "A256GCM", "A128CBC-HS256", "A192CBC-HS384", "A256CBC-HS512"}
}

func (c *compiler) checkDecryption(at string, d *policy.Decryption) {
	c.checkRef(at+".secretRef", &d.SecretRef)
	c.checkFormat(at+".secretRef", &d.SecretRef, "is HMAC, but a decryption key signs nothing", policy.FormatJWKS, policy.FormatPEM)
	checkNames(c, at+".keyAlgorithms", d.KeyAlgorithms, keyAlgorithms())
	checkNames(c, at+".contentAlgorithms", d.ContentAlgorithms, contentAlgorithms())
}

// cookieBytes are the characters of a token (RFC 9110 section 5.6.2) beside letters and digits, without "`".
const cookieBytes = "!#$%&'*+-.^_|~"

func (c *compiler) checkLocations(at string, locations []policy.TokenLocation) {
	checkList(c, at, locations, 8)
	checkUnique(c, at, locations)
	for i := range locations {
		c.checkLocation(fmt.Sprintf("%s[%d]", at, i), &locations[i])
	}
}

func (c *compiler) checkLocation(at string, l *policy.TokenLocation) {
	given := 0
	for _, s := range []string{l.Header, l.Cookie, l.Query, l.WebSocketProtocol} {
		if s != "" {
			given++
		}
	}
	if given != 1 {
		c.fail(at, fmt.Sprintf("has %d places", given), "exactly one of header, cookie, query, webSocketProtocol")
	}
	if l.Header != "" {
		c.checkHeaderName(at+".header", l.Header)
		if use := noTokenHeader(strings.ToLower(l.Header)); use != "" {
			c.fail(at+".header", fmt.Sprintf("%q %s", clip(l.Header), use), "a header that may hold a token")
		}
	}
	if l.Prefix != "" && l.Header == "" {
		c.fail(at+".prefix", "is given without header", "prefix with header only")
	}
	c.checkString(at+".prefix", l.Prefix, bounds{max: 64})
	if l.Cookie != "" && !onlyBytes(l.Cookie, cookieBytes, 64) {
		c.fail(at+".cookie", fmt.Sprintf("%q is no cookie name", clip(l.Cookie)), "up to 64 token characters (RFC 6265 section 4.1.1)")
	}
	if l.Query != "" && !onlyBytes(l.Query, "_.~-", 64) {
		c.fail(at+".query", fmt.Sprintf("%q is no parameter name", clip(l.Query)), `up to 64 letters, digits and "-._~"`)
	}
	if l.WebSocketProtocol != "" && !onlyBytes(l.WebSocketProtocol, cookieBytes, 64) {
		c.fail(at+".webSocketProtocol", fmt.Sprintf("%q is no subprotocol", clip(l.WebSocketProtocol)),
			"up to 64 token characters (RFC 6455 section 4.1)")
	}
}
