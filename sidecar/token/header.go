package token

import (
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/decision"
)

// header is what counts of a JOSE header (RFC 7515 section 4.1, RFC 7516 section 4.1).
type header struct {
	encrypted               bool
	alg, enc, kid, typ, cty string
	hasTyp, hasCty          bool
	members                 map[string]any // of an encrypted token
}

// refusedMember returns a member that a header must not have; empty if it has none. A key in the token would be the
// signer's own choice (jwk: RFC 8725 section 3.10, CVE-2018-0114); b64 changes what is signed (RFC 7797); zip inflates
// (RFC 7516 section 4.1.3); crit names extensions that must be understood, and none is here (RFC 7515 section 4.1.11: an
// empty crit, or one that names nothing known, is invalid either way).
//
// jku, x5u, x5c, x5t and x5t#S256 are not among them: they only say where a key may be found (RFC 7515 sections 4.1.2 and
// 4.1.5 to 4.1.8), and nothing here reads them, whatever is in them. The key is one of the policy's, or none.
func refusedMember(members map[string]any) string {
	for _, name := range [...]string{"crit", "jwk", "b64", "zip"} {
		if _, ok := members[name]; ok {
			return name
		}
	}
	return ""
}

// unwanted is the Refusal of a header with such a member.
func unwanted(name string, value any) decision.Refusal {
	f := fault{subject: inHeader, problem: "has " + name}
	switch name {
	case "jwk":
		f.problem += ", a key that the token brings itself"
	case "zip":
		f.problem += "; a compressed token is refused"
	case "crit":
		f.has = value
		var known []string
		list, _ := value.([]any)
		for _, e := range list {
			if s, ok := e.(string); ok && registeredName(s) {
				known = append(known, s)
			}
		}
		if len(list) > 0 && len(known) == len(list) {
			f.problem, f.has = f.problem+": "+strings.Join(known, ", "), nil
		}
	}
	return refuse(decision.HeaderNotAllowed, f)
}

// read takes the members that count, and refuses what the header must not have.
func (h *header) read(members map[string]any) decision.Refusal {
	if h.encrypted {
		h.members = members
	}
	if name := refusedMember(members); name != "" {
		return unwanted(name, members[name])
	}
	var no decision.Refusal
	text := func(name string) (s string, has bool) {
		v, has := members[name]
		if has {
			var isText bool
			if s, isText = v.(string); !isText {
				no = refuse(decision.Malformed, wrongKind(name+" of the header", v, "a string"))
			}
		}
		return s, has
	}
	var hasAlg, hasEnc bool
	h.alg, hasAlg = text("alg")
	h.enc, hasEnc = text("enc")
	h.kid, _ = text("kid")
	h.typ, h.hasTyp = text("typ")
	h.cty, h.hasCty = text("cty")
	switch {
	case no.Refused():
		return no
	case !hasAlg:
		return malformed(inHeader, "has no alg")
	case hasEnc && !h.encrypted:
		return malformed(inHeader, "has enc, as of an encrypted token (JWE), but the token has 3 parts")
	case !hasEnc && h.encrypted:
		return malformed(inHeader, "has no enc, as an encrypted token (JWE) of 5 parts must")
	}
	h.typ, h.cty = mediaType(h.typ), mediaType(h.cty)
	return h.algorithm()
}

// algorithm refuses algorithms that no verifier here has, before any work is done with them. Names have case (RFC 7515
// section 4.1.1): "NONE" is not "none", but unknown.
func (h *header) algorithm() decision.Refusal {
	switch {
	case h.encrypted && keySize(h.alg) < 0:
		return unknownAlgorithm("alg", h.alg)
	case h.encrypted && contentKeySize(h.enc) == 0:
		return unknownAlgorithm("enc", h.enc)
	case h.encrypted:
	case h.alg == "none":
		return because(decision.Unsigned, "alg is none: nobody signed the token")
	case !knownJWS(h.alg):
		return unknownAlgorithm("alg", h.alg)
	}
	return decision.Refusal{}
}

// unknownAlgorithm is the Refusal of an algorithm that nobody here has. Those that people ask for are called by name.
func unknownAlgorithm(member, name string) decision.Refusal {
	f := fault{subject: member, problem: "is none that can be verified or decrypted", has: name}
	switch name {
	case "RSA1_5":
		f.problem, f.has = "is RSA1_5, which has padding oracles; use RSA-OAEP-256", nil
	case "PBES2-HS256+A128KW", "PBES2-HS384+A192KW", "PBES2-HS512+A256KW":
		f.problem, f.has = "is "+name+", whose work the token sets; use a key, not a password", nil
	}
	return refuse(decision.AlgorithmNotAllowed, f)
}

// mediaType brings typ and cty to one form: lower case, without "application/" (RFC 7515 sections 4.1.9 and 4.1.10).
func mediaType(s string) string {
	return strings.TrimPrefix(strings.ToLower(s), "application/")
}

// nested reports whether the content is said to be a token of its own: JWT (RFC 7519 section 5.2), or the media type of
// a kind of JWT, such as at+jwt (RFC 9068 section 2.1) from issuers that repeat typ there.
func (h *header) nested() bool {
	return h.cty == "jwt" || strings.HasSuffix(h.cty, "+jwt") && !otherUse(h.cty)
}

// otherUse reports whether typ belongs to a kind of JWT that is not an access token (RFC 8725 sections 3.11 and 3.12).
func otherUse(typ string) bool {
	switch typ {
	case "id_token", "id+jwt", // names in use for ID tokens
		"logout+jwt",                                 // OpenID Connect Back-Channel Logout 1.0
		"secevent+jwt",                               // RFC 8417
		"txntoken+jwt",                               // OAuth Transaction Tokens
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

// checkType checks typ against the issuer's list, or without one against the kinds known to be something else.
func (h *header) checkType(types []string) decision.Refusal {
	switch {
	case len(types) == 0 && otherUse(h.typ):
		return refuse(decision.WrongType, fault{subject: "typ", problem: "is " + h.typ + ", which is not an access token"})
	case len(types) == 0, h.hasTyp && slices.Contains(types, h.typ):
		return decision.Refusal{}
	case !h.hasTyp:
		return refuse(decision.WrongType, fault{subject: "typ", problem: "is missing", wants: types})
	}
	return refuse(decision.WrongType, fault{subject: "typ", problem: "is not among types", has: h.typ, wants: types})
}
