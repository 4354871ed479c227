package token

import (
	"hash/maphash"
	"math"
	"math/bits"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

// Revocations are tokens that were taken back: an immutable hash table of 16 bytes a slot, filled to four fifths, so
// 20 bytes an entry whatever its texts. It is safe for concurrent use.
//
// An entry is known by a keyed 63-bit hash of issuer, kind and value. With a million entries, a token that nobody took
// back is refused with a probability of about 10^-13, and nobody can aim at it, since every table has a new key.
type Revocations struct {
	seed  maphash.Seed
	slots []revoked
	n     int
}

// revoked is one slot. Times are whole seconds since 1970, rounded up, the longest being the year 2106.
type revoked struct {
	hash         uint64 // 0: empty
	issuedBefore uint32 // forever: whenever issued
	expires      uint32 // forever: never pruned
}

const forever = math.MaxUint32

// The kinds of entries.
const (
	byJTI     = 'j'
	bySubject = 's'
	bySession = 'i'
)

// NewRevocations compiles the entries, without those whose expiresAt has passed.
func NewRevocations(list []policy.Revocation, now time.Time) *Revocations {
	total := 0
	for _, r := range list {
		total += len(r.Entries)
	}
	t := &Revocations{seed: maphash.MakeSeed(), slots: make([]revoked, total+total/4+1)}
	for _, r := range list {
		for i := range r.Entries {
			t.add(r.Issuer, &r.Entries[i], now)
		}
	}
	return t
}

// Len returns the number of entries held.
func (t *Revocations) Len() int { return t.n }

// Bytes returns the size of the table in bytes.
func (t *Revocations) Bytes() int { return len(t.slots) * 16 }

func (t *Revocations) add(issuer string, e *policy.RevocationEntry, now time.Time) {
	if e.ExpiresAt != nil && !now.Before(e.ExpiresAt.Time) {
		return
	}
	r := revoked{issuedBefore: seconds(e.IssuedBefore), expires: seconds(e.ExpiresAt)}
	switch {
	case e.JTI != "":
		r.hash = t.hash(issuer, byJTI, e.JTI)
	case e.Subject != "":
		r.hash = t.hash(issuer, bySubject, e.Subject)
	case e.Session != "":
		r.hash = t.hash(issuer, bySession, e.Session)
	default:
		return
	}
	i := t.home(r.hash)
	for ; t.slots[i].hash != 0; i = t.after(i) {
		// Of two entries for the same tokens, one that says nothing more is left out.
		if have := &t.slots[i]; have.hash == r.hash {
			if r.covers(*have) {
				*have = r
				return
			}
			if have.covers(r) {
				return
			}
		}
	}
	t.slots[i] = r
	t.n++
}

// covers reports whether every token that other takes back at some time, r takes back then too.
func (r revoked) covers(other revoked) bool {
	return r.issuedBefore >= other.issuedBefore && r.expires >= other.expires
}

// seconds rounds up: an entry acts for up to a second longer than it says, never shorter.
func seconds(t *policy.Time) uint32 {
	if t == nil {
		return forever
	}
	s := t.Unix()
	if t.Nanosecond() > 0 {
		s++
	}
	return uint32(min(max(s, 0), forever))
}

// hash is never 0, which marks an empty slot.
func (t *Revocations) hash(issuer string, kind byte, value string) uint64 {
	var h maphash.Hash
	h.SetSeed(t.seed)
	_, _ = h.WriteString(issuer)
	_ = h.WriteByte(0xff) // in no UTF-8 text, so issuer and value cannot run into each other
	_ = h.WriteByte(kind)
	_, _ = h.WriteString(value)
	return h.Sum64() | 1
}

// home is where the search for a hash starts: its place in proportion to the table.
func (t *Revocations) home(hash uint64) int {
	high, _ := bits.Mul64(hash, uint64(len(t.slots)))
	return int(high)
}

func (t *Revocations) after(i int) int {
	if i++; i == len(t.slots) {
		return 0
	}
	return i
}

// Marks are what a table needs to know of a token to tell whether it is taken back: they take the place of the token's
// own texts where a token is kept. They are good for the table that made them alone. The zero Marks are of a token that
// nothing takes back.
type Marks struct {
	hashes [len(kinds)]uint64 // by kind; 0: the token has no such claim
	issued int64              // iat, in seconds since 1970; notIssued without one
}

// kinds are what a token can be taken back by.
var kinds = [...]byte{byJTI, bySubject, bySession}

// notIssued is before every time, so that an entry with issuedBefore takes back tokens without iat too.
const notIssued = math.MinInt64

// Marks returns those of a token, by its jti, sub and sid, each together with its iss.
func (t *Revocations) Marks(v *Verified) Marks {
	if t == nil || t.n == 0 {
		return Marks{}
	}
	m := Marks{issued: notIssued}
	if !v.IssuedAt.IsZero() {
		m.issued = v.IssuedAt.Unix()
	}
	for i, value := range [len(kinds)]string{v.JTI, v.Subject, v.Session} {
		if value != "" {
			m.hashes[i] = t.hash(v.Issuer, kinds[i], value)
		}
	}
	return m
}

// Revoked refuses a token with these marks if an entry that has not expired takes it back. A nil table takes nothing back.
func (t *Revocations) Revoked(m Marks, now time.Time) decision.Refusal {
	if t == nil || t.n == 0 {
		return decision.Refusal{}
	}
	at := now.Unix()
	for i, hash := range m.hashes {
		if hash != 0 && t.lookup(hash, m.issued, at) {
			return because(decision.Revoked, takenBack[i])
		}
	}
	return decision.Refusal{}
}

// takenBack says by what a token is taken back, in the order of kinds.
var takenBack = [len(kinds)]decision.Because{
	"a TokenRevocation takes it back by its jti", "a TokenRevocation takes it back by its sub", "a TokenRevocation takes it back by its sid",
}

func (t *Revocations) lookup(hash uint64, issued, at int64) bool {
	for i := t.home(hash); t.slots[i].hash != 0; i = t.after(i) {
		r := t.slots[i]
		if r.hash != hash || r.expires != forever && at >= int64(r.expires) {
			continue
		}
		if r.issuedBefore == forever || issued < int64(r.issuedBefore) {
			return true
		}
	}
	return false
}
