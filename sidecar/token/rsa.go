package token

import (
	"bytes"
	"crypto"
	"crypto/fips140"
	"crypto/rsa"
	"crypto/sha256"
	"errors"

	"filippo.io/bigmod"
)

// rsaKey is an RSA public key with what only depends on it worked out once: crypto/rsa sets up the modulus anew for
// each signature, which is a third of its work.
type rsaKey struct {
	modulus  *bigmod.Modulus
	exponent uint
	size     int // of the modulus, in bytes
	// starts are all that precedes the digest in the encoded message of a signature (RFC 8017 section 9.2): 00 01, the
	// padding, 00, and the name of the hash.
	starts map[crypto.Hash][]byte
}

// newRSAKey prepares a key for pkcs1. It is nil where crypto/rsa has to do the work: in FIPS 140 mode, which wants the
// module's own arithmetic, and for a key that crypto/rsa does not take.
func newRSAKey(public *rsa.PublicKey) *rsaKey {
	const largest = 1<<31 - 1 // exponent, as in crypto/rsa
	if fips140.Enabled() || public.E < 3 || public.E&1 == 0 || public.E > largest || public.N.Bit(0) == 0 {
		return nil
	}
	modulus, err := bigmod.NewModulus(public.N.Bytes())
	if err != nil {
		return nil
	}
	k := &rsaKey{modulus: modulus, exponent: uint(public.E), size: public.Size(), starts: map[crypto.Hash][]byte{}}
	for hash, name := range map[crypto.Hash]byte{crypto.SHA256: 1, crypto.SHA384: 2, crypto.SHA512: 3} {
		k.starts[hash] = encodedStart(k.size, hash.Size(), name)
	}
	return k
}

// encodedStart is EMSA-PKCS1-v1_5 up to the digest (RFC 8017 section 9.2, steps 2 to 5); the name is the last arc of the
// hash's object identifier, 2.16.840.1.101.3.4.2.name. Keys of 2048 bits and more have room for 8 bytes of padding.
func encodedStart(size, digest int, name byte) []byte {
	info := []byte{
		0x30, byte(17 + digest), 0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, name, 5, 0, 4, byte(digest),
	}
	out := bytes.Repeat([]byte{0xff}, size-digest)
	out[0], out[1], out[len(out)-len(info)-1] = 0, 1, 0
	copy(out[len(out)-len(info):], info)
	return out
}

// pkcs1 verifies RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2.2) with prepared keys: it raises the signature to the exponent
// and compares all bytes with the one encoding that there is of the digest. Other keys go to another verifier.
type pkcs1 struct {
	hash  crypto.Hash
	other verifier
}

var errSignature = errors.New("does not verify")

// Verify checks one signature.
func (p pkcs1) Verify(payload, signature []byte, key any) error {
	k, ok := key.(*rsaKey)
	if !ok {
		return p.other.Verify(payload, signature, key)
	}
	start := k.starts[p.hash]
	if len(signature) != k.size || start == nil {
		return errSignature
	}
	s, err := bigmod.NewNat().SetBytes(signature, k.modulus) // refuses what is not below the modulus
	if err != nil {
		return errSignature
	}
	encoded := bigmod.NewNat().ExpShortVarTime(s, k.exponent, k.modulus).Bytes(k.modulus)
	digest, ok := bytes.CutPrefix(encoded, start)
	if !ok || !p.is(digest, payload) {
		return errSignature
	}
	return nil
}

// is reports whether the digest is that of the payload.
func (p pkcs1) is(digest, payload []byte) bool {
	if p.hash == crypto.SHA256 { // RS256 is what nearly all use: without garbage
		sum := sha256.Sum256(payload)
		return bytes.Equal(digest, sum[:])
	}
	h := p.hash.New()
	h.Write(payload)
	return bytes.Equal(digest, h.Sum(nil))
}
