package token

import (
	"encoding/base64"
	"fmt"
	"strings"
	"unsafe"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/keyset/strictjson"
)

// MaxBytes is the longest token, in bytes.
const MaxBytes = 16 << 10

// Token is a token that passed the strict front: well-formed, but nothing about it is verified. It never changes, but
// remembers what the cryptography said of it with each key. It is safe for concurrent use and prints as nothing but its
// form.
type Token struct {
	raw    string
	parts  [5]string // encoded, as they came
	header header
	// familiar: the header was that of a genuine token before.
	familiar bool
	jws      signed    // of a JWS
	jwe      encrypted // of a JWE
}

// signed is what a JWS holds besides its header.
type signed struct {
	input     []byte // header.payload, what is signed (RFC 7515 section 5.2)
	signature []byte
	payload   string // until it is parsed
	claims    registered
	verified  memo[bool]
}

// Parse is the strict front. The zero Refusal means that raw is one well-formed compact JWS or JWE: at most 16 KiB,
// three or five parts of base64url without padding and unused bits, strict JSON, an algorithm that is known, no header
// member that would have to be understood, registered claims of the right types. No key work has been done.
func Parse(raw string) (*Token, decision.Refusal) {
	t, no := front(raw)
	if no.Refused() || t.header.encrypted {
		return t, no
	}
	if no := t.jws.claims.parse(t.jws.payload); no.Refused() {
		return nil, no
	}
	t.jws.payload = ""
	return t, decision.Refusal{}
}

// front is Parse without the claims: the payload of a JWS may be anything.
func front(raw string) (*Token, decision.Refusal) {
	if len(raw) > MaxBytes {
		return nil, decision.Refusal{Reason: decision.TokenTooLarge, Cause: length(len(raw))}
	}
	t := &Token{raw: raw}
	n, ok := split(raw, &t.parts)
	if !ok {
		return nil, misshapen(raw, n)
	}
	var no decision.Refusal
	if n == jweParts {
		no = t.readEncrypted()
	} else {
		no = t.readSigned()
	}
	if no.Refused() {
		return nil, no
	}
	return t, decision.Refusal{}
}

// readHeader decodes the header and checks it.
func (t *Token) readHeader() decision.Refusal {
	text, ok := decode(t.parts[0])
	if !ok {
		return misspelt(t.raw, inHeader, t.parts[0])
	}
	members, err := strictjson.ObjectOf(asText(text))
	if err != nil {
		return notJSON(inHeader, err)
	}
	if no := t.header.read(members); no.Refused() {
		if problem := oddity(t.raw); problem != "" {
			return malformed("the token", problem)
		}
		return no
	}
	return decision.Refusal{}
}

// Encrypted reports whether the token is a JWE, whose issuer is not known before it is decrypted.
func (t *Token) Encrypted() bool { return t.header.encrypted }

// Issuer returns the unverified "iss" of a JWS; empty for a JWE and when there is none.
func (t *Token) Issuer() string { return t.jws.claims.iss }

// KeyID returns the unverified "kid"; empty when there is none.
func (t *Token) KeyID() string { return t.header.kid }

// Unverified returns the claims of a JWS, which are worth nothing before it has been verified; nil for a JWE.
func (t *Token) Unverified() decision.Claims { return t.jws.claims.all }

// Format prints the form of the token, whatever the verb.
func (t *Token) Format(f fmt.State, _ rune) {
	form := "JWS"
	if t.header.encrypted {
		form = "JWE"
	}
	_, _ = f.Write([]byte(form))
}

// split cuts the compact serialisation (RFC 7515 section 7.1, RFC 7516 section 7.1) at its dots.
func split(raw string, parts *[5]string) (n int, ok bool) {
	n = strings.Count(raw, ".") + 1
	if n != 3 && n != 5 {
		return n, false
	}
	for i := range n {
		parts[i], raw, _ = strings.Cut(raw, ".")
	}
	return n, true
}

// decode decodes base64url without padding (RFC 7515 section 2). Unused bits must be zero, so that every token has one
// spelling, and there are no line breaks, which encoding/base64 would skip.
func decode(part string) ([]byte, bool) {
	return decodeInto(make([]byte, base64url.DecodedLen(len(part))), part)
}

// decodeInto is decode into memory that has room.
func decodeInto(room []byte, part string) ([]byte, bool) {
	if strings.IndexByte(part, '\n') >= 0 || strings.IndexByte(part, '\r') >= 0 {
		return nil, false
	}
	n, err := base64url.Decode(room, asBytes(part))
	return room[:n], err == nil
}

var base64url = base64.RawURLEncoding.Strict()

// asText makes bytes that nobody changes any more a string, without a copy.
func asText(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // a copy would be one more for each token
}

// asBytes makes a string bytes that are only read, without a copy.
func asBytes(s string) []byte {
	return unsafe.Slice(unsafe.StringData(s), len(s)) //nolint:gosec // only read; a copy would be one more for each token
}

// readSigned reads a JWS, whose payload and signature share one piece of memory.
func (t *Token) readSigned() decision.Refusal {
	if t.header, t.familiar = familiarHeaders.find(t.parts[0]); !t.familiar {
		if no := t.readHeader(); no.Refused() {
			return no
		}
	}
	room := make([]byte, base64url.DecodedLen(len(t.parts[1]))+base64url.DecodedLen(len(t.parts[2])))
	payload, ok := decodeInto(room, t.parts[1])
	switch {
	case !ok:
		return misspelt(t.raw, inPayload, t.parts[1])
	case len(payload) == 0:
		return malformed(inPayload, "is empty")
	}
	t.jws.payload = asText(payload)
	t.jws.signature, ok = decodeInto(room[len(payload):], t.parts[2])
	switch {
	case !ok:
		return misspelt(t.raw, inSignature, t.parts[2])
	case len(t.jws.signature) == 0:
		return malformed(inSignature, "is empty")
	}
	t.jws.input = asBytes(t.raw[:len(t.parts[0])+1+len(t.parts[1])])
	return decision.Refusal{}
}
