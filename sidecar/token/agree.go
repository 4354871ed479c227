package token

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/binary"

	"github.com/lestrrat-go/jwx/v2/x25519"
)

// agree derives a key of this size, in bytes, from the ephemeral public key in the header and the private key (RFC 7518
// section 4.6). Purpose is the algorithm that the key is for.
func (t *Token) agree(key any, purpose string, size int) ([]byte, bool) {
	epk, _ := t.header.members["epk"].(map[string]any)
	x, hasX := member(epk, "x")
	if !hasX {
		return nil, false
	}
	var private *ecdh.PrivateKey
	var point []byte
	var err error
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		y, hasY := member(epk, "y")
		if !hasY {
			return nil, false
		}
		point = append(append([]byte{4}, x...), y...)
		private, err = key.ECDH()
	case x25519.PrivateKey:
		point = x
		private, err = ecdh.X25519().NewPrivateKey(key.Seed())
	default:
		return nil, false
	}
	if err != nil {
		return nil, false
	}
	public, err := private.Curve().NewPublicKey(point)
	if err != nil {
		return nil, false
	}
	secret, err := private.ECDH(public) // refuses points of low order
	if err != nil {
		return nil, false
	}
	apu, _ := member(t.header.members, "apu")
	apv, _ := member(t.header.members, "apv")
	return concatKDF(secret, size, []byte(purpose), apu, apv), true
}

// concatKDF is the Concat KDF of NIST SP 800-56A with SHA-256, as RFC 7518 section 4.6.2 uses it.
func concatKDF(secret []byte, size int, purpose, apu, apv []byte) []byte {
	var info []byte
	for _, part := range [][]byte{purpose, apu, apv} {
		info = binary.BigEndian.AppendUint32(info, uint32(len(part)))
		info = append(info, part...)
	}
	info = binary.BigEndian.AppendUint32(info, uint32(size)*8)
	var out []byte
	for round := uint32(1); len(out) < size; round++ {
		h := sha256.New()
		h.Write(binary.BigEndian.AppendUint32(nil, round))
		h.Write(secret)
		h.Write(info)
		out = h.Sum(out)
	}
	return out[:size]
}
