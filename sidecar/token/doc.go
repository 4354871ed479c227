// Package token finds the token of a request and verifies it against an issuer's keys and rules.
//
// The way of a token: Locator.Find takes it out of the request; Parse is the strict front, which settles without any
// key work whether the text is one compact JWS or JWE (RFC 7515, RFC 7516) with strict JSON and a harmless header;
// Verifier.Verify checks the cheap things (issuer, algorithm, type, registered claims), chooses one algorithm and one
// key, and does the cryptography with exactly these; Cache keeps what the gate made of the outcome, and
// Revocations takes tokens back.
//
// jwx never decides: it does not parse a token, it gets the signing input, the signature, and a key that was prepared at
// load. What it leaves open (algorithm against header, crit, typ, duplicate members, spellings, claims) is decided here.
// RFC 8725 is the checklist. RSA signatures do not go to it: PSS is crypto/rsa's, and PKCS #1 v1.5 is compared here, on
// filippo.io/bigmod, the arithmetic of crypto/rsa (rsa.go says why). Nor do encrypted tokens: unseal.go and agree.go put the
// standard library's primitives together, and tests hold them to what jwx says.
//
// Whatever is refused has a cause beside its reason (cause.go): which claim, which header member, which part, and what was
// wrong with it. Causes make their text when it is asked for. String, which logs print, has no value of the token.
//
// Everything is immutable or safe for concurrent use, nothing reads a clock, and no error or String form holds a token,
// a key or a claim.
package token
