package token

import (
	"crypto/rand"
	"crypto/sha256"
	"sync"
)

// digest is what a cached token is known by: the first 128 bits of SHA-256 over a random key and the token.
//
// Only one who knows the key could look for another token with the same digest, and nobody does: it is made with the
// cache, is written nowhere, and no digest leaves the process. Without the key, SHA-256 over key and text is a
// pseudorandom function as long as its output is cut short or stays hidden (Bellare, Bernstein and Tessaro, "Hash-Function
// based PRFs", EUROCRYPT 2016); here it is both, so that a token made up by an attacker is taken for one of n that are
// cached with a probability of n in 2^128: with 50,000 of them and a million tries a second for a century, 10^-18. Which
// bits agree cannot be learnt from the time that it takes either: a digest is only compared with that of a token of the
// same length and of the same hash of its end, and as a whole.
type digest [digestBytes]byte

const digestBytes = 16

// digester makes digests with one key. It is safe for concurrent use.
type digester struct {
	texts sync.Pool // of *[]byte, each beginning with the key
}

// keyBytes is the size of the key.
const keyBytes = 32

func newDigester() *digester {
	key := make([]byte, keyBytes)
	_, _ = rand.Read(key) // never fails
	d := &digester{}
	d.texts.New = func() any {
		text := append(make([]byte, 0, keyBytes+1<<10), key...)
		return &text
	}
	return d
}

// of returns the digest of a token. It keeps nothing of raw that is not overwritten or collected soon, and allocates nothing
// once there is room.
func (d *digester) of(raw string) digest {
	text := d.texts.Get().(*[]byte) //nolint:errcheck // nothing else is put in
	*text = append((*text)[:keyBytes], raw...)
	sum := sha256.Sum256(*text)
	clear((*text)[keyBytes:])
	d.texts.Put(text)
	return digest(sum[:digestBytes])
}
