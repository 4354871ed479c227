package token

import (
	"crypto/elliptic"
	"math/big"

	"github.com/bearerguard/bearerguard/sidecar/token/fiat"
)

// p256Affine is a point of P-256 by its coordinates; it is not the one at infinity.
type p256Affine struct{ x, y fiat.Element }

// p256Sum is a point of P-256 in Jacobian coordinates: x/z^2 and y/z^3. The zero value, and any with z = 0, is the one at
// infinity. The formulas are those of the Explicit-Formulas Database (Bernstein, Lange), for short Weierstrass curves with
// a = -3: madd and dbl-2001-b. They are not complete: what is special is told apart beforehand, which takes another time.
type p256Sum struct{ x, y, z fiat.Element }

// infinite reports whether it is the point at infinity.
func (p *p256Sum) infinite() bool { return p.z == fiat.Element{} }

// add adds a point.
func (p *p256Sum) add(q *p256Affine) {
	if p.infinite() {
		p.x, p.y = q.x, q.y
		fiat.One(&p.z)
		return
	}
	var zz, h, r, hh, hhh, v fiat.Element
	fiat.Square(&zz, &p.z)
	fiat.Mul(&h, &q.x, &zz)
	fiat.Sub(&h, &h, &p.x)
	fiat.Mul(&r, &zz, &p.z)
	fiat.Mul(&r, &r, &q.y)
	fiat.Sub(&r, &r, &p.y)
	if h == (fiat.Element{}) { // the same x
		if r == (fiat.Element{}) {
			p.double()
			return
		}
		*p = p256Sum{} // opposite points
		return
	}
	fiat.Square(&hh, &h)
	fiat.Mul(&hhh, &hh, &h)
	fiat.Mul(&v, &hh, &p.x)
	fiat.Mul(&p.z, &p.z, &h)
	fiat.Square(&p.x, &r)
	fiat.Sub(&p.x, &p.x, &hhh)
	fiat.Sub(&p.x, &p.x, &v)
	fiat.Sub(&p.x, &p.x, &v)
	fiat.Sub(&v, &v, &p.x)
	fiat.Mul(&v, &v, &r)
	fiat.Mul(&p.y, &p.y, &hhh)
	fiat.Sub(&p.y, &v, &p.y)
}

// double adds the point to itself.
func (p *p256Sum) double() {
	var delta, gamma, beta, alpha, t fiat.Element
	fiat.Square(&delta, &p.z)
	fiat.Square(&gamma, &p.y)
	fiat.Mul(&beta, &p.x, &gamma)
	fiat.Sub(&t, &p.x, &delta)
	fiat.Add(&alpha, &p.x, &delta)
	fiat.Mul(&t, &t, &alpha)
	fiat.Add(&alpha, &t, &t)
	fiat.Add(&alpha, &alpha, &t) // 3 (x - delta) (x + delta)
	fiat.Mul(&p.z, &p.z, &p.y)
	fiat.Add(&p.z, &p.z, &p.z)
	fiat.Add(&beta, &beta, &beta)
	fiat.Add(&beta, &beta, &beta) // 4 beta
	fiat.Square(&p.x, &alpha)
	fiat.Sub(&p.x, &p.x, &beta)
	fiat.Sub(&p.x, &p.x, &beta)
	fiat.Sub(&beta, &beta, &p.x)
	fiat.Mul(&p.y, &alpha, &beta)
	fiat.Square(&gamma, &gamma)
	fiat.Add(&gamma, &gamma, &gamma)
	fiat.Add(&gamma, &gamma, &gamma)
	fiat.Add(&gamma, &gamma, &gamma) // 8 y^4
	fiat.Sub(&p.y, &p.y, &gamma)
}

// hasX reports whether the point's x is a big-endian number; the point at infinity has none. There is no division:
// x/z^2 = number where x = number z^2.
func (p *p256Sum) hasX(number *[32]byte) bool {
	var x, zz fiat.Element
	if p.infinite() || !fiat.Set(&x, number) {
		return false
	}
	fiat.Square(&zz, &p.z)
	fiat.Mul(&x, &x, &zz)
	return x == p.x
}

// p256Normalize returns points by their coordinates, with one division for all (Montgomery's trick). None may be the one at
// infinity.
func p256Normalize(points *[p256Half + 1]p256Sum) (out [p256Half + 1]p256Affine) {
	var before [p256Half + 1]fiat.Element // the product of z before each point
	var rest, inverse, square fiat.Element
	fiat.One(&rest)
	for i := range points {
		before[i] = rest
		fiat.Mul(&rest, &rest, &points[i].z)
	}
	p256Invert(&rest)
	for i := len(points) - 1; i >= 0; i-- {
		p := &points[i]
		fiat.Mul(&inverse, &rest, &before[i])
		fiat.Mul(&rest, &rest, &p.z)
		fiat.Square(&square, &inverse)
		fiat.Mul(&out[i].x, &p.x, &square)
		fiat.Mul(&square, &square, &inverse)
		fiat.Mul(&out[i].y, &p.y, &square)
	}
	return out
}

// p256Invert sets a, which is not 0, to 1/a.
func p256Invert(a *fiat.Element) {
	number := fiat.Bytes(a)
	var i big.Int
	i.ModInverse(i.SetBytes(number[:]), elliptic.P256().Params().P).FillBytes(number[:])
	fiat.Set(a, &number)
}
