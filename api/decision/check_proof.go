package decision

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/api/policy"
)

// MaxProofAge is the greatest proof.maxAge of an issuer, DefaultProofAge what it is where none is given.
const (
	MaxProofAge     = 10 * time.Minute
	DefaultProofAge = time.Minute
)

// checkProof checks what is done with tokens that are bound to a key.
func (c *compiler) checkProof(issuer string, spec *policy.Issuer) {
	p := spec.Proof
	if p == nil {
		return
	}
	at := issuer + ".proof"
	bindings := []policy.Binding{policy.BindingRequired, policy.BindingIfBound, policy.BindingRefuse}
	checkChoice(c, at+".dpop", p.DPoP, bindings)
	checkChoice(c, at+".mtls", p.MTLS, bindings)
	checkChoice(c, at+".replay", p.Replay, []policy.Replay{policy.ReplayPerPod, policy.ReplayNone})
	checkChoice(c, at+".nonce", p.Nonce, []policy.Nonce{policy.NonceNone, policy.NonceRequired})
	if p.DPoP == policy.BindingRequired && p.MTLS == policy.BindingRequired {
		c.fail(at+".mtls", "is Required, and so is dpop, but a token is bound in one way", "IfBound for one of them, or for both")
	}
	checkList(c, at+".publicURLs", p.PublicURLs, 16)
	checkUnique(c, at+".publicURLs", p.PublicURLs)
	for i, s := range p.PublicURLs {
		if problem := publicURLProblem(s); problem != "" {
			c.fail(fmt.Sprintf("%s.publicURLs[%d]", at, i), problem, "a URL such as https://api.example.com or https://api.example.com/orders")
		}
	}
	if d := p.MaxAge; d != nil && (d.Duration < time.Second || d.Duration > MaxProofAge) {
		c.fail(at+".maxAge", fmt.Sprintf("is %s", d.Duration), "1s to 10m")
	}
	c.checkDPoP(issuer, spec)
}

// checkDPoP checks what goes with proof.dpop, and what does not go without it.
func (c *compiler) checkDPoP(issuer string, spec *policy.Issuer) {
	p, at := spec.Proof, issuer+".proof"
	if !p.DPoP.Taken() {
		for _, f := range []struct {
			name  string
			given bool
		}{{"publicURLs", p.PublicURLs != nil}, {"maxAge", p.MaxAge != nil}, {"replay", p.Replay != ""}, {"nonce", p.Nonce != ""}, {"nonceSecretRef", p.NonceSecretRef != nil}} {
			if f.given {
				c.fail(at+"."+f.name, "is given, but no proof is taken", "dpop: Required or IfBound beside it")
			}
		}
		return
	}
	if p.NonceSecretRef != nil {
		c.checkRef(at+".nonceSecretRef", p.NonceSecretRef)
		if p.Nonce == policy.NonceNone {
			c.fail(at+".nonce", "is None, but nonceSecretRef names what nonces are made with", "Required, or no nonceSecretRef")
		}
		c.checkFormat(at+".nonceSecretRef", p.NonceSecretRef, "is PEM, which holds no secret, and nonces are made with one", policy.FormatJWKS, policy.FormatHMAC)
	}
	if len(p.PublicURLs) == 0 {
		c.fail(at+".publicURLs", "is missing: a proof names the URL that the client used, which a gateway may have changed since",
			"the URLs under which clients reach the app")
	}
	if spec.From != nil && !slices.ContainsFunc(spec.From, DPoPLocation) {
		c.fail(issuer+".from", "has no place for tokens that are bound by DPoP (RFC 9449 section 7.1)",
			`{header: Authorization, prefix: "DPoP "} in it, or from left out`)
	}
}

// DPoPLocation reports whether tokens in this place come under the scheme DPoP (RFC 9449 section 7.1).
func DPoPLocation(l policy.TokenLocation) bool {
	return strings.EqualFold(l.Header, "Authorization") && strings.EqualFold(l.Prefix, "DPoP ")
}

// publicURLProblem returns why s cannot be the start of the URLs that clients use, or "".
func publicURLProblem(s string) string {
	if problem := writtenURLProblem(s); problem != "" {
		return problem
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return "is no URL"
	case strings.Contains(s, "?"):
		return "has a query, which no proof names"
	case strings.Contains(u.Host, "*"):
		return "has a wildcard"
	}
	return ""
}

// checkChoice checks a name out of a closed set, which may be left out.
func checkChoice[T ~string](c *compiler, at string, name T, known []T) {
	if name != "" && !slices.Contains(known, name) {
		c.fail(at, fmt.Sprintf("is %q", clip(string(name))), oneOf(known))
	}
}
