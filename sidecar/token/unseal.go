package token

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // RSA-OAEP is defined with it (RFC 7518 section 4.3); OAEP does not rest on collisions
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/binary"
	"hash"
)

// decryptWith decrypts a JWE with exactly one key, under the algorithms of its header (RFC 7516 section 5.2). It is done
// here, on the standard library's primitives, since jwx reads more of a header than this package does: it refuses a token
// for a member that is ignored here. A panic of a primitive is a token that does not decrypt.
func decryptWith(t *Token, key any) (plain []byte, ok bool) {
	defer func() {
		if recover() != nil {
			plain, ok = nil, false
		}
	}()
	var b [5][]byte
	for i := 1; i < 5; i++ {
		if b[i], ok = decode(t.parts[i]); !ok {
			return nil, false
		}
	}
	cek, ok := t.contentKey(key, b[1])
	if !ok || len(cek) == 0 || len(cek) != contentKeySize(t.header.enc) {
		return nil, false
	}
	content := sealed{aad: []byte(t.parts[0]), iv: b[2], ciphertext: b[3], tag: b[4]}
	if isCBC(t.header.enc) {
		return content.openCBC(cek)
	}
	return content.openGCM(cek)
}

// contentKey is the content encryption key of a JWE (RFC 7518 section 4).
func (t *Token) contentKey(key any, encrypted []byte) ([]byte, bool) {
	h := &t.header
	switch h.alg {
	case "RSA-OAEP":
		return unwrapRSA(sha1.New(), key, encrypted) //nolint:gosec // as above
	case "RSA-OAEP-256":
		return unwrapRSA(sha256.New(), key, encrypted)
	case "ECDH-ES":
		return t.agree(key, h.enc, contentKeySize(h.enc))
	case "ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW":
		kek, ok := t.agree(key, h.alg, wrapKeySize(h.alg))
		if !ok {
			return nil, false
		}
		return unwrapAES(kek, encrypted)
	}
	secret, ok := key.([]byte)
	switch {
	case !ok:
		return nil, false
	case h.alg == "dir":
		return secret, len(encrypted) == 0
	case len(secret) != wrapKeySize(h.alg):
		return nil, false
	}
	switch h.alg {
	case "A128KW", "A192KW", "A256KW":
		return unwrapAES(secret, encrypted)
	case "A128GCMKW", "A192GCMKW", "A256GCMKW":
		iv, hasIV := member(h.members, "iv")
		tag, hasTag := member(h.members, "tag")
		if !hasIV || !hasTag {
			return nil, false
		}
		return sealed{iv: iv, ciphertext: encrypted, tag: tag}.openGCM(secret)
	}
	return nil, false
}

// wrapKeySize is the size of the AES key that an algorithm wraps with, in bytes; 0 where it does not.
func wrapKeySize(alg string) int {
	switch alg {
	case "A128KW", "A128GCMKW", "ECDH-ES+A128KW":
		return 16
	case "A192KW", "A192GCMKW", "ECDH-ES+A192KW":
		return 24
	case "A256KW", "A256GCMKW", "ECDH-ES+A256KW":
		return 32
	}
	return 0
}

func unwrapRSA(h hash.Hash, key any, encrypted []byte) ([]byte, bool) {
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, false
	}
	cek, err := rsa.DecryptOAEP(h, nil, private, encrypted, nil)
	return cek, err == nil
}

// unwrapAES is AES Key Unwrap (RFC 3394 section 2.2.2).
func unwrapAES(kek, wrapped []byte) ([]byte, bool) {
	const half = 8
	n := len(wrapped)/half - 1
	block, err := aes.NewCipher(kek)
	if err != nil || n < 2 || len(wrapped)%half != 0 {
		return nil, false
	}
	var b [2 * half]byte
	copy(b[:half], wrapped)
	out := append([]byte(nil), wrapped[half:]...)
	for step := 6 * n; step > 0; step-- {
		r := out[(step-1)%n*half:][:half]
		a := binary.BigEndian.Uint64(b[:half]) ^ uint64(step)
		binary.BigEndian.PutUint64(b[:half], a)
		copy(b[half:], r)
		block.Decrypt(b[:], b[:])
		copy(r, b[half:])
	}
	iv := [half]byte{0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6}
	return out, subtle.ConstantTimeCompare(b[:half], iv[:]) == 1
}

// sealed is a ciphertext and what goes with it.
type sealed struct{ aad, iv, ciphertext, tag []byte }

// openGCM decrypts AES in Galois/Counter mode (RFC 7518 sections 4.7 and 5.3).
func (s sealed) openGCM(key []byte) ([]byte, bool) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, false
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil || len(s.iv) != gcm.NonceSize() || len(s.tag) != gcm.Overhead() {
		return nil, false
	}
	plain, err := gcm.Open(nil, s.iv, append(s.ciphertext[:len(s.ciphertext):len(s.ciphertext)], s.tag...), s.aad)
	return plain, err == nil
}

// openCBC decrypts AES in CBC mode with HMAC (RFC 7518 section 5.2.2.2). The tag is checked before anything is decrypted,
// so that the padding tells nobody anything.
func (s sealed) openCBC(key []byte) ([]byte, bool) {
	hashes := map[int]func() hash.Hash{32: sha256.New, 48: sha512.New384, 64: sha512.New}
	size := len(key) / 2
	newHash, ok := hashes[len(key)]
	if !ok || len(s.iv) != aes.BlockSize || len(s.ciphertext) == 0 || len(s.ciphertext)%aes.BlockSize != 0 {
		return nil, false
	}
	mac := hmac.New(newHash, key[:size])
	for _, part := range [][]byte{s.aad, s.iv, s.ciphertext, binary.BigEndian.AppendUint64(nil, uint64(len(s.aad))*8)} {
		mac.Write(part)
	}
	if !hmac.Equal(mac.Sum(nil)[:size], s.tag) {
		return nil, false
	}
	block, err := aes.NewCipher(key[size:])
	if err != nil {
		return nil, false
	}
	plain := make([]byte, len(s.ciphertext))
	cipher.NewCBCDecrypter(block, s.iv).CryptBlocks(plain, s.ciphertext)
	return unpad(plain)
}

// unpad takes PKCS #7 padding off (RFC 5652 section 6.3).
func unpad(b []byte) ([]byte, bool) {
	n := int(b[len(b)-1])
	if n == 0 || n > aes.BlockSize || n > len(b) {
		return nil, false
	}
	for _, c := range b[len(b)-n:] {
		if int(c) != n {
			return nil, false
		}
	}
	return b[:len(b)-n], true
}
