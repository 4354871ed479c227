package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

// signer makes the tokens of one algorithm.
type signer struct {
	alg    string
	public any
	sign   func(digest []byte) ([]byte, error)
}

func signers() ([]signer, error) {
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	es, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return []signer{
		{"RS256", &rs.PublicKey, func(d []byte) ([]byte, error) { return rsa.SignPKCS1v15(nil, rs, crypto.SHA256, d) }},
		{"ES256", &es.PublicKey, func(d []byte) ([]byte, error) {
			r, s, err := ecdsa.Sign(rand.Reader, es, d)
			if err != nil {
				return nil, err
			}
			return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), nil // RFC 7518 section 3.4
		}},
	}, nil
}

// makeTokens writes keys and tokens into dir, unless those of a run of the last day are there: 50,000 RSA signatures take
// half a minute. Tokens are good for a week; the private keys are kept nowhere.
func makeTokens(dir string) error {
	done := filepath.Join(dir, "done")
	if info, err := os.Stat(done); err == nil && time.Since(info.ModTime()) < 24*time.Hour {
		return nil
	}
	if err := os.MkdirAll(filepath.Join(dir, "policies"), 0o755); err != nil {
		return err
	}
	all, err := signers()
	if err != nil {
		return err
	}
	var keys []map[string]string
	for _, s := range all {
		if err := s.write(dir); err != nil {
			return fmt.Errorf("make %s tokens: %w", s.alg, err)
		}
		keys = append(keys, s.jwk())
	}
	set, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		return err
	}
	manifest := fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: corp, namespace: default}\ndata:\n  jwks.json: '%s'\n", set)
	if err := os.WriteFile(filepath.Join(dir, "policies", "keys.yaml"), []byte(manifest), 0o644); err != nil {
		return err
	}
	return os.WriteFile(done, nil, 0o644)
}

// write writes ALG.pem, the public key; ALG.tokens; and ALG.bad, tokens that no proxy may let through.
func (s signer) write(dir string) error {
	der, err := x509.MarshalPKIXPublicKey(s.public)
	if err != nil {
		return err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	if err := os.WriteFile(filepath.Join(dir, s.alg+".pem"), text, 0o644); err != nil {
		return err
	}
	now := time.Now()
	tokens, err := s.many(all, now)
	if err != nil {
		return err
	}
	bad, err := s.bad(now)
	if err != nil {
		return err
	}
	for name, lines := range map[string][]string{"tokens": tokens, "bad": bad} {
		if err := os.WriteFile(filepath.Join(dir, s.alg+"."+name), []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// many makes n different tokens, on all cores.
func (s signer) many(n int, now time.Time) ([]string, error) {
	out := make([]string, n)
	workers := runtime.NumCPU()
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n && errs[w] == nil; i += workers {
				out[i], errs[w] = s.token(claims(now, i))
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// claims make an RS256 token of about 830 bytes.
func claims(now time.Time, i int) map[string]any {
	return map[string]any{
		"iss": "https://login.example.com", "aud": "orders", "sub": fmt.Sprintf("user-%06d", i),
		"iat": now.Unix(), "nbf": now.Unix() - 60, "exp": now.Add(7 * 24 * time.Hour).Unix(),
		"jti": fmt.Sprintf("3e1b9a52-7f70-4c0f-9d3c-%012d", i), "azp": "storefront",
		"scope": "openid orders.read orders.write", "tenant": "acme",
		"realm_access": map[string]any{"roles": []string{"reader", "editor"}},
	}
}

// bad makes one token for each check that all proxies here make.
func (s signer) bad(now time.Time) ([]string, error) {
	var out []string
	for name, value := range map[string]any{
		"exp": now.Add(-time.Hour).Unix(), "nbf": now.Add(8 * 24 * time.Hour).Unix(), "iss": "https://evil.example.com", "aud": "payments",
	} {
		c := claims(now, 0)
		c[name] = value
		t, err := s.token(c)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	t, err := s.token(claims(now, 0))
	if err != nil {
		return nil, err
	}
	other, err := s.token(claims(now, 1))
	if err != nil {
		return nil, err
	}
	return append(out, t[:strings.LastIndex(t, ".")]+other[strings.LastIndex(other, "."):]), nil // another's signature
}

// token signs claims (RFC 7515 section 3.1).
func (s signer) token(claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	b64 := base64.RawURLEncoding.EncodeToString
	input := b64([]byte(`{"alg":"`+s.alg+`","kid":"`+s.alg+`","typ":"JWT"}`)) + "." + b64(payload)
	digest := sha256.Sum256([]byte(input))
	signature, err := s.sign(digest[:])
	return input + "." + b64(signature), err
}

// jwk is the public key for Bearerguard (RFC 7518 section 6).
func (s signer) jwk() map[string]string {
	b64 := base64.RawURLEncoding.EncodeToString
	out := map[string]string{"kid": s.alg, "alg": s.alg, "use": "sig"}
	switch k := s.public.(type) {
	case *rsa.PublicKey:
		out["kty"], out["n"], out["e"] = "RSA", b64(k.N.Bytes()), b64([]byte{1, 0, 1})
	case *ecdsa.PublicKey:
		point, err := k.Bytes() // 4, X, Y
		if err != nil {
			panic(err) // P-256 has a point
		}
		out["kty"], out["crv"], out["x"], out["y"] = "EC", "P-256", b64(point[1:33]), b64(point[33:])
	}
	return out
}
