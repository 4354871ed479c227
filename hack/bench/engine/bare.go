package main

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512" // SHA-384
	"encoding/base64"
	"errors"
	"math/big"
	"strings"
)

var errBare = errors.New("does not verify")

// bare is the cryptography alone, on bytes that are there already.
func bare(alg string, k key, signed string) call {
	end := strings.LastIndexByte(signed, '.')
	input, signature := []byte(signed[:end]), decode(signed[end+1:])
	hash := crypto.SHA256
	if alg == "ES384" {
		hash = crypto.SHA384
	}
	var check func() bool
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		check = func() bool {
			if alg == "PS256" {
				return rsa.VerifyPSS(public, hash, digest(hash, input), signature, nil) == nil
			}
			return rsa.VerifyPKCS1v15(public, hash, digest(hash, input), signature) == nil
		}
	case *ecdsa.PublicKey:
		half := len(signature) / 2
		r, s := new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:])
		check = func() bool { return ecdsa.Verify(public, digest(hash, input), r, s) }
	case ed25519.PublicKey:
		check = func() bool { return ed25519.Verify(public, input, signature) }
	case []byte:
		check = func() bool {
			m := hmac.New(sha256.New, public)
			m.Write(input)
			return hmac.Equal(m.Sum(nil), signature)
		}
	}
	return func() error {
		if check == nil || !check() {
			return errBare
		}
		return nil
	}
}

func digest(hash crypto.Hash, input []byte) []byte {
	h := hash.New()
	h.Write(input)
	return h.Sum(nil)
}

// bareDecrypt is RSA-OAEP-256 and A256GCM alone.
func bareDecrypt(k key, sealed string) call {
	parts := strings.Split(sealed, ".")
	wrapped, nonce, tag := decode(parts[1]), decode(parts[2]), decode(parts[4])
	text := append(decode(parts[3]), tag...)
	return func() error {
		private, ok := k.private.(*rsa.PrivateKey)
		if !ok {
			return errBare
		}
		content, err := rsa.DecryptOAEP(sha256.New(), nil, private, wrapped, nil)
		if err != nil {
			return err
		}
		block, err := aes.NewCipher(content)
		if err != nil {
			return err
		}
		gcm, err := cipher.NewGCM(block)
		if err != nil {
			return err
		}
		_, err = gcm.Open(nil, nonce, text, []byte(parts[0]))
		return err
	}
}

// decode decodes what the minter wrote.
func decode(part string) []byte {
	b, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		panic(err)
	}
	return b
}
