package revoked

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math"

	"github.com/bearerguard/bearerguard/api/policy"
)

const (
	// Size is that of an encoded entry, in bytes.
	Size = 20
	// Most bounds the entries of a namespace.
	Most = 1_000_000
	// forever stands for a time that an entry does not have: whenever issued, and never over.
	forever = math.MaxUint32
)

// Kind is what a token can be taken back by.
type Kind byte

// The kinds.
const (
	JTI     Kind = 'j'
	Subject Kind = 's'
	Session Kind = 'i'
)

// Key stands for kind, issuer and value. The zero Key is none.
type Key [12]byte

// KeyOf returns the key of a claim's value, in tokens of an issuer. It does not allocate for texts of usual length.
func KeyOf(kind Kind, issuer, value string) (k Key) {
	var space [256]byte
	text := append(space[:0], byte(kind))
	text = binary.BigEndian.AppendUint32(text, uint32(len(issuer))) //nolint:gosec // far below; so that issuer and value cannot run into each other
	text = append(text, issuer...)
	text = append(text, value...)
	sum := sha256.Sum256(text)
	copy(k[:], sum[:])
	return k
}

// Record is an encoded entry: its key, issuedBefore and expiresAt. Times are whole seconds since 1970, big-endian, the longest being
// the year 2106.
type Record [Size]byte

// RecordOf returns the record of an entry; false if it names nothing, or more than one thing.
func RecordOf(issuer string, e *policy.RevocationEntry) (r Record, ok bool) {
	var k Key
	named := 0
	for _, by := range [...]struct {
		kind  Kind
		value string
	}{{JTI, e.JTI}, {Subject, e.Subject}, {Session, e.Session}} {
		if by.value != "" {
			k = KeyOf(by.kind, issuer, by.value)
			named++
		}
	}
	if named != 1 || issuer == "" {
		return r, false
	}
	copy(r[:], k[:])
	binary.BigEndian.PutUint32(r[12:], seconds(e.IssuedBefore))
	binary.BigEndian.PutUint32(r[16:], seconds(e.ExpiresAt))
	return r, true
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
	return uint32(min(max(s, 1), forever)) //nolint:gosec // is within
}

func (r *Record) issuedBefore() uint32 { return binary.BigEndian.Uint32(r[12:]) }
func (r *Record) expires() uint32      { return binary.BigEndian.Uint32(r[16:]) }

// over reports whether the entry has expired at a time, in seconds since 1970.
func (r *Record) over(at int64) bool {
	e := r.expires()
	return e != forever && at >= int64(e)
}

// takes reports whether the entry takes back, at a time, tokens issued at another.
func (r *Record) takes(issued, at int64) bool {
	before := r.issuedBefore()
	return !r.over(at) && (before == forever || issued < int64(before))
}

func (r *Record) key() Key { return Key(r[:12]) }

func compare(a, b Record) int { return bytes.Compare(a[:], b[:]) }
