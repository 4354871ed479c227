package token

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/fips140"
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"weak"
)

const (
	// p256After is how many tokens a key has to verify before it gets a table: one costs as much as twenty signatures.
	p256After = 32
	// p256MaxTables is how many keys have a table at one time, which bounds what they take to 2.2 MiB.
	p256MaxTables = 16
)

// p256Key is a P-256 public key, with a table of its multiples once it has verified enough to be worth one. It is safe
// for concurrent use.
type p256Key struct {
	public *ecdsa.PublicKey
	point  [65]byte // uncompressed (SEC 1 section 2.3.3)
	tables *p256Tables
	table  atomic.Pointer[p256Table] // nil: crypto/ecdsa does the work
	worked atomic.Uint64             // signatures that it did
}

// newP256Key prepares a key for es256. It is nil where another verifier has to do the work: in FIPS 140 mode, which
// wants the module's own arithmetic, and for a key that is of another curve or of none.
func newP256Key(public *ecdsa.PublicKey, tables *p256Tables) *p256Key {
	if fips140.Enabled() || public.Curve != elliptic.P256() {
		return nil
	}
	point, err := public.Bytes() // refuses what is not on the curve
	if err != nil {
		return nil
	}
	k := &p256Key{public: public, point: [65]byte(point), tables: tables}
	k.table.Store(tables.find(k.point))
	return k
}

// es256 verifies ECDSA with P-256 and SHA-256 (RFC 7518 section 3.4) with prepared keys. Other keys, and keys that have
// no table, go to another verifier.
type es256 struct{ other verifier }

// Verify checks one signature.
func (v es256) Verify(payload, signature []byte, key any) error {
	k, ok := key.(*p256Key)
	if !ok {
		return v.other.Verify(payload, signature, key)
	}
	if len(signature) != 64 {
		return errSignature
	}
	if t := k.table.Load(); t != nil {
		digest := sha256.Sum256(payload)
		if !t.verify(&digest, (*[64]byte)(signature)) {
			return errSignature
		}
		return nil
	}
	if err := v.other.Verify(payload, signature, k.public); err != nil {
		return err
	}
	if k.worked.Add(1)%p256After == 0 { // again later, if there was no room for one more
		k.table.Store(k.tables.take(k.point))
	}
	return nil
}

// p256Tables hands out tables: one to all who have the same key, so that a new snapshot goes on with the one of the old,
// and few at a time. Those that nobody has any more make room. It is safe for concurrent use.
type p256Tables struct {
	mu   sync.Mutex
	live map[[65]byte]weak.Pointer[p256Table] // guarded by mu
}

// sharedP256Tables are the tables of this process.
var sharedP256Tables p256Tables

// find returns the table of a key that has one, or nil.
func (s *p256Tables) find(point [65]byte) *p256Table {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live[point].Value()
}

// take returns the table of a key, a new one if it has none; nil if as many others have one as may.
func (s *p256Tables) take(point [65]byte) *p256Table {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.live[point].Value(); t != nil {
		return t
	}
	for other, t := range s.live {
		if t.Value() == nil {
			delete(s.live, other)
		}
	}
	if len(s.live) >= p256MaxTables {
		return nil
	}
	if s.live == nil {
		s.live = map[[65]byte]weak.Pointer[p256Table]{}
	}
	t := newP256Table(point[:])
	s.live[point] = weak.Make(t)
	return t
}
