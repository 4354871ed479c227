package token

import (
	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

// Confirmation is the keys that a token is bound to (RFC 7800). The zero Confirmation is that of a bearer token.
type Confirmation struct {
	// JKT is the SHA-256 thumbprint (RFC 7638) of the key that proofs are made with (RFC 9449 section 6.1); zero: none.
	JKT [32]byte
	// X5T is the SHA-256 hash of the client's certificate in DER (RFC 8705 section 3.1); zero: none.
	X5T [32]byte
}

// Bound reports whether there is a key that the client has to prove.
func (c *Confirmation) Bound() bool { return *c != Confirmation{} }

// bindings is what is done with tokens that are bound to a key, by the way in which they are.
type bindings struct{ dpop, mtls policy.Binding }

func newBindings(p *policy.Proof) bindings {
	if p == nil {
		return bindings{}
	}
	return bindings{p.DPoP, p.MTLS}
}

// check refuses tokens that are bound in a way that is not taken, and those that are not bound where they must be: to take
// the former as bearer tokens would undo their protection. Whether the key is the client's is settled for each request.
func (b bindings) check(all decision.Claims) decision.Refusal {
	v, has := all["cnf"]
	if !has {
		return b.unbound(Confirmation{})
	}
	members, ok := v.(map[string]any)
	if !ok {
		return refuse(decision.BadClaim, wrongKind("cnf", v, "an object"))
	}
	f := fault{subject: "cnf", problem: "binds the token to a key"}
	for _, method := range [...]struct {
		member, name string
		taken        bool
	}{
		{"jkt", "jkt: the client has to prove it with DPoP (RFC 9449), and proof.dpop does not take such tokens", b.dpop.Taken()},
		{"x5t#S256", "x5t#S256: the client has to show a certificate (RFC 8705), and proof.mtls does not take such tokens", b.mtls.Taken()},
		{"jwk", "jwk (RFC 7800)", false}, {"jwe", "jwe (RFC 7800)", false}, {"kid", "kid (RFC 7800)", false}, {"jku", "jku (RFC 7800)", false},
	} {
		if _, ok := members[method.member]; ok && !method.taken {
			f.problem += ", by " + method.name
			return refuse(decision.KeyBound, f)
		}
	}
	c, no := confirmation(members)
	switch {
	case no.Refused():
		return no
	case !c.Bound():
		f.has = v
		return refuse(decision.KeyBound, f)
	}
	return b.unbound(c)
}

// unbound refuses a token that is not bound in the way that is required.
func (b bindings) unbound(c Confirmation) decision.Refusal {
	switch {
	case b.dpop == policy.BindingRequired && c.JKT == [32]byte{}:
		return because(decision.NotBound, "cnf.jkt is missing; proof.dpop: Required takes only tokens that are bound by DPoP (RFC 9449)")
	case b.mtls == policy.BindingRequired && c.X5T == [32]byte{}:
		return because(decision.NotBound, "cnf.x5t#S256 is missing; proof.mtls: Required takes only tokens that are bound to a certificate (RFC 8705)")
	}
	return decision.Refusal{}
}

// confirmation reads the members of cnf that can be proved here. Others that nobody knows are ignored (RFC 7800 section
// 3.1).
func confirmation(members map[string]any) (c Confirmation, no decision.Refusal) {
	for _, m := range [...]struct {
		name string
		to   *[32]byte
	}{{"jkt", &c.JKT}, {"x5t#S256", &c.X5T}} {
		v, has := members[m.name]
		if !has {
			continue
		}
		text, ok := v.(string)
		if !ok {
			return Confirmation{}, refuse(decision.BadClaim, wrongKind("cnf."+m.name, v, "a string"))
		}
		hash, ok := decode(text)
		if !ok || len(hash) != len(m.to) || [32]byte(hash) == [32]byte{} {
			return Confirmation{}, refuse(decision.BadClaim, fault{
				subject: "cnf." + m.name, problem: "is no SHA-256 hash in base64url", has: v,
			})
		}
		*m.to = [32]byte(hash)
	}
	return c, decision.Refusal{}
}

// confirmationOf returns the keys that a token is bound to whose claims have been checked.
func confirmationOf(all decision.Claims) Confirmation {
	members, _ := all["cnf"].(map[string]any)
	c, _ := confirmation(members)
	return c
}
