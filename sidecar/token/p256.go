package token

import (
	"crypto/elliptic"
	"math/big"
	"sync"

	"filippo.io/nistec"
)

// The multiples of a key are kept for digits of 6 bits with a sign: 43 digits make a number of 256 bits.
const (
	p256Bits   = 6
	p256Digits = 43
	p256Half   = 1 << (p256Bits - 1) // the largest digit
)

// p256Table is the multiples of one P-256 public key: row i has 1 to 32 times 64^i times the key. With them, a multiple
// of the key is a sum of 43 points, without the 256 doublings that crypto/ecdsa does anew for each signature. It takes
// 136 KiB and half a millisecond to make. It is immutable.
//
// Everything here is public, the key as well as the signatures, so that nothing needs constant time.
type p256Table [p256Digits][p256Half]nistec.P256Point

// newP256Table makes the table of an uncompressed point (SEC 1 section 2.3.4); nil if that is not on the curve or is
// the point at infinity.
func newP256Table(point []byte) *p256Table {
	base, err := nistec.NewP256Point().SetBytes(point)
	if err != nil || base.IsInfinity() == 1 {
		return nil
	}
	t := new(p256Table)
	for i := range t {
		row := &t[i]
		row[0].Set(base)
		for j := 1; j < len(row); j++ {
			row[j].Add(&row[j-1], base)
		}
		base.Double(&row[len(row)-1])
	}
	return t
}

// add adds k times the key to a point; k is big-endian. Add of nistec is complete: it takes equal points, opposite ones
// and the one at infinity.
func (t *p256Table) add(sum *nistec.P256Point, k *[32]byte) {
	var negative nistec.P256Point
	for i, digit := range p256Recode(k) {
		switch {
		case digit > 0:
			sum.Add(sum, &t[i][digit-1])
		case digit < 0:
			sum.Add(sum, negative.Negate(&t[i][-digit-1]))
		}
	}
}

// p256Recode writes a big-endian number as digits from -31 to 32, the lowest first.
func p256Recode(k *[32]byte) (digits [p256Digits]int) {
	bits, held, at, carry := uint(0), 0, len(k), 0
	for i := range digits {
		for ; held < p256Bits && at > 0; held += 8 {
			at--
			bits |= uint(k[at]) << held
		}
		digit := int(bits%(1<<p256Bits)) + carry
		if carry = 0; digit > p256Half { // never the last one, which has but 4 bits of the number
			digit, carry = digit-1<<p256Bits, 1
		}
		bits, held, digits[i] = bits>>p256Bits, held-p256Bits, digit
	}
	return digits
}

// p256Numbers are the numbers of one verification, kept for the next one so that they need no memory of their own.
type p256Numbers struct{ r, s, w, e, u, product, quotient big.Int }

var p256Room = sync.Pool{New: func() any { return new(p256Numbers) }}

// verify checks an ECDSA signature, r and s of 32 bytes each (RFC 7518 section 3.4), as FIPS 186-5 section 6.4.2 says.
func (t *p256Table) verify(digest *[32]byte, signature *[64]byte) bool {
	n := elliptic.P256().Params().N
	m := p256Room.Get().(*p256Numbers)
	defer p256Room.Put(m)
	r, s := m.r.SetBytes(signature[:32]), m.s.SetBytes(signature[32:])
	if r.Sign() == 0 || r.Cmp(n) >= 0 || s.Sign() == 0 || s.Cmp(n) >= 0 {
		return false
	}
	m.w.ModInverse(s, n)
	k1, k2 := m.times(m.e.SetBytes(digest[:]), n), m.times(r, n) // u1 and u2
	sum, err := nistec.NewP256Point().ScalarBaseMult(k1[:])
	if err != nil {
		return false
	}
	t.add(sum, &k2)
	encoded, err := sum.BytesX() // refuses the point at infinity
	if err != nil {
		return false
	}
	m.quotient.QuoRem(m.product.SetBytes(encoded), n, &m.u)
	return m.u.Cmp(r) == 0
}

// times returns x w modulo n.
func (m *p256Numbers) times(x, n *big.Int) (u [32]byte) {
	m.quotient.QuoRem(m.product.Mul(x, &m.w), n, &m.u)
	m.u.FillBytes(u[:])
	return u
}
