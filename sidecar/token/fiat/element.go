package fiat

import "slices"

// Element is a number modulo p, in the form that Montgomery's multiplication wants. A number has one form, so that equal ones
// can be compared with ==. The zero value is 0.
type Element = p256MontgomeryDomainFieldElement

// Set sets out to a big-endian number. It returns false, and leaves out as it is, if that is not below p.
func Set(out *Element, number *[32]byte) bool {
	if slices.Compare(number[:], prime[:]) >= 0 {
		return false
	}
	var plain p256NonMontgomeryDomainFieldElement
	little := *number
	slices.Reverse(little[:])
	p256FromBytes((*[4]uint64)(&plain), &little)
	p256ToMontgomery(out, &plain)
	return true
}

// Bytes returns a as a big-endian number.
func Bytes(a *Element) (number [32]byte) {
	var plain p256NonMontgomeryDomainFieldElement
	p256FromMontgomery(&plain, a)
	p256ToBytes(&number, (*[4]uint64)(&plain))
	slices.Reverse(number[:])
	return number
}

// prime is p, big-endian.
var prime = [32]byte{
	0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
}

// One sets out to 1.
func One(out *Element) { p256SetOne(out) }

// Add sets out, which may be one of the others in all that follows, to a + b.
func Add(out, a, b *Element) { p256Add(out, a, b) }

// Sub sets out to a - b.
func Sub(out, a, b *Element) { p256Sub(out, a, b) }

// Mul sets out to a b.
func Mul(out, a, b *Element) { p256Mul(out, a, b) }

// Square sets out to a a.
func Square(out, a *Element) { p256Square(out, a) }
