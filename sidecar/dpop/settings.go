package dpop

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/token"
)

// Settings are what an issuer entry wants of proofs. They are immutable and safe for concurrent use.
type Settings struct {
	urls         []string // normal, without a slash at their end
	written      []string // the same as the policy has them
	maxAge, skew time.Duration
	once         bool
	wantsNonce   bool
	nonces       *Nonces // nil: there are none, or none yet
}

// NewSettings returns those of an issuer, with the secrets that nonces are made with, none while they have not been read; nil if it takes no tokens that are bound by DPoP.
func NewSettings(spec *policy.Issuer, secrets [][]byte) (*Settings, error) {
	if !spec.TakesDPoP() {
		return nil, nil //nolint:nilnil // no settings are what takes no proofs
	}
	s := &Settings{
		written: spec.Proof.PublicURLs, maxAge: decision.DefaultProofAge, skew: token.DefaultSkew,
		once: spec.Proof.Replay != policy.ReplayNone, wantsNonce: spec.Proof.WantsNonce(), nonces: NewNonces(secrets),
	}
	for i, u := range spec.Proof.PublicURLs {
		n, ok := normal(u)
		if !ok {
			return nil, fmt.Errorf("proof.publicURLs[%d]: is no URL to compare with", i)
		}
		s.urls = append(s.urls, strings.TrimSuffix(n, "/"))
	}
	if d := spec.Proof.MaxAge; d != nil {
		s.maxAge = d.Duration
	}
	if d := spec.ClockSkew; d != nil {
		s.skew = d.Duration
	}
	return s, nil
}

// Same reports whether both want the same.
func (s *Settings) Same(other *Settings) bool {
	return slices.Equal(s.urls, other.urls) && s.maxAge == other.maxAge && s.skew == other.skew && s.once == other.once &&
		s.wantsNonce == other.wantsNonce && s.nonces.same(other.nonces)
}

// WantsNonce reports whether proofs need a nonce.
func (s *Settings) WantsNonce() bool { return s.wantsNonce }

// Once reports whether a proof may be used once only.
func (s *Settings) Once() bool { return s.once }

// Longer returns those of the two that take a proof for longer; other may be nil.
func (s *Settings) Longer(other *Settings) *Settings {
	if other != nil && other.maxAge+other.skew > s.maxAge+s.skew {
		return other
	}
	return s
}

// Check holds a proof against the settings (RFC 9449 section 4.3, points 9 and 11). path is that of the request as it was
// sent; it must not be empty.
func (s *Settings) Check(p *Proof, path string, now time.Time) decision.Refusal {
	switch {
	case now.Add(s.skew).Before(p.issued):
		return decision.Refusal{Reason: decision.BadProof, Cause: timing{"is in the future", p.issued, now, s.skew, "clockSkew"}}
	case now.After(p.issued.Add(s.maxAge + s.skew)):
		return decision.Refusal{Reason: decision.BadProof, Cause: timing{"is longer ago than proof.maxAge", p.issued, now, s.maxAge, "proof.maxAge"}}
	case !p.expires.IsZero() && !now.Before(p.expires.Add(s.skew)): // no proof needs exp or nbf, but any JWT may have them (RFC 7519 section 4.1.4)
		return bad("has an exp that has passed")
	case now.Add(s.skew).Before(p.begins):
		return bad("has an nbf in the future")
	}
	path, ok := normalPath(path)
	if !ok {
		return bad("cannot name this request's path, which is no URI")
	}
	url, ok := normal(p.url)
	if ok && slices.ContainsFunc(s.urls, func(base string) bool { return joins(url, base, path) }) {
		return s.checkNonce(p, now)
	}
	return differs("htu is not the URL of the request", p.url, s.expected()...)
}

// checkNonce holds the proof's nonce against those that were given (RFC 9449 section 9).
func (s *Settings) checkNonce(p *Proof, now time.Time) decision.Refusal {
	switch {
	case !s.wantsNonce:
		return decision.Refusal{}
	case s.nonces == nil:
		return decision.Refusal{Reason: decision.KeysUnavailable, Cause: decision.Because("what nonces are made with (proof.nonce, proof.nonceSecretRef) has not been read yet")}
	case p.nonce == "":
		return decision.Refusal{Reason: decision.UseNonce, Cause: decision.Because("the proof has no nonce; proof.nonce wants one")}
	case !s.nonces.good(p.nonce, now, s.maxAge+s.skew):
		return decision.Refusal{Reason: decision.UseNonce, Cause: decision.Because("the proof's nonce is none that was given within proof.maxAge")}
	}
	return decision.Refusal{}
}

// Nonce returns a nonce for the next proof; empty: none is wanted, or none can be made.
func (s *Settings) Nonce(now time.Time) string {
	if s.nonces == nil {
		return ""
	}
	return s.nonces.make(now)
}

// joins reports whether a URL is a base with a path after it. An app that is mounted at the base is reached with and without a
// slash.
func joins(url, base, path string) bool {
	rest, ok := strings.CutPrefix(url, base)
	return ok && (rest == path || rest == "" && path == "/")
}

// expected lists the URLs that would have been right, without the request's own part: that is the client's.
func (s *Settings) expected() []string {
	out := make([]string, 0, len(s.written))
	for _, u := range s.written {
		out = append(out, strings.TrimSuffix(u, "/")+" and the request's path")
	}
	return out
}

// end is when a proof stops to be fresh.
func (s *Settings) end(p *Proof) time.Time { return p.issued.Add(s.maxAge + s.skew) }
