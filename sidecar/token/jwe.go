package token

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"strings"

	"github.com/bearerguard/bearerguard/api/decision"
)

// encrypted is what is checked of a JWE before any key is touched.
type encrypted struct {
	keyBytes int    // length of the encrypted key
	curve    string // of the ephemeral key, with ECDH-ES
	opened   memo[opened]
}

// keySize returns how many bytes an encrypted key is longer than the content key that it wraps; 0 also where it has
// another length (RSA) or must be missing; -1 for algorithms that are not decrypted: RSA1_5 (padding oracles), PBES2
// (unbounded work), and unknown ones. RFC 7518 section 4.1.
func keySize(alg string) int {
	switch alg {
	case "A128KW", "A192KW", "A256KW", "ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW":
		return 8
	case "A128GCMKW", "A192GCMKW", "A256GCMKW", "RSA-OAEP", "RSA-OAEP-256", "ECDH-ES", "dir":
		return 0
	}
	return -1
}

// contentKeySize returns the size of the content key in bytes; 0 for encryptions that are not known (RFC 7518 section
// 5.1).
func contentKeySize(enc string) int {
	switch enc {
	case "A128GCM":
		return 16
	case "A192GCM":
		return 24
	case "A256GCM", "A128CBC-HS256":
		return 32
	case "A192CBC-HS384":
		return 48
	case "A256CBC-HS512":
		return 64
	}
	return 0
}

func isCBC(enc string) bool {
	return enc == "A128CBC-HS256" || enc == "A192CBC-HS384" || enc == "A256CBC-HS512"
}

// readEncrypted reads a JWE. It checks the length of each part of a JWE, since jwx joins ciphertext and tag wherever they are cut, and
// panics on an encrypted key that is too short, and the header members that its algorithm needs.
func (t *Token) readEncrypted() decision.Refusal {
	t.header.encrypted = true
	if no := t.readHeader(); no.Refused() {
		return no
	}
	names := [5]string{inHeader, inKey, inIV, inCiphertext, inTag}
	var size [5]int
	for i := 1; i < 5; i++ {
		b, ok := decode(t.parts[i])
		if !ok {
			return misspelt(t.raw, names[i], t.parts[i])
		}
		size[i] = len(b)
	}
	h := &t.header
	t.jwe.keyBytes = size[1]
	iv, tag, block := 12, 16, 1
	if isCBC(h.enc) {
		iv, tag, block = 16, contentKeySize(h.enc)/2, 16
	}
	switch {
	case size[2] != iv:
		return malformed(inIV, "has another length than enc "+h.enc+" wants")
	case size[3] == 0 || size[3]%block != 0:
		return malformed(inCiphertext, "is empty, or has a length that enc "+h.enc+" does not yield")
	case size[4] != tag:
		return malformed(inTag, "has another length than enc "+h.enc+" wants")
	}
	return t.wrapped()
}

// wrapped checks the encrypted key and the header members that belong to the algorithm (RFC 7518 sections 4.3 to 4.7).
func (t *Token) wrapped() decision.Refusal {
	h := &t.header
	size := contentKeySize(h.enc) + keySize(h.alg)
	fits := t.jwe.keyBytes == size
	switch h.alg {
	case "dir", "ECDH-ES":
		fits = t.jwe.keyBytes == 0
	case "RSA-OAEP", "RSA-OAEP-256":
		fits = t.jwe.keyBytes >= 256 // 2048 bits; the key's own size is compared when it is chosen
	}
	switch {
	case !fits:
		return malformed(inKey, "has another length than alg "+h.alg+" and enc "+h.enc+" want")
	case strings.HasPrefix(h.alg, "ECDH-ES"):
		return t.ephemeral()
	case !strings.HasSuffix(h.alg, "GCMKW"):
	case !h.sized("iv", 12):
		return malformed("iv of the header", "is not base64url of 12 bytes, as alg "+h.alg+" wants it")
	case !h.sized("tag", 16):
		return malformed("tag of the header", "is not base64url of 16 bytes, as alg "+h.alg+" wants it")
	}
	return decision.Refusal{}
}

// member decodes a base64url header member that is a string.
func member(members map[string]any, name string) ([]byte, bool) {
	s, ok := members[name].(string)
	if !ok {
		return nil, false
	}
	return decode(s)
}

func (h *header) sized(name string, size int) bool {
	b, ok := member(h.members, name)
	return ok && len(b) == size
}

// ephemeral checks the ephemeral public key, on its curve (CVE-2016-9121), and the party infos.
func (t *Token) ephemeral() decision.Refusal {
	for _, name := range []string{"apu", "apv"} {
		if _, has := t.header.members[name]; has {
			if _, ok := member(t.header.members, name); !ok {
				return malformed(name+" of the header", "is not base64url")
			}
		}
	}
	epk, ok := t.header.members["epk"].(map[string]any)
	if !ok {
		return malformed(inHeader, "has no epk that is an object, as alg "+t.header.alg+" wants it")
	}
	if problem := t.readEPK(epk); problem != "" {
		return malformed("epk of the header", problem)
	}
	return decision.Refusal{}
}

// readEPK reads the curve of the ephemeral public key and returns what is wrong with the key.
func (t *Token) readEPK(epk map[string]any) (problem string) {
	if _, private := epk["d"]; private {
		return "has d, a private key"
	}
	kty, _ := epk["kty"].(string)
	t.jwe.curve, _ = epk["crv"].(string)
	x, ok := member(epk, "x")
	switch {
	case !ok:
		return "has no x in base64url"
	case kty == "OKP" && (t.jwe.curve != "X25519" || len(x) != 32):
		return "is no key of X25519"
	case kty == "OKP":
		return ""
	}
	y, ok := member(epk, "y")
	if !ok || kty != "EC" {
		return "has no y in base64url, or a kty that is neither EC nor OKP"
	}
	for _, c := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		if c.Params().Name != t.jwe.curve {
			continue
		}
		if size := (c.Params().BitSize + 7) / 8; len(x) != size || len(y) != size {
			return "has coordinates of another length than its curve's"
		}
		if _, err := ecdsa.ParseUncompressedPublicKey(c, append(append([]byte{4}, x...), y...)); err != nil {
			return "is not a point of its curve"
		}
		return ""
	}
	return "has a crv that is not known"
}
