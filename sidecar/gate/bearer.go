package gate

import (
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/departed"
	"github.com/bearerguard/bearerguard/sidecar/token"
)

// finding is what verification found out about one token.
type finding struct {
	reason   decision.Reason // empty: verified
	keyID    string          // of the header, unless verified
	unknown  []string        // ids of key sources whose keys do not verify the token, and others could
	verified token.Verified
	by       decision.IssuerSet // the issuers that vouch for it
	until    time.Time          // when it stops to be good; zero: never
}

// who verifies the token, or takes it from the cache. Only verified tokens are cached. Nothing that is cached refers to
// the memory of the request.
func (s *Snapshot) who(sd *side, found token.Found, now time.Time) *bearer {
	if b := s.cache.Get(found.Raw, found.Location+sd.offset, now); b != nil {
		return b
	}
	return s.meet(sd, found, now)
}

// meet verifies a token that is not in the cache; once, however many requests bring it at the same time.
func (s *Snapshot) meet(sd *side, found token.Found, now time.Time) *bearer {
	return s.cache.Fill(found.Raw, found.Location+sd.offset, now, func(raw string) token.Entry[bearer] {
		f := s.verify(sd, raw, found.Location, now)
		if f.reason != "" {
			return token.Entry[bearer]{Value: bearer{refused: f}}
		}
		b, bytes := s.newBearer(f)
		return token.Entry[bearer]{Value: b, Bytes: bytes, Expiry: f.until, Keep: true}
	})
}

// verify tries every issuer that the token may be from and that takes tokens from the place where it was found. The
// token is good if one of them says so, and then all that do count. If none does, the reason is that of the issuer
// with which it got furthest.
func (s *Snapshot) verify(sd *side, raw string, location int, now time.Time) *finding {
	t, reason := token.Parse(raw)
	if reason != "" {
		return &finding{reason: reason}
	}
	f := &finding{reason: decision.UnknownIssuer, keyID: t.KeyID()}
	var by decision.IssuerSet
	var until time.Time
	for i, is := range sd.issuers {
		if !is.verifier.Wants(t) {
			continue
		}
		if !sd.locator.Accepts(i, location) {
			f.further(decision.WrongLocation)
			continue
		}
		v, reason := is.verifier.Verify(t, now)
		if reason != "" {
			f.further(reason)
			if is.source != "" && is.verifier.WantsOtherKeys(t, reason) {
				f.unknown = append(f.unknown, is.source)
			}
			continue
		}
		if by == 0 {
			f.verified = v
		} else if v.Pod != (departed.UID{}) || v.Account != (departed.UID{}) {
			f.verified.Pod, f.verified.Account = v.Pod, v.Account
		}
		by = by.With(is.bit)
		until = earlier(until, v.Expiry)
		if is.maxAge > 0 {
			until = earlier(until, v.IssuedAt.Add(is.maxAge))
		}
	}
	if by != 0 {
		f.reason, f.unknown, f.by, f.until = "", nil, by, until
	}
	return f
}

// earlier returns the earlier of two times; the zero time is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// further keeps the reason that came later in the course of a verification. Of a token that got as far as lacking
// keys, nothing better can be said than that they are missing.
func (f *finding) further(reason decision.Reason) {
	if progress(reason) > progress(f.reason) {
		f.reason = reason
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
