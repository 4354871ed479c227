package gate

import (
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/departed"
	"github.com/bearerguard/bearerguard/sidecar/token"
)

// finding is what verification found out about one token.
type finding struct {
	refusal  decision.Refusal // zero: verified
	issuer   int              // bit of the issuer that the refusal is from, plus one; 0: it is from none
	keyID    string           // of the header, unless verified
	unknown  []string         // ids of key sources whose keys do not verify the token, and others could
	verified token.Verified
	by       decision.IssuerSet // the issuers that vouch for it
	until    time.Time          // when it stops to be good; zero: never
	fresh    time.Time          // when its issuer has to be asked again; zero: it is not asked
	question *question          // what is to be found out first; nil: nothing
}

// who verifies the token, or takes it from the cache. Only verified tokens are cached. Nothing that is cached refers to
// the memory of the request.
func (s *Snapshot) who(sd *side, found token.Found, r *decision.Request) *bearer {
	if b := s.cache.Get(found.Raw, sd.place(found), r.Now); b != nil {
		if b.common.asked {
			s.answers.used.Add(1)
		}
		return b
	}
	if !r.Budget.Bounded() {
		return s.meet(sd, found, nil, r.Now)
	}
	text, ok := s.affords(sd, found, r)
	if !ok {
		return &unknown
	}
	return s.meet(sd, found, text, r.Now)
}

// of is what was found out with another request's copy of a token, for this one: the other may be over, and its memory in use again.
func (f *finding) of(found token.Found) *finding {
	if f.question == nil {
		return f
	}
	own, q := *f, *f.question
	q.found, own.question = found, &q
	return &own
}

// meet verifies a token that is not in the cache; once, however many requests bring it at the same time. The text is nil if it was
// not read yet.
func (s *Snapshot) meet(sd *side, found token.Found, t *text, now time.Time) *bearer {
	mine := false // else somebody else's request has found it out meanwhile
	b := s.cache.Fill(found.Raw, sd.place(found), now, func(raw string) token.Entry[bearer] {
		mine = true
		f := s.verify(sd, raw, t, found, now)
		if f.refusal.Refused() {
			return token.Entry[bearer]{Value: bearer{refused: f}}
		}
		b, bytes := s.newBearer(f)
		return token.Entry[bearer]{Value: b, Bytes: bytes, Expiry: earlier(f.until, f.fresh), Keep: true}
	})
	switch {
	case mine:
	case b.refused != nil:
		b = &bearer{refused: b.refused.of(found)}
	case b.common.asked:
		s.answers.used.Add(1)
	}
	return b
}

// verify finds out about a token: by keys, or by what its issuer has said of it when asked.
func (s *Snapshot) verify(sd *side, raw string, t *text, found token.Found, now time.Time) *finding {
	if sd.asks && token.Opaque(raw) {
		if no := token.CheckOpaque(raw); no.Refused() {
			return &finding{refusal: no}
		}
		return s.recall(sd, found, nil, now)
	}
	if t == nil {
		t = read(raw)
	}
	switch {
	case t.refusal.Refused():
		return &finding{refusal: t.refusal}
	case sd.asks && sd.introspects(t.token):
		return s.recall(sd, found, t.token, now)
	}
	return sd.verify(t.token, found, now)
}

// verify tries every issuer that the token may be from and that takes tokens from the place where it was found. The
// token is good if one of them says so, and then all that do count. If none does, the reason is that of the issuer
// with which it got furthest.
func (sd *side) verify(t *token.Token, found token.Found, now time.Time) *finding {
	f := &finding{refusal: decision.Refusal{Reason: decision.UnknownIssuer}, keyID: t.KeyID()}
	var by decision.IssuerSet
	var until time.Time
	for i, is := range sd.issuers {
		if !is.verifier.Wants(t) {
			continue
		}
		if !found.Takers.Has(i) {
			f.further(decision.Refusal{Reason: decision.WrongLocation, Cause: sd.locator.Elsewhere(found, i, is.name)}, is.bit)
			continue
		}
		v, no := is.verifier.Verify(t, now)
		if no.Refused() {
			f.further(no, is.bit)
			if is.source != "" && is.verifier.WantsOtherKeys(t, no.Reason) {
				f.unknown = append(f.unknown, is.source)
			}
			continue
		}
		f.vouch(v, by == 0)
		by = by.With(is.bit)
		until = earlier(until, v.Expiry)
		if is.maxAge > 0 {
			until = earlier(until, v.IssuedAt.Add(is.maxAge))
		}
	}
	switch {
	case by != 0:
		f.refusal, f.unknown, f.by, f.until = decision.Refusal{}, nil, by, until
	case f.refusal.Reason == decision.UnknownIssuer && f.refusal.Cause == nil:
		f.refusal.Cause = sd.stranger(t)
	}
	return f
}

// vouch takes over what an issuer, the first or a further one, has found of the token.
func (f *finding) vouch(v token.Verified, first bool) {
	if first {
		f.verified = v
		return
	}
	if v.Pod != (departed.UID{}) || v.Account != (departed.UID{}) {
		f.verified.Pod, f.verified.Account = v.Pod, v.Account
	}
	if f.verified.Issuer == "" { // of a JWT-SVID, its trust domain stands for it, which not every issuer knows
		f.verified.Issuer = v.Issuer
	}
}

// stranger is why no issuer wants a token.
func (sd *side) stranger(t *token.Token) decision.Cause {
	if t.Encrypted() {
		return decision.Because("the token is encrypted (JWE), and no issuer has decryption")
	}
	return t.Stranger(sd.names)
}

// place tells tokens of one text apart that not the same issuers take, for the cache. No issuer is on both sides, so
// neither is a set of them, however it is numbered.
func (sd *side) place(f token.Found) int {
	if sd.audit {
		return ^int(f.Takers)
	}
	return int(f.Takers)
}

// earlier returns the earlier of two times; the zero time is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// further keeps the refusal that came later in the course of a verification. Of a token that got as far as lacking
// keys, nothing better can be said than that they are missing.
func (f *finding) further(no decision.Refusal, issuer int) {
	if progress(no.Reason) > progress(f.refusal.Reason) || no.Reason == f.refusal.Reason && f.refusal.Cause == nil {
		f.refusal, f.issuer = no, issuer+1
	}
}

// progress orders the reasons of a verification by how far it got.
func progress(reason decision.Reason) int {
	switch reason {
	case decision.UnknownIssuer:
		return 0
	case decision.WrongLocation, decision.Inactive:
		return 1
	case decision.AlgorithmNotAllowed, decision.HeaderNotAllowed, decision.WrongType:
		return 2
	case decision.UnknownKey:
		return 3
	case decision.NotDecryptable, decision.Unsigned, decision.NotEncrypted:
		return 4
	case decision.BadSignature:
		return 5
	case decision.WrongAudience:
		return 6
	case decision.KeysUnavailable:
		return 7
	case decision.IntrospectionUnavailable: // whoever was not heard may vouch for it
		return 9
	default: // what is found out once the signature has been verified
		return 8
	}
}
