package token

import (
	"strings"

	"github.com/bearerguard/bearerguard/api/decision"
)

// header is what counts of a JOSE header (RFC 7515 section 4.1, RFC 7516 section 4.1).
type header struct {
	encrypted               bool
	alg, enc, kid, typ, cty string
	hasTyp, hasCty          bool
	members                 map[string]any
}

// refusedMembers bring a key of their own (RFC 8725 section 3.10 and CVE-2018-0114), change what is signed (RFC 7797),
// inflate (RFC 7516 section 4.1.3), or name extensions that must be understood, of which there are none here (RFC 7515
// section 4.1.11: an empty crit, or one that names nothing known, is invalid either way).
func refusedMembers() [7]string { return [...]string{"crit", "jwk", "jku", "x5u", "x5c", "b64", "zip"} }

// read takes the members that count, and refuses what the header must not have.
func (h *header) read(members map[string]any) decision.Reason {
	h.members = members
	for _, name := range refusedMembers() {
		if _, ok := members[name]; ok {
			return decision.HeaderNotAllowed
		}
	}
	ok := true
	text := func(name string) (s string, has bool) {
		v, has := members[name]
		if has {
			var isText bool
			s, isText = v.(string)
			ok = ok && isText
		}
		return s, has
	}
	var hasAlg, hasEnc bool
	h.alg, hasAlg = text("alg")
	h.enc, hasEnc = text("enc")
	h.kid, _ = text("kid")
	h.typ, h.hasTyp = text("typ")
	h.cty, h.hasCty = text("cty")
	if !ok || !hasAlg || hasEnc != h.encrypted {
		return decision.Malformed
	}
	h.typ, h.cty = mediaType(h.typ), mediaType(h.cty)
	return h.algorithm()
}

// algorithm refuses algorithms that no verifier here has, before any work is done with them. Names have case (RFC 7515
// section 4.1.1): "NONE" is not "none", but unknown.
func (h *header) algorithm() decision.Reason {
	switch {
	case h.encrypted && keySize(h.alg) >= 0 && contentKeySize(h.enc) > 0:
		return ""
	case h.encrypted:
		return decision.AlgorithmNotAllowed
	case h.alg == "none":
		return decision.Unsigned
	case !knownJWS(h.alg):
		return decision.AlgorithmNotAllowed
	}
	return ""
}

// mediaType brings typ and cty to one form: lower case, without "application/" (RFC 7515 sections 4.1.9 and 4.1.10).
func mediaType(s string) string {
	return strings.TrimPrefix(strings.ToLower(s), "application/")
}

// nested reports whether the content is said to be a JWT of its own (RFC 7519 section 5.2).
func (h *header) nested() bool { return h.cty == "jwt" }

// otherUse reports whether typ belongs to a kind of JWT that is not an access token (RFC 8725 sections 3.11 and 3.12).
func otherUse(typ string) bool {
	switch typ {
	case "id_token", "id+jwt", // names in use for ID tokens
		"logout+jwt",                                 // OpenID Connect Back-Channel Logout 1.0
		"secevent+jwt",                               // RFC 8417
		"dpop+jwt",                                   // RFC 9449
		"kb+jwt", "sd+jwt", "dc+sd-jwt", "vc+sd-jwt", // RFC 9901 and its credentials
		"oauth-authz-req+jwt",          // RFC 9101
		"token-introspection+jwt",      // RFC 9701
		"statuslist+jwt",               // Token Status List
		"client-authentication+jwt",    // RFC 7523bis
		"oauth-client-attestation+jwt", // attestation-based client authentication
		"oauth-client-attestation-pop+jwt",
		"openid4vci-proof+jwt",                                                                                                // OpenID4VCI
		"entity-statement+jwt", "trust-mark+jwt", "resolve-response+jwt", "explicit-registration-response+jwt", "jwk-set+jwt", // OpenID Federation
		"passport": // RFC 8225
		return true
	}
	return false
}

// allowedType checks typ against the issuer's list, or without one against the kinds known to be something else.
func allowedType(h *header, types []string) bool {
	if len(types) == 0 {
		return !otherUse(h.typ)
	}
	for _, t := range types {
		if h.hasTyp && t == h.typ {
			return true
		}
	}
	return false
}
