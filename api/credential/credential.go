// Package credential is what a sidecar shows an introspection endpoint (RFC 7662) to be let ask, and the rules of the
// operator for reaching it: read from a Secret's entries, vetted, and in one form for the wire and for disk.
//
// It travels in a bundle like a key set, since the same holds of it: it is resolved apart from the policy that names it, is a
// secret, and is missing until it has been read.
package credential

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"

	"github.com/bearerguard/bearerguard/api/policy"
)

// The entries of a Secret.
const (
	EntryClientID    = "client_id"
	EntrySecret      = "client_secret"
	EntryPrivateKey  = "private_key"
	EntryKeyID       = "key_id"
	EntryCertificate = "tls.crt"
	EntryTLSKey      = "tls.key"
)

// maxText bounds the entries that are texts of one line, maxPEM the others, in bytes.
const (
	maxText = 2048
	maxPEM  = 64 << 10
	// minRSA is the fewest bits of an RSA key (RFC 7518 section 3.3).
	minRSA = 2048
)

// Credential is what the endpoint is shown. It holds secrets, and prints as nothing.
type Credential struct {
	ClientID     string `json:"clientID"`
	ClientSecret string `json:"clientSecret,omitempty"`
	// PrivateKey is PEM, KeyID the kid that goes with it.
	PrivateKey string `json:"privateKey,omitempty"`
	KeyID      string `json:"keyID,omitempty"`
	// Certificate and TLSKey are PEM.
	Certificate string `json:"certificate,omitempty"`
	TLSKey      string `json:"tlsKey,omitempty"`

	Rules
}

// Rules are how the endpoint may be reached: the operator's rules for fetching keys, and the policy's authority.
type Rules struct {
	// CA is PEM certificates to trust instead of the system's; empty: the system's.
	CA string `json:"ca,omitempty"`
	// AllowHTTP and AllowNets are those of api/fetch.Options.
	AllowHTTP bool           `json:"allowHTTP,omitempty"`
	AllowNets []netip.Prefix `json:"allowNets,omitempty"`
}

// Format prints that it is one, whatever the verb.
func (c Credential) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "credential") }

// LogValue is that it is one.
func (c Credential) LogValue() slog.Value { return slog.StringValue("credential") }

// Read takes what a method of authentication needs out of a Secret's entries; the others are left alone. The error names the
// entry and holds none of it; it reads on after the name of the Secret.
func Read(entries map[string][]byte, auth policy.IntrospectionAuth) (Credential, error) {
	var c Credential
	var err error
	if c.ClientID, err = line(entries, EntryClientID); err != nil {
		return Credential{}, err
	}
	switch auth {
	case "", policy.AuthBasic, policy.AuthPost:
		c.ClientSecret, err = line(entries, EntrySecret)
	case policy.AuthPrivateKeyJWT:
		if c.PrivateKey, err = text(entries, EntryPrivateKey, maxPEM); err == nil {
			_, err = c.Signer()
		}
		if _, has := entries[EntryKeyID]; has && err == nil {
			c.KeyID, err = line(entries, EntryKeyID)
		}
	case policy.AuthMTLS:
		if c.Certificate, err = text(entries, EntryCertificate, maxPEM); err != nil {
			break
		}
		if c.TLSKey, err = text(entries, EntryTLSKey, maxPEM); err == nil {
			_, err = c.TLS()
		}
	default:
		err = errors.New("is for a method of authentication that is not known")
	}
	if err != nil {
		return Credential{}, err
	}
	return c, nil
}

// line reads an entry of one line; a line break at its end, which editors leave, is not part of it.
func line(entries map[string][]byte, name string) (string, error) {
	s, err := text(entries, name, maxText)
	if err != nil {
		return "", err
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' { // 1*VSCHAR (RFC 6749 appendices A.1 and A.2)
			return "", fmt.Errorf("entry %q has a character that is not printable ASCII", name)
		}
	}
	return s, nil
}

func text(entries map[string][]byte, name string, most int) (string, error) {
	data, has := entries[name]
	data = bytes.TrimRight(data, "\r\n")
	switch {
	case !has:
		return "", fmt.Errorf("has no entry %q", name)
	case len(data) == 0:
		return "", fmt.Errorf("entry %q is empty", name)
	case len(data) > most:
		return "", fmt.Errorf("entry %q has more than %d bytes", name, most)
	}
	return string(data), nil
}

// Signer returns the private key: RSA of at least 2048 bits, EC on P-256, P-384 or P-521, or Ed25519.
func (c Credential) Signer() (crypto.Signer, error) {
	block, rest := pem.Decode([]byte(c.PrivateKey))
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("entry %q is not one PEM block with a private key", EntryPrivateKey)
	}
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("entry %q is PEM, but no private key", EntryPrivateKey)
	}
	if err != nil {
		return nil, fmt.Errorf("entry %q is a private key that cannot be read", EntryPrivateKey)
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if k.N.BitLen() < minRSA {
			return nil, fmt.Errorf("entry %q is an RSA key of fewer than %d bits", EntryPrivateKey, minRSA)
		}
		return k, nil
	case *ecdsa.PrivateKey:
		if k.Curve != elliptic.P256() && k.Curve != elliptic.P384() && k.Curve != elliptic.P521() {
			return nil, fmt.Errorf("entry %q is on another curve than P-256, P-384 and P-521", EntryPrivateKey)
		}
		return k, nil
	case ed25519.PrivateKey:
		return k, nil
	}
	return nil, fmt.Errorf("entry %q is a key that signs nothing", EntryPrivateKey)
}

// TLS returns the client's certificate.
func (c Credential) TLS() (tls.Certificate, error) {
	cert, err := tls.X509KeyPair([]byte(c.Certificate), []byte(c.TLSKey))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("entries %q and %q are not a certificate and its key", EntryCertificate, EntryTLSKey)
	}
	return cert, nil
}

// Encode writes a credential; equal ones have equal bytes.
func (c Credential) Encode() []byte {
	// It has another method set, so that it is written as what it is.
	type plain Credential
	b, err := json.Marshal(plain(c)) //nolint:gosec // it is what bundles carry to the sidecar, and nobody else
	if err != nil {                  // texts, a boolean and networks can be written
		return nil
	}
	return b
}

// Decode reads what Encode wrote. The error holds nothing of it.
func Decode(data []byte) (Credential, error) {
	type plain Credential
	var c plain
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil || c.ClientID == "" {
		return Credential{}, errors.New("is no credential")
	}
	return Credential(c), nil
}
