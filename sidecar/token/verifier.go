package token

import (
	"errors"
	"fmt"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/decision/spiffe"
	"github.com/bearerguard/bearerguard/api/departed"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
)

// Bounds and defaults of a verifier.
const (
	// DefaultSkew is tolerated when comparing times.
	DefaultSkew = 30 * time.Second
	// MaxSkew is the most that an issuer can tolerate.
	MaxSkew = 5 * time.Minute
	// MaxTries is how many keys a token is tried against.
	MaxTries = 8
)

// Config is what one issuer's verifier is made from.
type Config struct {
	// Issuer as the policy has it.
	Issuer policy.Issuer
	// Keys verify signatures; nil while they are not resolved: tokens then get KeysUnavailable, as they do while no key fits
	// an algorithm of the issuer.
	Keys *keyset.Set
	// Decryption keys; nil when the issuer takes no encrypted tokens, or while they are not resolved.
	Decryption *keyset.Set
}

// Verifier verifies tokens of one issuer. It is immutable and safe for concurrent use.
type Verifier struct {
	issuer          string
	anyIssuer       bool
	audiences       []string
	anyAudience     bool
	types           []string
	required        []decision.ClaimPath
	skew, maxAge    time.Duration
	allowMissingExp bool
	profile         policy.Profile
	kubernetes      bool // this cluster's service accounts
	bound           bool // they must be bound to a pod
	bindings        bindings
	trustDomain     string // of JWT-SVIDs; empty: it takes none

	name   string            // of the issuer in its policy
	algs   map[string]scheme // JWS algorithms
	listed []string          // those of the policy
	keys   *choice           // nil: unresolved
	opening

	introspects, signed bool // the issuer is asked about tokens, its answers are signed
}

// NewVerifier checks the issuer's token settings and prepares its keys. An error names the field below the issuer.
func NewVerifier(c Config) (*Verifier, error) {
	i := c.Issuer
	v := &Verifier{
		issuer: i.Issuer, anyIssuer: i.AnyIssuer, audiences: i.Audiences, anyAudience: i.AnyAudience,
		skew: DefaultSkew, allowMissingExp: i.AllowMissingExp, algs: map[string]scheme{},
		name: i.Name, bindings: newBindings(i.Proof),
	}
	if in := i.Introspection; in != nil {
		v.introspects, v.signed = true, in.SignedResponse
	}
	if k := i.Keys.Kubernetes; k != nil {
		v.kubernetes, v.bound = true, !k.AllowUnbound
	}
	if s := i.Keys.SPIFFE; s != nil {
		v.trustDomain, v.anyIssuer = s.TrustDomain, i.Issuer == ""
	}
	if (i.Issuer == "") != i.AnyIssuer && v.trustDomain == "" {
		return nil, errors.New("issuer: give issuer or anyIssuer: true, exactly one of the two")
	}
	if (len(i.Audiences) == 0) != i.AnyAudience {
		return nil, errors.New("audiences: give audiences or anyAudience: true, exactly one of the two")
	}
	if c := decision.ProfileConflicts(&i); len(c) > 0 {
		return nil, fmt.Errorf("%s: %s; want %s", c[0].Field, c[0].Problem, c[0].Want)
	}
	if err := v.times(i); err != nil {
		return nil, err
	}
	if err := v.lists(i); err != nil {
		return nil, err
	}
	if typ := decision.ProfileType(i.Profile); typ != "" {
		v.profile, v.types = i.Profile, []string{typ}
	}
	if err := v.algorithms(i.Algorithms); err != nil {
		return nil, err
	}
	if err := v.opening.read(i.Decryption); err != nil {
		return nil, err
	}
	if c.Keys != nil && keyset.Serves(c.Keys.Algorithms(), &i) == nil {
		v.keys = newChoice(c.Keys)
	}
	v.decryption = newChoice(c.Decryption)
	return v, nil
}

// lists reads types and requiredClaims.
func (v *Verifier) lists(i policy.Issuer) error {
	for n, t := range i.Types {
		if t == "" {
			return fmt.Errorf("types[%d]: is empty; want a typ such as at+jwt", n)
		}
		v.types = append(v.types, mediaType(t))
	}
	for n, p := range i.RequiredClaims {
		path, err := decision.ParseClaimPath(p)
		if err != nil {
			return fmt.Errorf("requiredClaims[%d]: %w", n, err)
		}
		v.required = append(v.required, path)
	}
	return nil
}

// times reads clockSkew and maxAge.
func (v *Verifier) times(i policy.Issuer) error {
	if i.ClockSkew != nil {
		if v.skew = i.ClockSkew.Duration; v.skew < 0 || v.skew > MaxSkew {
			return fmt.Errorf("clockSkew: is %s; want 0s to %s", v.skew, MaxSkew)
		}
	}
	if i.MaxAge != nil {
		if v.maxAge = i.MaxAge.Duration; v.maxAge <= 0 {
			return fmt.Errorf("maxAge: is %s; want more than 0s", v.maxAge)
		}
	}
	return nil
}

// algorithms settles which JWS algorithms are allowed.
func (v *Verifier) algorithms(listed []policy.Algorithm) error {
	for _, a := range defaultAlgorithms() {
		if len(listed) == 0 && (v.trustDomain == "" || policy.Algorithm(a).SVID()) {
			v.algs[a] = newScheme(a)
		}
	}
	for n, a := range listed {
		if !knownJWS(string(a)) {
			return fmt.Errorf("algorithms[%d]: %q is not an algorithm that is verified; want RS256, ES256, EdDSA or such", n, a)
		}
		v.algs[string(a)] = newScheme(string(a))
		v.listed = append(v.listed, string(a))
	}
	return nil
}

// Wants reports whether the token may be this issuer's, by its unverified iss or because it is encrypted and the issuer
// decrypts. It costs next to nothing; Verify says UnknownIssuer or NotDecryptable to the others.
func (v *Verifier) Wants(t *Token) bool {
	if v.introspects {
		return false
	}
	if t.header.encrypted {
		return v.decrypts
	}
	if v.trustDomain != "" && !ofTrustDomain(t.jws.claims.sub, v.trustDomain) {
		return false
	}
	return v.anyIssuer || t.jws.claims.hasIss && t.jws.claims.iss == v.issuer
}

// Verified is what a genuine token says.
type Verified struct {
	// Claims are all claims of the token.
	Claims decision.Claims
	// Issuer is "iss", or for a JWT-SVID without it the SPIFFE ID of its trust domain, Subject "sub", JTI "jti", Session "sid"; KeyID is the id of the key that verified the token, or of
	// the one that decrypted it where it is not signed. Empty if absent.
	Issuer, Subject, JTI, Session, KeyID string
	// Expiry is when the token begins to be refused: exp, or iat plus maxAge, plus the clock skew. Zero: never.
	Expiry time.Time
	// IssuedAt is "iat"; zero if absent.
	IssuedAt time.Time
	// Pod and Account are what a service-account token of this cluster is bound to; zero for any other token.
	Pod, Account departed.UID
	// Confirmation is the keys that the client has to prove for each request.
	Confirmation Confirmation
}

// Verify verifies the token at the given time. The zero Refusal means that it is genuine and valid now.
//
// What is cheap comes first: issuer, type, claims, algorithm; then one key is chosen (at most 8 without a kid) and the
// cryptography is done, once for a token and a key however many verifiers ask. So a token that is both expired and
// forged is Expired.
func (v *Verifier) Verify(t *Token, now time.Time) (Verified, decision.Refusal) {
	switch {
	case v.introspects: // its keys, if any, sign answers
		return Verified{}, because(decision.UnknownIssuer, "the issuer is asked about its tokens (introspection); none is verified here")
	case t.header.encrypted:
		return v.decrypt(t, now)
	case v.encryptedOnly:
		return Verified{}, because(decision.NotEncrypted, "the token is signed only (JWS); decryption.required wants an encrypted one (JWE)")
	}
	return v.verifySigned(t, now)
}

// WantsOtherKeys reports whether a token that was refused for a reason could be genuine by keys that the issuer has, and
// the verifier has not: one with a new key id, or one whose key was replaced and kept its id.
func (v *Verifier) WantsOtherKeys(t *Token, reason decision.Reason) bool {
	switch reason { //nolint:exhaustive // no other is about keys
	case decision.UnknownKey, decision.BadSignature:
		return true
	case decision.AlgorithmNotAllowed: // by the key of that id, and not by the issuer
		_, listed := v.algs[t.header.alg]
		return listed && !t.header.encrypted
	}
	return false
}

// verifySigned verifies a JWS.
func (v *Verifier) verifySigned(t *Token, now time.Time) (Verified, decision.Refusal) {
	if no := v.accepts(&t.header, &t.jws.claims, now); no.Refused() {
		return Verified{}, no
	}
	keyID, no := v.signedBy(t)
	if no.Refused() {
		return Verified{}, no
	}
	return v.verified(&t.jws.claims, keyID), decision.Refusal{}
}

// signedBy finds the key that signed a JWS and returns its id.
func (v *Verifier) signedBy(t *Token) (string, decision.Refusal) {
	scheme, ok := v.algs[t.header.alg]
	if !ok {
		return "", v.unlisted(t.header.alg)
	}
	if v.keys == nil {
		return "", refuse(decision.KeysUnavailable, fault{subject: "the keys of issuer " + v.name, problem: "have not been read yet"})
	}
	keys, no := v.keys.pick(t.header.kid, t.header.alg)
	if no.Refused() {
		return "", no
	}
	for _, k := range keys {
		if t.jws.verified.do(k, func() bool { return scheme.verify(t.jws.input, t.jws.signature, v.keys.material(k, scheme)) }) {
			if !t.familiar {
				familiarHeaders.keep(t.parts[0], &t.header)
			}
			return k.ID, decision.Refusal{}
		}
	}
	return "", decision.Refusal{Reason: decision.BadSignature, Cause: keying{
		problem: "the signature does not verify", kid: t.header.kid, label: "tried", keys: keys,
	}}
}

// unlisted is the Refusal of an algorithm that the issuer does not allow.
func (v *Verifier) unlisted(alg string) decision.Refusal {
	f := fault{subject: "alg", problem: "is " + alg + ", which algorithms does not list", wants: v.listed}
	if len(v.listed) == 0 {
		f.problem = "is " + alg + ", which is taken only where algorithms lists it"
	}
	return refuse(decision.AlgorithmNotAllowed, f)
}

// accepts checks what needs no key: issuer, type and claims.
func (v *Verifier) accepts(h *header, r *registered, now time.Time) decision.Refusal {
	switch {
	case !v.anyIssuer && (!r.hasIss || r.iss != v.issuer):
		return decision.Refusal{Reason: decision.UnknownIssuer, Cause: stranger{iss: r.iss, has: r.hasIss, issuers: []Named{{Issuer: v.issuer}}}}
	case h.cty == "jwt" && !h.encrypted:
		return because(decision.WrongType, "cty is JWT: the payload is a token of its own, and the outer one is not encrypted")
	}
	if no := v.checkType(h); no.Refused() {
		return no
	}
	return v.check(r, now)
}

func (v *Verifier) verified(r *registered, keyID string) Verified {
	out := Verified{
		Claims: r.all, Issuer: r.iss, Subject: r.sub, JTI: r.jti, Session: r.sid, KeyID: keyID, Confirmation: confirmationOf(r.all),
	}
	if v.trustDomain != "" && !r.hasIss {
		out.Issuer = spiffe.Scheme + v.trustDomain
	}
	if v.kubernetes {
		out.Pod, out.Account = objectUID(r.all, "pod"), objectUID(r.all, "serviceaccount")
	}
	if r.exp.has {
		out.Expiry = r.exp.at.Add(v.skew)
	}
	if r.iat.has {
		out.IssuedAt = r.iat.at
		// One nanosecond more: at iat+maxAge itself the token is still good.
		if end := r.iat.at.Add(v.maxAge + v.skew + 1); v.maxAge > 0 && (out.Expiry.IsZero() || end.Before(out.Expiry)) {
			out.Expiry = end
		}
	}
	return out
}
