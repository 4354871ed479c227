package gate

import (
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/departed"
	"github.com/bearerguard/bearerguard/sidecar/token"
)

// bearer is what verification found out about one token: who it is, or why it is refused. It is immutable, so that it
// can be cached and shared. The nil bearer is a request without a token.
type bearer struct {
	reason   decision.Reason // empty: verified
	keyID    string
	verified token.Verified
	subject  *decision.Subject
	fields   []Field
	unknown  []string  // ids of key sources that lack the token's key
	until    time.Time // when it stops to be good; zero: never
}

// who verifies the token, or takes it from the cache. Only verified tokens are cached. Nothing that is cached refers to
// the memory of the request.
func (s *Snapshot) who(sd *side, found token.Found, now time.Time) *bearer {
	if b, ok := s.cache.Get(found.Raw, found.Location+sd.offset, now); ok {
		return b
	}
	return s.meet(sd, found, now)
}

// meet verifies a token that is not in the cache; once, however many requests bring it at the same time.
func (s *Snapshot) meet(sd *side, found token.Found, now time.Time) *bearer {
	return s.cache.Fill(found.Raw, found.Location+sd.offset, now, func(raw string) token.Entry[*bearer] {
		b, expiry := s.verify(sd, raw, found.Location, now)
		return token.Entry[*bearer]{Value: b, Bytes: b.size(len(raw)), Expiry: expiry, Keep: b.reason == ""}
	})
}

// verify tries every issuer that the token may be from and that takes tokens from the place where it was found. The
// token is good if one of them says so, and then all that do count. If none does, the reason is that of the issuer
// with which it got furthest.
func (s *Snapshot) verify(sd *side, raw string, location int, now time.Time) (*bearer, time.Time) {
	t, reason := token.Parse(raw)
	if reason != "" {
		return &bearer{reason: reason}, time.Time{}
	}
	b := &bearer{reason: decision.UnknownIssuer, keyID: t.KeyID()}
	var set decision.IssuerSet
	var expiry time.Time
	for i, is := range sd.issuers {
		if !is.verifier.Wants(t) {
			continue
		}
		if !sd.locator.Accepts(i, location) {
			b.further(decision.WrongLocation)
			continue
		}
		v, reason := is.verifier.Verify(t, now)
		if reason != "" {
			b.further(reason)
			if reason == decision.UnknownKey {
				b.unknown = append(b.unknown, is.source)
			}
			continue
		}
		if set == 0 {
			b.verified = v
		} else if v.Pod != (departed.UID{}) || v.Account != (departed.UID{}) {
			b.verified.Pod, b.verified.Account = v.Pod, v.Account
		}
		set = set.With(is.bit)
		expiry = earlier(expiry, v.Expiry)
		if is.maxAge > 0 {
			expiry = earlier(expiry, v.IssuedAt.Add(is.maxAge))
		}
	}
	if set == 0 {
		return b, time.Time{}
	}
	claims := decision.Claims(b.verified.Claims)
	b.reason, b.keyID, b.unknown, b.until = "", b.verified.KeyID, nil, expiry
	b.subject = s.program.Bind(claims, set)
	b.fields = s.writeIdentity(claims, set)
	return b, expiry
}

// earlier returns the earlier of two times; the zero time is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// size estimates what a cached bearer holds, in bytes: the claims are a few times larger than the token, in maps.
func (b *bearer) size(token int) int {
	n := 512 + 4*token
	for _, f := range b.fields {
		n += 32 + len(f.Name) + len(f.Value)
	}
	return n
}

// further keeps the reason that came later in the course of a verification. Of a token that got as far as lacking
// keys, nothing better can be said than that they are missing.
func (b *bearer) further(reason decision.Reason) {
	if progress(reason) > progress(b.reason) {
		b.reason = reason
	}
}

// progress orders the reasons of a verification by how far it got.
func progress(reason decision.Reason) int {
	switch reason {
	case decision.UnknownIssuer:
		return 0
	case decision.WrongLocation:
		return 1
	case decision.AlgorithmNotAllowed, decision.HeaderNotAllowed, decision.WrongType:
		return 2
	case decision.UnknownKey:
		return 3
	case decision.NotDecryptable, decision.Unsigned:
		return 4
	case decision.BadSignature:
		return 5
	case decision.WrongAudience:
		return 6
	case decision.KeysUnavailable:
		return 7
	default: // what is found out once the signature has been verified
		return 8
	}
}
