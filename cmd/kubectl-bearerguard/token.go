package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/mint"
)

const tokenLong = `Mint a token for development and print it.

The token is signed with a key that you have, mostly one from "token keys". It says what you ask for, right or wrong:
an expired token, a claim of the wrong type or an odd header are made as readily as a good one, so that you can see
how each is refused. Never give the keys of a real identity provider to this command.

Claims. iat is now, exp is ten minutes later and jti is random, unless flags say otherwise. --claim NAME=VALUE sets any
claim; VALUE is read as JSON where it is JSON and as text where it is not:

  --claim 'roles=["reader","admin"]'   a list
  --claim level=3                      a number            (--claim 'level="3"' is the text)
  --claim tenant=acme                  a text
  --without jti                        leaves a claim out

Encryption. With --encrypt-key the signed token is wrapped in a JWE (a nested token, RFC 7519 appendix A.2); the public
half of the key is enough. --encrypt-only leaves the signature out: such a token proves nothing about who made it.`

const tokenExample = `  # A key pair, its public half for the sidecar, and a token for the app "orders".
  bearerguard token keys --alg RS256 --kid k1 --out keys.json
  bearerguard token keys --public --key keys.json --out public.json
  bearerguard token --key keys.json --iss https://login.example.com --aud orders --sub alice \
    --scope orders.read --claim 'roles=["reader"]'

  # An access token of RFC 9068 that expired an hour ago.
  bearerguard token --key keys.json --iss https://login.example.com --aud orders --sub alice \
    --header typ=at+jwt --issued-at -2h --expires-in -1h

  # HMAC with a raw secret, and the same token encrypted as well.
  bearerguard token keys --alg HS256 --format raw --out secret.txt
  bearerguard token --secret-file secret.txt --sub alice --aud orders
  bearerguard token keys --alg RSA-OAEP-256 --out jwe.json
  bearerguard token --secret-file secret.txt --sub alice --aud orders --encrypt-key jwe.json --enc A256GCM

  # Bound to a key of the client: of no use to who has the token alone.
  bearerguard token keys --alg ES256 --out client.json
  bearerguard token --key keys.json --sub alice --aud orders --dpop-key client.json
  bearerguard token --key keys.json --sub alice --aud orders --client-certificate client.crt

  # Try it.
  curl -H "Authorization: Bearer $(bearerguard token --key keys.json --aud orders --sub alice)" http://127.0.0.1:8080/`

// tokenFlags are the flags of "token", as given.
type tokenFlags struct {
	key, kid, alg, secretFile string
	encryptKey, encryptKid    string
	encryptAlg, enc           string
	encryptOnly               bool
	header, encryptHeader     []string
	claims                    claimFlags
	bind                      bindFlags
}

func newToken(now func() time.Time) *cobra.Command {
	var f tokenFlags
	cmd := &cobra.Command{
		Use:     "token",
		Short:   "Mint development tokens and keys",
		Long:    tokenLong,
		Example: tokenExample,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.claims.notBeforeSet = cmd.Flags().Changed("not-before")
			token, err := f.mint(cmd.InOrStdin(), now())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
			return err
		},
	}
	f.register(cmd)
	return cmd
}

func (f *tokenFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.key, "key", "", "`file` with the signing key: JWK Set, JWK or PEM (- reads standard input)")
	flags.StringVar(&f.secretFile, "secret-file", "", "`file` whose bytes are the HMAC secret, as they are")
	flags.StringVar(&f.kid, "kid", "", "`id` of the key in the set (default: the first key that fits)")
	flags.StringVar(&f.alg, "alg", "", "JWS `algorithm` (default: the key's own)")
	flags.StringVar(&f.claims.iss, "iss", "", "issuer")
	flags.StringArrayVar(&f.claims.aud, "aud", nil, "audience; several make a list")
	flags.StringVar(&f.claims.sub, "sub", "", "subject")
	flags.StringVar(&f.claims.jti, "jti", "", "token id (default: random)")
	flags.StringArrayVar(&f.claims.scope, "scope", nil, "scope; several are joined with spaces")
	flags.StringArrayVar(&f.claims.set, "claim", nil, "any other claim, as `name=value`; repeatable")
	flags.StringSliceVar(&f.claims.without, "without", nil, "`claims` to leave out, such as exp,iat,jti")
	flags.DurationVar(&f.claims.issuedAt, "issued-at", 0, "iat, from now; negative for the past")
	flags.DurationVar(&f.claims.expiresIn, "expires-in", 10*time.Minute, "exp, from now; negative makes an expired token")
	flags.DurationVar(&f.claims.notBefore, "not-before", 0, "nbf, from now; without a value: now (default: no nbf)")
	flags.Lookup("not-before").NoOptDefVal = "0s"
	flags.StringVar(&f.bind.dpopKey, "dpop-key", "", "`file` with the client's key: bind the token to it for DPoP (cnf.jkt); see \"token proof\"")
	flags.StringVar(&f.bind.certificate, "client-certificate", "", "PEM `file` with the client's certificate: bind the token to it for mutual TLS (cnf.x5t#S256)")
	flags.StringArrayVar(&f.header, "header", nil, "JWS header member, as `name=value`; null leaves one out; repeatable")
	flags.StringVar(&f.encryptKey, "encrypt-key", "", "`file` with the encryption key: wrap the token in a JWE")
	flags.StringVar(&f.encryptKid, "encrypt-kid", "", "`id` of the encryption key in the set")
	flags.StringVar(&f.encryptAlg, "encrypt-alg", "", "JWE `algorithm` for the key (default: the key's own)")
	flags.StringVar(&f.enc, "enc", "", "JWE content `algorithm` (default A256GCM)")
	flags.StringArrayVar(&f.encryptHeader, "encrypt-header", nil, "JWE header member, as `name=value`; repeatable")
	flags.BoolVar(&f.encryptOnly, "encrypt-only", false, "encrypt the claims without signing them")
}

// mint reads the keys and makes the token. Every error names the flag that it is about.
func (f *tokenFlags) mint(stdin io.Reader, now time.Time) (string, error) {
	if err := f.check(); err != nil {
		return "", err
	}
	var err error
	if f.claims.cnf, err = f.bind.confirmation(stdin); err != nil {
		return "", err
	}
	claims, err := f.claims.build(now)
	if err != nil {
		return "", err
	}
	payload, err := mint.Encode(claims)
	if err != nil {
		return "", err
	}
	if f.encryptOnly {
		return f.encrypt(payload, stdin, nil)
	}
	token, err := f.sign(payload, stdin)
	if err != nil || f.encryptKey == "" {
		return token, err
	}
	return f.encrypt([]byte(token), stdin, map[string]any{"cty": "JWT"})
}

// check refuses combinations that say two things at once.
func (f *tokenFlags) check() error {
	if f.key != "" && f.secretFile != "" {
		return fmt.Errorf("--key and --secret-file: give one of them")
	}
	signing := f.key+f.secretFile != ""
	switch {
	case f.encryptOnly && f.encryptKey == "":
		return fmt.Errorf("--encrypt-only: needs --encrypt-key")
	case f.encryptOnly && signing:
		return fmt.Errorf("--encrypt-only: goes with neither --key nor --secret-file, since nothing is signed")
	case !f.encryptOnly && !signing:
		return fmt.Errorf("--key: is missing; want a file with the signing key (make one: bearerguard token keys --alg RS256 --out keys.json)")
	case f.encryptKey == "" && f.encryptKid+f.encryptAlg+f.enc+strings.Join(f.encryptHeader, "") != "":
		return fmt.Errorf("--enc, --encrypt-alg, --encrypt-kid, --encrypt-header: need --encrypt-key")
	}
	from := ""
	for _, flag := range []struct{ name, file string }{
		{"--key", f.key}, {"--secret-file", f.secretFile}, {"--encrypt-key", f.encryptKey}, {"--dpop-key", f.bind.dpopKey}, {"--client-certificate", f.bind.certificate},
	} {
		switch {
		case flag.file != "-":
		case from != "":
			return fmt.Errorf("%s and %s: only one can read standard input", from, flag.name)
		default:
			from = flag.name
		}
	}
	return nil
}

func (f *tokenFlags) sign(payload []byte, stdin io.Reader) (string, error) {
	flag := "--key"
	keys, err := readKeys(f.key, stdin)
	if f.secretFile != "" {
		flag = "--secret-file"
		keys, err = readSecret(f.secretFile, stdin)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", flag, err)
	}
	header, err := members(f.header)
	if err != nil {
		return "", fmt.Errorf("--header %w", err)
	}
	token, err := mint.Sign(payload, keys, mint.SignOptions{KeyID: f.kid, Algorithm: f.alg, Header: header})
	if err != nil {
		return "", fmt.Errorf("%s: %w", f.blame(flag, f.kid, "--kid", f.alg, "--alg"), err)
	}
	return token, nil
}

func (f *tokenFlags) encrypt(payload []byte, stdin io.Reader, base map[string]any) (string, error) {
	keys, err := readKeys(f.encryptKey, stdin)
	if err != nil {
		return "", fmt.Errorf("--encrypt-key: %w", err)
	}
	header, err := members(f.encryptHeader)
	if err != nil {
		return "", fmt.Errorf("--encrypt-header %w", err)
	}
	for name, value := range base {
		if _, given := header[name]; !given {
			header[name] = value
		}
	}
	o := mint.EncryptOptions{KeyID: f.encryptKid, Algorithm: f.encryptAlg, Content: f.enc, Header: header}
	token, err := mint.Encrypt(payload, keys, o)
	if err != nil {
		flags := f.blame("--encrypt-key", f.encryptKid, "--encrypt-kid", f.encryptAlg, "--encrypt-alg", f.enc, "--enc")
		return "", fmt.Errorf("%s: %w", flags, err)
	}
	return token, nil
}

// blame lists the key's flag and those of the value, flag pairs that were given.
func (f *tokenFlags) blame(flag string, pairs ...string) string {
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i] != "" {
			flag += ", " + pairs[i+1] + " " + pairs[i]
		}
	}
	return flag
}

// readFile reads a file, or standard input for "-".
func readFile(path string, stdin io.Reader) ([]byte, error) {
	const limit = 1 << 20
	if path == "-" {
		return io.ReadAll(io.LimitReader(stdin, limit))
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, limit))
}

func readKeys(path string, stdin io.Reader) (mint.Keys, error) {
	if path == "" {
		return mint.Keys{}, nil
	}
	data, err := readFile(path, stdin)
	if err != nil {
		return mint.Keys{}, err
	}
	keys, err := mint.ParseKeys(data)
	if err != nil {
		return mint.Keys{}, fmt.Errorf("%s %w", path, err)
	}
	return keys, nil
}

// readSecret takes the bytes as they are, since that is what the other side does with the entry of a Secret. A final
// line break is nearly always an editor's doing and would be part of the secret: it is refused.
func readSecret(path string, stdin io.Reader) (mint.Keys, error) {
	data, err := readFile(path, stdin)
	if err != nil {
		return mint.Keys{}, err
	}
	if bytes.HasSuffix(data, []byte("\n")) {
		return mint.Keys{}, fmt.Errorf("%s ends with a line break, which would be part of the secret; write it with printf or \"token keys --format raw\"", path)
	}
	keys, err := mint.SecretKeys(data)
	if err != nil {
		return mint.Keys{}, fmt.Errorf("%s %w", path, err)
	}
	return keys, nil
}

// splitPair cuts name=value.
func splitPair(pair string) (name, value string, err error) {
	name, value, ok := strings.Cut(pair, "=")
	if !ok || name == "" {
		return "", "", fmt.Errorf("%q: want name=value", pair)
	}
	return name, value, nil
}
