package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"time"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

const publicURL = "https://api.example.com"

// bound prints what the judgement of a request costs whose token is bound to a key, beside a bearer token; each was seen before.
func bound(out io.Writer) error {
	k, err := newKey("ES256")
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "A token seen before that is bound to a key, to decision:\tns\tallocations\tthan a bearer token\t")
	hash := sha256.Sum256([]byte("certificate"))
	es, rs, err := clientKeys()
	if err != nil {
		return err
	}
	var judged []func()
	names := []string{"a bearer token", "bound to a client certificate (RFC 8705)", "DPoP, an ES256 proof", "DPoP, an RS256 proof of 2048 bits"}
	for _, c := range []struct {
		cnf    map[string]any
		client *clientKey
	}{{}, {cnf: map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(hash[:])}}, {es.confirmation(), es}, {rs.confirmation(), rs}} {
		signed, err := k.tokenWith(time.Now(), "ES256", c.cnf)
		if err != nil {
			return err
		}
		f, err := boundJudgement(k, signed, c.client, hash)
		if err != nil {
			return err
		}
		judged = append(judged, f)
	}
	ns := fastest(judged...)
	for i, name := range names {
		fmt.Fprintf(out, "%s\t%.0f\t%.0f\t%s\t\n", name, ns[i], allocations(judged[i]), fmt.Sprintf("%.2f us more", (ns[i]-ns[0])/1000))
	}
	return nil
}

// boundJudgement returns a call of the gate. The proof is the same each time, so nobody remembers it: replay would be all else.
func boundJudgement(k key, signed string, client *clientKey, cert [32]byte) (func(), error) {
	is := corp(k)
	is.Proof = &policy.Proof{
		DPoP: policy.BindingIfBound, PublicURLs: []string{publicURL}, Replay: policy.ReplayNone, MaxAge: &policy.Duration{Duration: decision.MaxProofAge},
		MTLS: policy.BindingIfBound,
	}
	spec := policy.Spec{Issuers: []policy.Issuer{is}, Rules: []policy.Rule{rule(0)}}
	g, err := newGate([]bundle.Object{{Namespace: "shop", Name: "p", Spec: spec}}, 0)
	if err != nil {
		return nil, err
	}
	r := request("/service-0/orders/77?page=2", signed)
	r.ClientCert = &decision.ClientCert{Hash: cert}
	if client != nil {
		proof, err := client.proof(signed, publicURL+"/service-0/orders/77")
		if err != nil {
			return nil, err
		}
		h := r.Header.(http.Header)
		h.Set("Authorization", "DPoP "+signed)
		h.Set("Dpop", proof)
	}
	if v := g.Judge(r); !v.Forward {
		return nil, errors.New("refused for " + string(v.Reason))
	}
	return func() { g.Judge(r) }, nil
}

// clientKey is the key of a client that makes proofs.
type clientKey struct {
	alg, canonical string
	sign           func(digest []byte) ([]byte, error)
}

func clientKeys() (es, rs *clientKey, err error) {
	b64 := base64.RawURLEncoding.EncodeToString
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	point, err := curve.PublicKey.Bytes()
	if err != nil {
		return nil, nil, err
	}
	es = &clientKey{"ES256", `{"crv":"P-256","kty":"EC","x":"` + b64(point[1:33]) + `","y":"` + b64(point[33:]) + `"}`, func(digest []byte) ([]byte, error) {
		r, s, err := ecdsa.Sign(rand.Reader, curve, digest)
		if err != nil {
			return nil, err
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), nil
	}}
	modulus, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, nil, err
	}
	exponent := b64(big.NewInt(int64(modulus.E)).Bytes())
	rs = &clientKey{"RS256", `{"e":"` + exponent + `","kty":"RSA","n":"` + b64(modulus.N.Bytes()) + `"}`, func(digest []byte) ([]byte, error) {
		return rsa.SignPKCS1v15(rand.Reader, modulus, crypto.SHA256, digest)
	}}
	return es, rs, nil
}

// confirmation is the claim cnf of the client's tokens: the thumbprint of its key (RFC 7638).
func (c *clientKey) confirmation() map[string]any {
	sum := sha256.Sum256([]byte(c.canonical))
	return map[string]any{"jkt": base64.RawURLEncoding.EncodeToString(sum[:])}
}

// proof makes a proof for a GET (RFC 9449 section 4.2).
func (c *clientKey) proof(token, url string) (string, error) {
	b64 := base64.RawURLEncoding.EncodeToString
	ath := sha256.Sum256([]byte(token))
	claims, err := json.Marshal(map[string]any{"jti": "8d1f6a34-1d1c-4bb5", "htm": "GET", "htu": url, "iat": time.Now().Unix(), "ath": b64(ath[:])})
	if err != nil {
		return "", err
	}
	input := b64([]byte(`{"typ":"dpop+jwt","alg":"`+c.alg+`","jwk":`+c.canonical+`}`)) + "." + b64(claims)
	digest := sha256.Sum256([]byte(input))
	signature, err := c.sign(digest[:])
	return input + "." + b64(signature), err
}
