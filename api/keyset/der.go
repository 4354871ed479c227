package keyset

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
)

// maxDER is the largest key or certificate, in bytes. It bounds the work of reading numbers.
const maxDER = 32 << 10

// bareDER returns DER that is the whole source, as it is or in base64. Any DER that is well formed throughout counts:
// what kind it is comes later.
func bareDER(data, text []byte) ([]byte, bool) {
	for _, candidate := range [][]byte{data, text} {
		if der, rest, ok := sequence(candidate); ok && len(bytes.TrimSpace(rest)) == 0 {
			return der, true
		}
	}
	decoded, ok := unbase64(text)
	if !ok {
		return nil, false
	}
	der, rest, ok := sequence(decoded)
	return der, ok && len(rest) == 0
}

// sequence cuts a DER SEQUENCE off that is well formed throughout.
func sequence(data []byte) (der, rest []byte, ok bool) {
	var v asn1.RawValue
	rest, err := asn1.Unmarshal(data, &v)
	if err != nil || v.Class != asn1.ClassUniversal || v.Tag != asn1.TagSequence || !wellFormed(v, 16) {
		return nil, nil, false
	}
	return v.FullBytes, rest, true
}

// wellFormed looks into a value, no deeper than depth.
func wellFormed(v asn1.RawValue, depth int) bool {
	if !v.IsCompound {
		return true
	}
	for in := v.Bytes; len(in) > 0; {
		var inner asn1.RawValue
		rest, err := asn1.Unmarshal(in, &inner)
		if err != nil || depth == 0 || !wellFormed(inner, depth-1) {
			return false
		}
		in = rest
	}
	return true
}

// holdsDER reports whether a public key or certificate stands at the start of the bytes, or anywhere in them in base64. It
// is a net for what was meant well, so it tries no more than the first places that look like one.
func holdsDER(text []byte) bool {
	if der, _, ok := sequence(text); ok && readable(der) {
		return true
	}
	for tries := 0; tries < 64; text = text[1:] {
		i := bytes.IndexByte(text, 'M') // the first six bits of 0x30, a SEQUENCE
		if i < 0 {
			return false
		}
		text = text[i:]
		head, _ := unbase64(base64At(text, 8))
		if len(head) < 6 || head[0] != 0x30 || head[1] < 42 || !bytes.ContainsAny(head[2:], "\x30\x02") {
			continue
		}
		tries++
		decoded, _ := unbase64(base64At(text, maxDER/3*4))
		if der, _, ok := sequence(decoded); ok && readable(der) {
			return true
		}
	}
	return false
}

// base64At returns at most n characters of base64 from the start of the text, over line breaks and what is written for
// them; so many that they decode to whole bytes.
func base64At(text []byte, n int) []byte {
	var out []byte
	for i := 0; i < len(text) && len(out) < n; i++ {
		switch c := text[i]; {
		case isBase64(c):
			out = append(out, c)
		case c == '\\' && i+1 < len(text) && (text[i+1] == 'n' || text[i+1] == 'r'):
			i++
		case c != ' ' && c != '\n' && c != '\r' && c != '\t':
			n = 0
		}
	}
	if len(out)%4 == 1 {
		out = out[:len(out)-1]
	}
	return out
}

// isBase64 reports whether c is a character of either alphabet of base64 (RFC 4648 sections 4 and 5).
func isBase64(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '+' || c == '/' || c == '-' || c == '_'
}

// readable reports whether readDER reads it.
func readable(der []byte) bool {
	_, err := readDER(der)
	return err == nil
}

// readDER returns the key that DER holds, in any of the forms that PEM has labels for, or the *x509.Certificate.
func readDER(der []byte) (any, error) {
	if len(der) > maxDER {
		return nil, fmt.Errorf("has %d bytes; at most %d are read", len(der), maxDER)
	}
	for _, parse := range []func([]byte) (any, error){
		x509.ParsePKIXPublicKey,
		func(b []byte) (any, error) { return x509.ParseCertificate(b) },
		func(b []byte) (any, error) { return x509.ParsePKCS1PublicKey(b) },
		x509.ParsePKCS8PrivateKey,
		func(b []byte) (any, error) { return x509.ParsePKCS1PrivateKey(b) },
		func(b []byte) (any, error) { return x509.ParseECPrivateKey(b) },
		oddCertificate,
	} {
		if raw, err := parse(der); err == nil {
			return raw, nil
		}
	}
	return nil, errors.New("is no key or certificate that is read; want RSA, P-256, P-384, P-521, Ed25519 or X25519, not encrypted")
}

// oddCertificate returns the public key of a certificate that crypto/x509 does not parse for something that says nothing
// about the key, such as a negative serial number. No trust comes from a certificate: its source is trusted.
func oddCertificate(der []byte) (any, error) {
	var cert struct {
		TBS struct {
			Version                            int `asn1:"optional,explicit,default:0,tag:0"`
			Serial, Algorithm, Issuer          asn1.RawValue
			Validity, Subject                  asn1.RawValue
			PublicKey                          asn1.RawValue
			IssuerID, SubjectID, AllExtensions asn1.RawValue `asn1:"optional"`
		}
		Algorithm asn1.RawValue
		Signature asn1.BitString
	}
	if rest, err := asn1.Unmarshal(der, &cert); err != nil || len(rest) > 0 {
		return nil, errors.New("is no certificate")
	}
	return x509.ParsePKIXPublicKey(cert.TBS.PublicKey.FullBytes)
}

// der takes the one key of bare DER.
func (c *collector) der(der []byte, use Use) error {
	raw, err := readDER(der)
	if err != nil {
		return fmt.Errorf("is DER, but %w", err)
	}
	if cert, ok := raw.(*x509.Certificate); ok {
		c.certificates([]*x509.Certificate{cert}, use)
		return nil
	}
	k, err := keyOf(raw, use)
	c.add("DER", k, err)
	return nil
}
