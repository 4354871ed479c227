package gate

import (
	"slices"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/dpop"
	"github.com/bearerguard/bearerguard/sidecar/refuse"
	"github.com/bearerguard/bearerguard/sidecar/token"
)

// proving is issuers that want the same of proofs.
type proving struct {
	settings *dpop.Settings
	issuers  decision.IssuerSet // by their bit
	takers   decision.IssuerSet // by their index in the locator
}

// wantsProof notes that an issuer, by its index in the side, takes tokens that are bound by DPoP.
func (sd *side) wantsProof(settings *dpop.Settings, bit, index int) {
	for i := range sd.proving {
		if p := &sd.proving[i]; p.settings.Same(settings) {
			p.issuers, p.takers = p.issuers.With(bit), p.takers.With(index)
			return
		}
	}
	sd.proving = append(sd.proving, proving{
		settings: settings, issuers: decision.IssuerSet(0).With(bit), takers: decision.IssuerSet(0).With(index),
	})
}

// prove refuses a verified token whose key the client does not prove: for each request, since a proof is for one. It returns
// the bearer to decide with, which fewer issuers may vouch for: those whose own settings the proof does not satisfy do not. The memory
// remembers the proof; nil: nobody does.
func (s *Snapshot) prove(sd *side, r *decision.Request, f token.Found, b *bearer, memory *dpop.Memory) (*bearer, decision.Refusal) {
	c := b.confirmation()
	if no := certified(r.ClientCert, &c); no.Refused() {
		return b, no
	}
	switch bound := c.JKT != [32]byte{}; {
	case !bound && f.DPoP:
		return b, decision.Refusal{Reason: decision.NotBound, Cause: decision.Because(
			"the token came under the scheme DPoP, and it has no cnf.jkt (RFC 9449 section 7.1); it is a bearer token")}
	case !bound:
		return b, decision.Refusal{}
	case !f.DPoP:
		return b, decision.Refusal{Reason: decision.BoundAsBearer, Cause: decision.Because(
			"the token has cnf.jkt and did not come under the scheme DPoP (RFC 9449 section 7.2): want Authorization: DPoP, and a proof")}
	}
	if !r.Budget.Spend(dpop.ReadingWork) {
		return b, unjudged
	}
	p, no := proofOf(r.Header)
	if no.Refused() {
		return b, no
	}
	if no := p.Fits(dpop.Use{Method: r.Method, Token: f.Raw, Key: c.JKT}); no.Refused() {
		return b, no
	}
	ok, no := s.satisfied(sd, r, b, p)
	if no.Refused() {
		return b, no
	}
	// This comes before the proof is taken: it may have to wait, and the request is judged again then, with the same proof.
	b, no = s.narrow(sd, r, f, b, ok.takers)
	if no.Refused() || ok.once == 0 || memory == nil {
		return b, no
	}
	if r.Proved = memory.Take(p, ok.longest, r.Now); r.Proved {
		return b, no
	}
	if ok.takers &^= ok.once; ok.takers == 0 {
		return b, ok.why(replayed)
	}
	return s.narrow(sd, r, f, b, ok.takers)
}

var replayed = decision.Refusal{Reason: decision.ProofReplayed, Cause: decision.Because("a proof with this jti and key was taken before; proof.replay is PerPod")}

// narrow returns the bearer of whom these takers' issuers alone vouch.
func (s *Snapshot) narrow(sd *side, r *decision.Request, f token.Found, b *bearer, takers decision.IssuerSet) (*bearer, decision.Refusal) {
	if takers == f.Takers {
		return b, decision.Refusal{}
	}
	f.Takers = takers
	if b = s.who(sd, f, r); b.refused != nil {
		return b, b.refused.refusal
	}
	return b, decision.Refusal{}
}

// satisfaction is whom a proof satisfies.
type satisfaction struct {
	takers  decision.IssuerSet // of the token, whose issuers it does
	once    decision.IssuerSet // of them, those whose issuers take a proof once
	longest *dpop.Settings     // of those issuers, the ones that remember it for longest
	first   decision.Refusal   // why it does not satisfy another; zero: it satisfies all
}

// why is the reason that counts where nobody is satisfied, if this one is the last.
func (ok *satisfaction) why(last decision.Refusal) decision.Refusal {
	if ok.first.Refused() {
		return ok.first
	}
	return last
}

// satisfied holds a proof against what each issuer wants that vouches for the token. It is refused if no issuer is satisfied: why the first is not.
func (s *Snapshot) satisfied(sd *side, r *decision.Request, b *bearer, p *dpop.Proof) (ok satisfaction, no decision.Refusal) {
	path, _, _ := strings.Cut(asOrigin(r.Target), "?")
	for i := range sd.proving {
		g := &sd.proving[i]
		if g.issuers&b.subject.Verified() == 0 {
			continue
		}
		if why := g.settings.Check(p, path, r.Now); why.Refused() {
			ok.first = ok.why(why)
			continue
		}
		ok.takers |= g.takers
		if g.settings.Once() {
			ok.once |= g.takers
			ok.longest = g.settings.Longer(ok.longest)
		}
	}
	switch {
	case ok.takers == 0:
		return ok, ok.why(decision.Refusal{Reason: decision.InternalError})
	case !r.Budget.Spend(p.Work()):
		return ok, unjudged
	}
	return ok, p.Signed()
}

// giveNonce has the answer bring a nonce for the next proof, whoever gives the answer (RFC 9449 section 8.2).
func (s *Snapshot) giveNonce(b *bearer, now time.Time, v *Verdict) {
	for i := range s.enforce.proving {
		p := &s.enforce.proving[i]
		if p.issuers&b.subject.Verified() == 0 {
			continue
		}
		if nonce := p.settings.Nonce(now); nonce != "" {
			v.CORS.Set = append(v.CORS.Set[:len(v.CORS.Set):len(v.CORS.Set)], refuse.Field{Name: "Dpop-Nonce", Value: nonce})
			return
		}
	}
}

// proofOf reads the proof of a request: there is one header field DPoP (RFC 9449 section 4.3, point 1).
func proofOf(h decision.Header) (*dpop.Proof, decision.Refusal) {
	switch fields := h.Values("Dpop"); len(fields) {
	case 0:
		return nil, decision.Refusal{Reason: decision.BadProof, Cause: decision.Because("the header DPoP is missing")}
	case 1:
		return dpop.Parse(fields[0])
	}
	return nil, decision.Refusal{Reason: decision.BadProof, Cause: decision.Because("the header DPoP is there more than once")}
}

// certified refuses a token that is bound to another certificate than that of the connection (RFC 8705 section 3). It has to
// be that of the sidecar's own TLS peer: a header is anybody's to write.
func certified(cert *decision.ClientCert, c *token.Confirmation) decision.Refusal {
	switch {
	case c.X5T == [32]byte{}:
		return decision.Refusal{}
	case cert == nil:
		return decision.Refusal{Reason: decision.KeyMismatch, Cause: decision.Because(
			"cnf.x5t#S256 of the token names a client certificate, and this connection to the sidecar has none: the sidecar itself has to end TLS " +
				"(--tls-cert, --tls-key) and to ask for client certificates (--tls-client-ca, or --tls-request-client-cert for any)")}
	case cert.Hash != c.X5T:
		return decision.Refusal{Reason: decision.KeyMismatch, Cause: decision.Because("cnf.x5t#S256 of the token is not the hash of the connection's client certificate")}
	}
	return decision.Refusal{}
}

// confirmation returns the keys that the token is bound to.
func (b *bearer) confirmation() token.Confirmation {
	if b.bound == nil || b.bound.key == nil {
		return token.Confirmation{}
	}
	return *b.bound.key
}

// offers is what challenges say of the scheme DPoP, where the token did not come under it and where it did.
type offers struct {
	plain, came refuse.DPoP
	nonces      bool // answers have them
}

// newOffers returns nil if no token is taken under the scheme DPoP.
func newOffers(sd *side) *offers {
	if len(sd.proving) == 0 {
		return nil
	}
	var all offers
	all.plain = refuse.DPoP{Algorithms: dpop.Algorithms(), Only: sd.onlyDPoP}
	all.came = all.plain
	all.came.Came = true
	all.nonces = slices.ContainsFunc(sd.proving, func(p proving) bool { return p.settings.WantsNonce() })
	return &all
}

// offer adds to a challenge what it says of the scheme DPoP. The challenge may be shared, and may be nil.
func (s *Snapshot) offer(c *refuse.Challenge, f token.Found) *refuse.Challenge {
	if s.offers == nil {
		return c
	}
	var out refuse.Challenge
	if c != nil {
		out = *c
	}
	if out.DPoP = &s.offers.plain; f.DPoP {
		out.DPoP = &s.offers.came
	}
	return &out
}
