package mint

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
)

// JWKS returns the set as indented JSON with a final line break (RFC 7517 section 5).
func (k Keys) JWKS() ([]byte, error) {
	text, err := json.MarshalIndent(map[string]any{"keys": k.keys}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the keys: %w", err)
	}
	return append(text, '\n'), nil
}

// PEM returns the set as PKCS #8 and PKIX blocks, which carry neither kid nor alg. A symmetric key is an error.
func (k Keys) PEM() ([]byte, error) {
	var out bytes.Buffer
	for i, key := range k.keys {
		var raw any
		if err := key.Raw(&raw); err != nil {
			return nil, fmt.Errorf("read key %d: %w", i, err)
		}
		if _, symmetric := raw.([]byte); symmetric {
			return nil, fmt.Errorf("key %d is symmetric; PEM is for key pairs", i)
		}
		block := pem.Block{Type: "PUBLIC KEY"}
		der, err := x509.MarshalPKIXPublicKey(raw)
		if err != nil {
			block.Type = "PRIVATE KEY"
			if der, err = x509.MarshalPKCS8PrivateKey(raw); err != nil {
				return nil, fmt.Errorf("encode key %d: %w", i, err)
			}
		}
		block.Bytes = der
		if err := pem.Encode(&out, &block); err != nil {
			return nil, fmt.Errorf("encode key %d: %w", i, err)
		}
	}
	return out.Bytes(), nil
}
