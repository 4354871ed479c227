package main

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/check"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/mint"
)

const proofLong = `Make a DPoP proof (RFC 9449) and print it.

A token that is bound to a key (token --dpop-key) comes as "Authorization: DPoP TOKEN", and beside it, in the header DPoP, a
proof that the client has the key: for this method, this URL and this token, and for one request. So make a new one each time.

The URL is the one that the policy's publicURLs begin; query and fragment are left out of the proof. iat is now and jti is random. As with
tokens, --claim, --without and --header make proofs that are wrong, so that you can see how each is refused.`

const proofExample = `  # A key pair of the client, and a token that is bound to it.
  bearerguard token keys --alg ES256 --out client.json
  TOKEN=$(bearerguard token --key keys.json --iss https://login.example.com --aud orders --sub alice --dpop-key client.json)

  # A request with it.
  PROOF=$(bearerguard token proof --key client.json --method GET --url http://127.0.0.1:8080/orders --token "$TOKEN")
  curl -i -H "Authorization: DPoP $TOKEN" -H "DPoP: $PROOF" http://127.0.0.1:8080/orders

  # Once more, with the nonce that the answer brought in DPoP-Nonce.
  bearerguard token proof --key client.json --method GET --url http://127.0.0.1:8080/orders --token "$TOKEN" --nonce "$NONCE"`

// proofFlags are the flags of "token proof", as given.
type proofFlags struct {
	key, kid, alg              string
	method, url, token, nonce  string
	jti                        string
	issuedAt                   time.Duration
	claims, without, headerSet []string
}

func newProof(now func() time.Time) *cobra.Command {
	var f proofFlags
	cmd := &cobra.Command{
		Use:     "proof",
		Short:   "Make a DPoP proof for a request with a bound token",
		Long:    proofLong,
		Example: proofExample,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			proof, err := f.make(cmd.InOrStdin(), now())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), proof)
			return err
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.key, "key", "", "`file` with the client's private key: JWK Set, JWK or PEM (- reads standard input)")
	flags.StringVar(&f.kid, "kid", "", "`id` of the key in the set (default: the first key that fits)")
	flags.StringVar(&f.alg, "alg", "", "JWS `algorithm` (default: the key's own)")
	flags.StringVar(&f.method, "method", "GET", "`method` of the request, htm")
	flags.StringVar(&f.url, "url", "", "`URL` of the request, htu")
	flags.StringVar(&f.token, "token", "", "access `token` that goes with it, whose hash is ath (- reads standard input)")
	flags.StringVar(&f.nonce, "nonce", "", "`nonce` that a server gave in DPoP-Nonce (default: none)")
	flags.StringVar(&f.jti, "jti", "", "proof id (default: random)")
	flags.DurationVar(&f.issuedAt, "issued-at", 0, "iat, from now; negative for the past")
	flags.StringArrayVar(&f.claims, "claim", nil, "any other claim, as `name=value`; repeatable")
	flags.StringSliceVar(&f.without, "without", nil, "`claims` to leave out, such as ath,jti")
	flags.StringArrayVar(&f.headerSet, "header", nil, "JWS header member, as `name=value`; null leaves one out; repeatable")
	return cmd
}

// make reads the key and makes the proof. Every error names the flag that it is about.
func (f *proofFlags) make(stdin io.Reader, now time.Time) (string, error) {
	claims, err := f.build(stdin, now)
	if err != nil {
		return "", err
	}
	payload, err := mint.Encode(claims)
	if err != nil {
		return "", err
	}
	keys, err := readKeys(f.key, stdin)
	if err != nil {
		return "", fmt.Errorf("--key: %w", err)
	}
	header, err := members(f.headerSet)
	if err != nil {
		return "", fmt.Errorf("--header %w", err)
	}
	proof, err := mint.Prove(payload, keys, mint.SignOptions{KeyID: f.kid, Algorithm: f.alg, Header: header})
	if err != nil {
		return "", fmt.Errorf("--key: %w", err)
	}
	return proof, nil
}

// build makes the claims of the proof. --claim has the last word, but for --without.
func (f *proofFlags) build(stdin io.Reader, now time.Time) (map[string]any, error) {
	switch {
	case f.key == "":
		return nil, errors.New("--key: is missing; want a file with the client's key (make one: bearerguard token keys --alg ES256 --out client.json)")
	case f.key == "-" && f.token == "-":
		return nil, errors.New("--key and --token: only one can read standard input")
	case f.url == "":
		return nil, errors.New("--url: is missing; want the URL of the request")
	case f.token == "":
		return nil, errors.New("--token: is missing; want the access token that the proof goes with")
	}
	at, err := url.Parse(f.url)
	if err != nil || at.Scheme == "" || at.Host == "" {
		return nil, fmt.Errorf("--url: %q is no URL such as https://api.example.com/orders", f.url)
	}
	token := f.token
	if token == "-" {
		text, err := readFile("-", stdin)
		if err != nil {
			return nil, fmt.Errorf("--token: %w", err)
		}
		token = string(text)
	}
	_, token = check.Pasted(token)
	target, _, _ := strings.Cut(f.url, "#") // RFC 9449 section 4.2: htu has neither query nor fragment
	target, _, _ = strings.Cut(target, "?")
	sum := sha256.Sum256([]byte(token))
	claims := map[string]any{
		"htm": f.method, "htu": target, "iat": now.Add(f.issuedAt).Unix(), "jti": f.jti, "ath": base64.RawURLEncoding.EncodeToString(sum[:]),
	}
	if f.jti == "" {
		claims["jti"] = rand.Text()
	}
	if f.nonce != "" {
		claims["nonce"] = f.nonce
	}
	return claims, change("proof", claims, f.claims, f.without)
}

// bindFlags are the flags of "token" that bind it to a key.
type bindFlags struct{ dpopKey, certificate string }

// confirmation returns the claim cnf (RFC 7800 section 3.1), empty if the token is to be bound to nothing.
func (f bindFlags) confirmation(stdin io.Reader) (map[string]any, error) {
	cnf := map[string]any{}
	if f.dpopKey != "" {
		keys, err := readKeys(f.dpopKey, stdin)
		if err != nil {
			return nil, fmt.Errorf("--dpop-key: %w", err)
		}
		if cnf["jkt"], err = keys.Thumbprint(mint.SignOptions{}); err != nil {
			return nil, fmt.Errorf("--dpop-key: %w", err)
		}
	}
	if f.certificate != "" {
		hash, err := certificateHash(f.certificate, stdin)
		if err != nil {
			return nil, fmt.Errorf("--client-certificate: %w", err)
		}
		cnf["x5t#S256"] = base64.RawURLEncoding.EncodeToString(hash[:])
	}
	return cnf, nil
}

// certificateHash returns the SHA-256 hash of the first certificate of a PEM file (RFC 8705 section 3.1).
func certificateHash(path string, stdin io.Reader) ([32]byte, error) {
	text, err := readFile(path, stdin)
	if err != nil {
		return [32]byte{}, err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return [32]byte{}, fmt.Errorf("%s holds a certificate that cannot be read", path)
		}
		return sha256.Sum256(block.Bytes), nil
	}
	return [32]byte{}, fmt.Errorf("%s has no PEM certificate", path)
}
