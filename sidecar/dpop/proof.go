package dpop

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/keyset/strictjson"
	"github.com/bearerguard/bearerguard/sidecar/token"
)

// Bounds of a proof, in bytes.
const (
	// MaxBytes is the longest proof that is read: one with an RSA key of 8192 bits has about 3 KiB.
	MaxBytes = 4 << 10
	// maxID is the longest jti.
	maxID = 256
)

// Proof is a proof that was read; nothing of it is trusted before Proves has said so. It refers to no memory of the text
// that it was read from but for Proves.
type Proof struct {
	key              keyset.Key
	alg              string
	thumbprint       string // of the key (RFC 7638), base64url
	method, url      string // htm, htu
	issued           time.Time
	expires, begins  time.Time // exp, nbf; zero: it has none
	id, hash         string    // jti, ath
	nonce            string    // empty: none
	input, signature []byte
}

// Parse reads a proof (RFC 9449 sections 4.2 and 4.3, points 2 to 7): a compact JWS of strict JSON, of type dpop+jwt, by an
// asymmetric algorithm, with the public key in its header, and with all claims. The signature is not verified yet.
func Parse(raw string) (*Proof, decision.Refusal) {
	if len(raw) > MaxBytes {
		return nil, bad("has more than 4096 bytes")
	}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return nil, bad("has not the three parts of a signed JWT")
	}
	header, no := object(parts[0], "header")
	if no.Refused() {
		return nil, no
	}
	p := &Proof{input: []byte(raw[:len(raw)-len(parts[2])-1])}
	if no := p.readHeader(header); no.Refused() {
		return nil, no
	}
	claims, no := object(parts[1], "payload")
	if no.Refused() {
		return nil, no
	}
	if no := p.readClaims(claims); no.Refused() {
		return nil, no
	}
	var ok bool
	if p.signature, ok = decode(parts[2]); !ok || len(p.signature) == 0 {
		return nil, bad("has a signature that is no base64url")
	}
	return p, decision.Refusal{}
}

// object decodes a part that is one JSON object.
func object(part, name string) (map[string]any, decision.Refusal) {
	text, ok := decode(part)
	if !ok {
		return nil, bad("has a " + name + " that is no base64url")
	}
	members, err := strictjson.Object(text)
	if e, ok := errors.AsType[*strictjson.Error](err); ok {
		return nil, bad("has a " + name + " that " + e.Problem)
	}
	if err != nil {
		return nil, bad("has a " + name + " that is no JSON")
	}
	return members, decision.Refusal{}
}

// decode decodes base64url without padding, line breaks and unused bits (RFC 7515 section 2).
func decode(part string) ([]byte, bool) {
	if strings.ContainsAny(part, "\r\n") {
		return nil, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(part)
	return b, err == nil
}

// readHeader takes the members of the JOSE header that RFC 9449 section 4.2 names. crit and b64 are refused, since no
// extension is known here (RFC 7515 section 4.1.11).
func (p *Proof) readHeader(members map[string]any) decision.Refusal {
	typ, hasTyp := members["typ"].(string)
	switch {
	case !hasTyp:
		return bad("has no typ; want dpop+jwt")
	case typ != "dpop+jwt":
		return shown("has another typ than dpop+jwt", typ)
	case members["crit"] != nil:
		return bad("has crit in its header")
	case members["b64"] != nil:
		return bad("has b64 in its header")
	}
	alg, hasAlg := members["alg"].(string)
	jwk, hasKey := members["jwk"].(map[string]any)
	switch {
	case !hasAlg:
		return bad("has no alg")
	case !known(alg):
		return shown("has an alg that is none of "+Algorithms(), alg)
	case !hasKey:
		return bad("has no jwk, the public key that it was made with")
	}
	key, err := keyset.PublicJWK(jwk)
	switch {
	case err != nil:
		return bad("has a jwk that " + err.Error())
	case !key.Fits(alg):
		return shown("has a jwk that does not fit its alg", alg)
	}
	p.alg, p.key, p.thumbprint = alg, key, key.Thumbprint
	return decision.Refusal{}
}

// readClaims takes the claims of RFC 9449 section 4.2.
func (p *Proof) readClaims(members map[string]any) decision.Refusal {
	for _, c := range [...]struct {
		name string
		to   *string
	}{{"jti", &p.id}, {"htm", &p.method}, {"htu", &p.url}, {"ath", &p.hash}} {
		v, has := members[c.name]
		text, ok := v.(string)
		switch {
		case !has:
			return bad("has no " + c.name)
		case !ok:
			return bad("has a " + c.name + " that is no string")
		case text == "":
			return bad("has an empty " + c.name)
		}
		*c.to = text
	}
	if v, has := members["nonce"]; has {
		text, ok := v.(string)
		if !ok {
			return bad("has a nonce that is no string")
		}
		p.nonce = text
	}
	if len(p.id) > maxID {
		return bad("has a jti of more than " + strconv.Itoa(maxID) + " bytes")
	}
	at, has := members["iat"]
	if !has {
		return bad("has no iat")
	}
	var ok bool
	if p.issued, ok = date(at); !ok {
		return bad("has an iat that is no number of seconds since 1970")
	}
	for _, c := range [...]struct {
		name string
		to   *time.Time
	}{{"exp", &p.expires}, {"nbf", &p.begins}} {
		if at, has = members[c.name]; !has {
			continue
		}
		if *c.to, ok = date(at); !ok {
			return bad("has an " + c.name + " that is no number of seconds since 1970")
		}
	}
	return decision.Refusal{}
}

// date reads a NumericDate (RFC 7519 section 2) between 1970 and 9999.
func date(v any) (time.Time, bool) {
	const last = 253402300799
	n, ok := v.(json.Number)
	if !ok {
		return time.Time{}, false
	}
	f, err := n.Float64()
	if err != nil || !(f >= 0 && f <= last) {
		return time.Time{}, false
	}
	whole, fraction := math.Modf(f)
	return time.Unix(int64(whole), int64(fraction*1e9)), true
}

// known reports whether proofs by the algorithm are taken.
func known(alg string) bool {
	for _, a := range token.ProofAlgorithms() {
		if a == alg {
			return true
		}
	}
	return false
}

// Algorithms lists the algorithms of proofs that are taken, as "algs" of a challenge has them (RFC 9449 section 7.1).
func Algorithms() string { return strings.Join(token.ProofAlgorithms(), " ") }

// Use is what a proof has to be made for, whatever the policy says.
type Use struct {
	// Method of the request.
	Method string
	// Token is the access token as it was sent.
	Token string
	// Key is the thumbprint that the token is bound to.
	Key [32]byte
}

// Fits reports whether the proof is for this method and token and names the token's key (RFC 9449 section 4.3, points 8 and
// 12). It needs no cryptography but a hash, so that who stole a token costs no more.
func (p *Proof) Fits(u Use) decision.Refusal {
	if p.method != u.Method {
		return differs("htm is not the request's method", p.method)
	}
	if sum := sha256.Sum256([]byte(u.Token)); p.hash != base64.RawURLEncoding.EncodeToString(sum[:]) {
		return bad("has an ath that is not the hash of this token")
	}
	if p.thumbprint != base64.RawURLEncoding.EncodeToString(u.Key[:]) {
		return decision.Refusal{Reason: decision.KeyMismatch, Cause: decision.Because("cnf.jkt of the token is not the thumbprint of the proof's jwk")}
	}
	return decision.Refusal{}
}

// ReadingWork estimates what it takes to read a proof: some 20 us, but with an RSA key of 8192 bits.
const ReadingWork = 20 * time.Microsecond

// Work estimates what Signed takes.
func (p *Proof) Work() time.Duration { return token.SignatureWork(p.alg, p.key) }

// Signed verifies the signature with the proof's own key (RFC 9449 section 4.3, point 7).
func (p *Proof) Signed() decision.Refusal {
	if !token.Signed(p.alg, p.key, p.input, p.signature) {
		return bad("has a signature that does not verify")
	}
	return decision.Refusal{}
}
