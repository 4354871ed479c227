package token

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"math/big"
	"os"
	"strings"
	"testing"
)

// hashes of RS256, RS384 and RS512.
func rsaHashes() map[string]crypto.Hash {
	return map[string]crypto.Hash{"SHA-256": crypto.SHA256, "SHA-384": crypto.SHA384, "SHA-512": crypto.SHA512}
}

// agree verifies with a prepared key and with crypto/rsa, which must say the same.
func agree(t *testing.T, public *rsa.PublicKey, hash crypto.Hash, message, signature []byte) bool {
	t.Helper()
	prepared := newRSAKey(public)
	if prepared == nil {
		t.Fatal("the key was not prepared")
	}
	got := scheme{pkcs1{hash: hash}}.verify(message, signature, prepared)
	h := hash.New()
	h.Write(message)
	if want := rsa.VerifyPKCS1v15(public, hash, h.Sum(nil), signature) == nil; got != want {
		t.Errorf("%v, key of %d bits, signature of %d bytes: got %v, crypto/rsa says %v", hash, public.N.BitLen(), len(signature), got, want)
	}
	return got
}

// TestPKCS1AgreesWithWycheproof runs the vectors for RSASSA-PKCS1-v1_5: missing NULLs, BER for DER, short padding,
// trailing bytes, Bleichenbacher's forgeries.
func TestPKCS1AgreesWithWycheproof(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(os.DirFS(wycheproof), "rsa_signature_*_test.json")
	if err != nil {
		t.Fatal(err)
	}
	ran, valid := 0, 0
	for _, file := range files {
		var vs struct {
			TestGroups []struct {
				SHA       string
				PublicKey struct{ Modulus, PublicExponent string }
				Tests     []struct {
					TcID             int
					Msg, Sig, Result string
				}
			}
		}
		readVectors(t, file, &vs)
		for _, g := range vs.TestGroups {
			n, e := new(big.Int).SetBytes(unhex(t, g.PublicKey.Modulus)), new(big.Int).SetBytes(unhex(t, g.PublicKey.PublicExponent))
			hash, ok := rsaHashes()[g.SHA]
			if !ok || n.BitLen() < 2048 {
				continue
			}
			for _, tc := range g.Tests {
				ran++
				got := agree(t, &rsa.PublicKey{N: n, E: int(e.Int64())}, hash, unhex(t, tc.Msg), unhex(t, tc.Sig))
				if got != (tc.Result == "valid") && tc.Result != "acceptable" {
					t.Errorf("%s %d: labelled %s, got %v", file, tc.TcID, tc.Result, got)
				}
				if got {
					valid++
				}
			}
		}
	}
	if ran < 1000 || valid < 50 {
		t.Errorf("ran %d vectors, %d of them valid: too few", ran, valid)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestPKCS1AgreesOnEveryByte signs encodings of which one byte is wrong, as only the owner of the key can.
func TestPKCS1AgreesOnEveryByte(t *testing.T) {
	t.Parallel()
	k := keys().rsa
	message := []byte("header.payload")
	for name, hash := range rsaHashes() {
		start := newRSAKey(&k.PublicKey).starts[hash]
		h := hash.New()
		h.Write(message)
		encoded := h.Sum(bytes.Clone(start))
		if !agree(t, &k.PublicKey, hash, message, raw(k, encoded)) {
			t.Errorf("%s: the encoding itself does not verify", name)
		}
		for i := range encoded {
			wrong := bytes.Clone(encoded)
			wrong[i] ^= 1
			if agree(t, &k.PublicKey, hash, message, raw(k, wrong)) {
				t.Errorf("%s: byte %d may be wrong", name, i)
			}
		}
	}
}

// raw raises an encoded message to the private exponent.
func raw(k *rsa.PrivateKey, encoded []byte) []byte {
	m := new(big.Int).SetBytes(encoded)
	return m.Exp(m, k.D, k.N).FillBytes(make([]byte, k.Size()))
}

func TestPKCS1RefusesOtherSpellingsOfASignature(t *testing.T) {
	t.Parallel()
	k := keys().rsa
	message := []byte("header.payload")
	h := crypto.SHA256.New()
	h.Write(message)
	good := raw(k, h.Sum(bytes.Clone(newRSAKey(&k.PublicKey).starts[crypto.SHA256])))
	short, shortMessage := shorter(t, k)
	if agree(t, &k.PublicKey, crypto.SHA256, shortMessage, short) {
		t.Error("a signature without its leading zero verifies")
	}
	above := new(big.Int).SetBytes(good)
	above.Add(above, k.N)
	for name, signature := range map[string][]byte{
		"none":                      nil,
		"a byte more in front":      append([]byte{0}, good...),
		"a byte more at the end":    append(bytes.Clone(good), 0),
		"a byte less":               good[:len(good)-1],
		"the modulus added":         above.Bytes(),
		"the modulus":               k.N.Bytes(),
		"zero":                      make([]byte, len(good)),
		"one":                       append(make([]byte, len(good)-1), 1),
		"another's, of other bytes": bytes.Repeat([]byte{0x5a}, len(good)),
	} {
		if agree(t, &k.PublicKey, crypto.SHA256, message, signature) {
			t.Errorf("%s verifies", name)
		}
	}
	if agree(t, &k.PublicKey, crypto.SHA256, []byte("header.other"), good) || agree(t, &k.PublicKey, crypto.SHA512, message, good) {
		t.Error("a signature of something else verifies")
	}
}

// shorter returns a signature that begins with a zero byte, without that byte.
func shorter(t *testing.T, k *rsa.PrivateKey) (signature, message []byte) {
	t.Helper()
	for i := range 10_000 { // one in 256 does
		message := []byte{byte(i), byte(i >> 8)}
		h := sha256.Sum256(message)
		signature, err := rsa.SignPKCS1v15(nil, k, crypto.SHA256, h[:])
		if err != nil {
			t.Fatal(err)
		}
		if signature[0] == 0 {
			return signature[1:], message
		}
	}
	t.Fatal("no signature begins with a zero byte")
	return nil, nil
}

func TestKeysThatAreNotPrepared(t *testing.T) {
	t.Parallel()
	k := keys().rsa
	for name, public := range map[string]*rsa.PublicKey{
		"an even modulus":     {N: new(big.Int).Lsh(big.NewInt(1), 2047), E: 65537},
		"an even exponent":    {N: k.N, E: 65536},
		"the exponent one":    {N: k.N, E: 1},
		"an exponent too big": {N: k.N, E: 1<<31 + 1},
	} {
		if newRSAKey(public) != nil {
			t.Errorf("%s was prepared", name)
		}
	}
	raw := sign("RS256", k, object{"alg": "RS256"}, claims())
	end := strings.LastIndexByte(raw, '.')
	signature, _ := decode(raw[end+1:])
	if !newScheme("RS256").verify([]byte(raw[:end]), signature, &k.PublicKey) {
		t.Error("a key that is not prepared does not verify")
	}
}
