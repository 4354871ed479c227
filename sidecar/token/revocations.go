package token

import (
	"math"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/revoked"
)

// kinds are what a token can be taken back by.
var kinds = [...]revoked.Kind{revoked.JTI, revoked.Subject, revoked.Session}

// takenBack says by what a token is taken back, in the order of kinds.
var takenBack = [len(kinds)]decision.Because{
	"a TokenRevocation takes it back by its jti", "a TokenRevocation takes it back by its sub", "a TokenRevocation takes it back by its sid",
}

// Marks are what is needed of a token to tell whether it is taken back: they take the place of the token's own texts where a token is
// kept, whichever revocations come later. The zero Marks are of a token that nothing takes back.
type Marks struct {
	keys   [len(kinds)]revoked.Key // by kind; zero: the token has no such claim
	issued uint32                  // iat, in seconds since 1970 until 2106; notIssued without one
}

// notIssued is before every time, so that an entry with issuedBefore takes back tokens without iat too.
const notIssued = 0

// MarksOf returns those of a token, by its jti, sub and sid, each together with its iss.
func MarksOf(v *Verified) Marks {
	m := Marks{issued: notIssued}
	if !v.IssuedAt.IsZero() {
		m.issued = uint32(min(max(v.IssuedAt.Unix(), notIssued+1), math.MaxUint32-1)) //nolint:gosec // is within
	}
	for i, value := range [len(kinds)]string{v.JTI, v.Subject, v.Session} {
		if value != "" {
			m.keys[i] = revoked.KeyOf(kinds[i], v.Issuer, value)
		}
	}
	return m
}

// Revoked refuses a token with these marks if an entry that has not expired takes it back. A nil set takes nothing back. It does not
// allocate.
func Revoked(s *revoked.Set, m *Marks, now time.Time) decision.Refusal {
	if s.Len() == 0 {
		return decision.Refusal{}
	}
	at := now.Unix()
	for i := range m.keys {
		if s.Revokes(m.keys[i], int64(m.issued), at) {
			return because(decision.Revoked, takenBack[i])
		}
	}
	return decision.Refusal{}
}
