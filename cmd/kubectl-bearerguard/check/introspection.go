package check

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/credential"
	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/source/manifest"
	"github.com/bearerguard/bearerguard/sidecar/token"
)

// said is an endpoint that answers what is given.
type said token.Answer

// Ask returns the answer.
func (s said) Ask(context.Context, netip.Addr, string) (token.Answer, error) {
	return token.Answer(s), nil
}

// endpoints returns what stands in for those of issuers.
func (in *Input) endpoints(asked []gate.Asked) ([]gate.Endpoint, error) {
	out := make([]gate.Endpoint, len(asked))
	for i, a := range asked {
		if in.Introspection == nil {
			continue
		}
		out[i] = said(in.answer(a.Issuer, a.Credential))
	}
	return out, nil
}

// answer is what is given, as an issuer's answer to who shows a credential.
func (in *Input) answer(is policy.Issuer, shown []byte) token.Answer {
	a := token.Answer{Body: strings.TrimSpace(string(in.Introspection)), Signed: is.Introspection.SignedResponse}
	if c, err := credential.Decode(shown); err == nil {
		a.ClientID = c.ClientID
	}
	return a
}

// credential notes what a Secret among the files lacks that an introspection endpoint is shown.
func (r *resolver) credential(at, namespace string, is policy.Issuer) {
	in := is.Introspection
	if in == nil {
		return
	}
	at += ".introspection.credentialsSecretRef"
	entries, ok := r.set.Secrets[manifest.Ref{Namespace: namespace, Name: in.CredentialsSecretRef.Name}]
	if !ok {
		r.note(at, fmt.Sprintf("Secret %s/%s is in none of the files", namespace, in.CredentialsSecretRef.Name))
		return
	}
	c, err := credential.Read(entries, in.Auth)
	if err != nil {
		r.note(at, fmt.Sprintf("Secret %s/%s %v", namespace, in.CredentialsSecretRef.Name, err))
		return
	}
	r.keys[bundle.IntrospectionID(namespace, is)] = bundle.KeySet{JWKS: c.Encode()}
}

// judge decides the request, with the issuers' answer if it is known.
func (in *Input) judge(g *gate.Gate, r *gate.Request) gate.Verdict {
	if in.Introspection == nil {
		return g.Judge(r)
	}
	return g.JudgeWaiting(context.Background(), r)
}

func verifiersOf(issuers []decision.Issuer, b *bundle.Bundle) ([]*token.Verifier, error) {
	var out []*token.Verifier
	for _, is := range issuers {
		v, err := verifier(is, b)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// introspected reports whether issuers are asked about a token, which then nobody verifies.
func introspected(verifiers []*token.Verifier, raw string, t *token.Token) bool {
	if t == nil && !token.Opaque(raw) {
		return false
	}
	asks := false
	for _, v := range verifiers {
		if t != nil && v.Wants(t) {
			return false
		}
		asks = asks || v.Asks(t)
	}
	return asks
}

// heard says what one issuer makes of a token that issuers are asked about; t is nil for an opaque one.
func (in *Input) heard(v *token.Verifier, is decision.Issuer, t *token.Token, b *bundle.Bundle, now time.Time) (token.Verified, decision.Refusal) {
	switch {
	case !v.Asks(t):
		return token.Verified{}, decision.Refusal{Reason: decision.Malformed, Cause: decision.Because("the token is opaque, and this issuer has keys for JWTs")}
	case in.Introspection == nil:
		return token.Verified{}, decision.Refusal{Reason: decision.IntrospectionUnavailable, Cause: decision.Because("only the issuer can tell, which has not been asked")}
	}
	namespace, _, _ := strings.Cut(is.Policy, "/")
	answer := in.answer(is.Spec, b.KeySets[bundle.IntrospectionID(namespace, is.Spec)].JWKS)
	return v.VerifyAnswer(answer, now)
}
