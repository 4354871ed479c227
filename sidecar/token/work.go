package token

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"math/bits"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v2/x25519"

	"github.com/bearerguard/bearerguard/api/keyset"
)

// What one operation takes on the machine of docs/performance.md, with what else there is to do for a token of that kind: the means of
// BenchmarkCost, rounded up. They tell what takes long from what does not; another machine is faster or slower, and has the same order.
const (
	hmacWork   = 15 * time.Microsecond
	es256Work  = 95 * time.Microsecond
	edDSAWork  = 75 * time.Microsecond
	es256KWork = 275 * time.Microsecond
	es384Work  = 1200 * time.Microsecond
	es512Work  = 4900 * time.Microsecond

	rs2048Work = 46 * time.Microsecond // math/big and bigmod have assembly of this size
	// rsKiloWork is for a key of 1024 bits that has none, and grows with the square: 260 us with 3072, 470 with 4096, 1750 with 8192.
	rsKiloWork = 29 * time.Microsecond
	// psFactor is what PSS takes of that: crypto/rsa sets up the modulus anew.
	psFactor = 1.45

	oaepKiloWork  = 170 * time.Microsecond // for 1024 bits of RSA's private key; it grows with the cube: 1.5 ms, 4.4, 9.3
	ecdh256Work   = 180 * time.Microsecond
	ecdh384Work   = 1300 * time.Microsecond
	ecdh521Work   = 4200 * time.Microsecond
	x25519Work    = 120 * time.Microsecond
	symmetricWork = 20 * time.Microsecond
)

// From this size on, in bytes, it counts what it takes to read a token: some 2 ns a byte if it is text, but 35 if it is thousands of small
// numbers.
const (
	longToken   = 4 << 10
	workPerByte = 35 * time.Nanosecond
)

// ReadingWork estimates what Parse takes of a token beyond what Work counts.
func ReadingWork(raw string) time.Duration {
	if len(raw) <= longToken {
		return 0
	}
	return workPerByte * time.Duration(min(len(raw), MaxBytes))
}

// Work is an estimate of what it takes to verify one token. The zero value is none.
type Work struct {
	total time.Duration
	first [4]keyset.Key // that were counted: with one key, a token is verified once
	known int
}

// Total is the sum.
func (w *Work) Total() time.Duration { return w.total }

func (w *Work) add(k keyset.Key, d time.Duration) {
	for i := range w.known {
		if w.first[i].Same(k) {
			return
		}
	}
	if w.known < len(w.first) {
		w.first[w.known] = k
		w.known++
	}
	w.total += d
}

// Work adds what Verify would take. What is refused before a key is touched takes nothing.
func (v *Verifier) Work(t *Token, now time.Time, w *Work) {
	switch {
	case v.introspects:
	case t.header.encrypted:
		v.openingWork(t, w)
	case v.encryptedOnly, v.accepts(&t.header, &t.jws.claims, now).Refused(), v.keys == nil:
	default:
		if _, listed := v.algs[t.header.alg]; !listed {
			return
		}
		keys, _ := v.keys.pick(t.header.kid, t.header.alg)
		for _, k := range keys {
			w.add(k, SignatureWork(t.header.alg, k))
		}
	}
}

// openingWork adds what it takes to decrypt a JWE, and to verify what is inside: nobody knows yet what that is.
func (v *Verifier) openingWork(t *Token, w *Work) {
	if v.mayOpen(&t.header).Refused() {
		return
	}
	keys, _ := v.decryption.pick(t.header.kid, t.header.alg)
	some := false
	for _, k := range keys {
		if t.fits(k) {
			some = true
			w.add(k, openWork(k))
		}
	}
	if some && v.keys != nil && t.header.nested() {
		w.total += v.keys.dearest
	}
}

// SignatureWork estimates what it takes to verify one signature.
func SignatureWork(alg string, k keyset.Key) time.Duration {
	switch alg {
	case "ES256":
		return es256Work
	case "ES256K":
		return es256KWork
	case "ES384":
		return es384Work
	case "ES512":
		return es512Work
	case "EdDSA", "Ed25519":
		return edDSAWork
	}
	public, ok := k.Raw().(*rsa.PublicKey)
	if !ok {
		return hmacWork
	}
	d := rs2048Work
	if size := public.N.BitLen(); size > 2048 {
		d = rsKiloWork * time.Duration(size*size) / (1 << 20)
		if strings.HasPrefix(alg, "PS") {
			d = time.Duration(float64(d) * psFactor)
		}
	}
	const usual = 17 + 2 // squarings and multiplications for the exponent 65537
	if e := uint(public.E); e > 1<<16+1 {
		d = d * time.Duration(bits.Len(e)+bits.OnesCount(e)) / usual
	}
	return d
}

// openWork estimates what it takes to decrypt with a key.
func openWork(k keyset.Key) time.Duration {
	switch raw := k.Raw().(type) {
	case *rsa.PrivateKey:
		size := time.Duration(raw.N.BitLen())
		return oaepKiloWork * (size * size >> 10) * size >> 20
	case *ecdsa.PrivateKey:
		switch raw.Curve.Params().BitSize {
		case 256:
			return ecdh256Work
		case 384:
			return ecdh384Work
		}
		return ecdh521Work
	case x25519.PrivateKey:
		return x25519Work
	}
	return symmetricWork
}

// dearest is what a signature by one of the keys may take at most.
func dearest(keys []keyset.Key) (most time.Duration) {
	for _, k := range keys {
		for _, alg := range k.Describe(keyset.Verify).Fits {
			most = max(most, SignatureWork(alg, k))
		}
	}
	return most
}
