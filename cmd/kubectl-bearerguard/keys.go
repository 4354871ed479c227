package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/mint"
)

const keysLong = `Make keys for development tokens, or print the public half of keys that you have.

A key set with private or symmetric keys is written to --out with mode 0600; an existing file is not overwritten.
Without --out it is printed. --manifest wraps it as a Kubernetes object, for kubectl apply or for the directory of a
standalone sidecar.

Signature algorithms:
  %s
Encryption algorithms:
  %s`

const keysExample = `  # A private key set, and its public half in a ConfigMap that an AuthPolicy can name.
  bearerguard token keys --alg RS256 --kid k1 --out keys.json
  bearerguard token keys --public --key keys.json --manifest ConfigMap/corp:jwks.json

  # Two keys in one set, as in the middle of a rotation.
  bearerguard token keys --alg RS256 --alg ES256 --kid old --kid new --out keys.json

  # A decryption key in a Secret, as PEM, and a raw HMAC secret.
  bearerguard token keys --alg RSA-OAEP-256 --manifest Secret/orders-jwe:jwks > secret.yaml
  bearerguard token keys --alg ES256 --format pem --out key.pem
  bearerguard token keys --alg HS256 --format raw --out secret.txt`

type keysFlags struct {
	algs, kids            []string
	bits                  int
	public                bool
	key, format, manifest string
	namespace, out        string
}

func newKeys() *cobra.Command {
	var f keysFlags
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Make keys for development tokens",
		Long: fmt.Sprintf(keysLong, strings.Join(mint.Algorithms(mint.Signature), " "),
			strings.Join(mint.Algorithms(mint.Encryption), " ")),
		Example: keysExample,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, secret, err := f.make(cmd.InOrStdin())
			if err != nil {
				return err
			}
			return f.write(cmd.OutOrStdout(), text, secret)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVar(&f.algs, "alg", nil, "`algorithm` that the key is for; several make several keys")
	flags.StringArrayVar(&f.kids, "kid", nil, "`id` of the key, one for each --alg (default: the key's thumbprint)")
	flags.IntVar(&f.bits, "bits", mint.MinRSABits, "size of an RSA key")
	flags.BoolVar(&f.public, "public", false, "print the public half of --key")
	flags.StringVar(&f.key, "key", "", "`file` with the keys for --public: JWK Set, JWK or PEM (- reads standard input)")
	flags.StringVar(&f.format, "format", "jwks", "jwks, pem, or raw (the bytes of an HMAC secret)")
	flags.StringVar(&f.manifest, "manifest", "", "print it as a Kubernetes object: `Secret/NAME:ENTRY` or ConfigMap/NAME:ENTRY")
	flags.StringVarP(&f.namespace, "namespace", "n", "", "namespace of the object (default: none)")
	flags.StringVar(&f.out, "out", "", "`file` to write (default: standard output)")
	return cmd
}

// make returns what is to be written, and whether it is secret.
func (f *keysFlags) make(stdin io.Reader) (text []byte, secret bool, err error) {
	if f.format == "raw" {
		text, err = f.raw()
		secret = true
	} else {
		text, secret, err = f.set(stdin)
	}
	if err != nil || f.manifest == "" {
		return text, secret, err
	}
	text, err = wrap(f.manifest, f.namespace, text, secret)
	return text, secret, err
}

func (f *keysFlags) raw() ([]byte, error) {
	if f.public || f.key != "" || len(f.algs) != 1 || len(f.kids) > 0 {
		return nil, errors.New("--format raw: goes with exactly one --alg and without --kid, --key and --public")
	}
	secret, err := mint.NewSecret(f.algs[0])
	if err != nil {
		return nil, fmt.Errorf("--alg: %w", err)
	}
	return secret, nil
}

func (f *keysFlags) set(stdin io.Reader) ([]byte, bool, error) {
	keys, err := f.keys(stdin)
	if err != nil {
		return nil, false, err
	}
	switch f.format {
	case "jwks":
		text, err := keys.JWKS()
		return text, keys.Private(), err
	case "pem":
		text, err := keys.PEM()
		if err != nil {
			return nil, false, fmt.Errorf("--format pem: %w", err)
		}
		return text, keys.Private(), nil
	}
	return nil, false, fmt.Errorf("--format: %q is none of jwks, pem, raw", f.format)
}

// keys makes new keys, or reads the public half of old ones.
func (f *keysFlags) keys(stdin io.Reader) (mint.Keys, error) {
	switch {
	case f.public && f.key == "":
		return mint.Keys{}, errors.New("--public: needs --key; a new key of which only the public half is kept can sign nothing")
	case f.public && len(f.algs) > 0:
		return mint.Keys{}, errors.New("--alg: does not go with --public, which makes no key")
	case f.public:
		return publicHalf(f.key, stdin)
	case f.key != "":
		return mint.Keys{}, errors.New("--key: goes with --public only")
	case len(f.algs) == 0:
		return mint.Keys{}, errors.New("--alg: is missing; want an algorithm such as RS256 or RSA-OAEP-256")
	case len(f.kids) > 0 && len(f.kids) != len(f.algs):
		return mint.Keys{}, fmt.Errorf("--kid: is given %d times and --alg %d times; want one --kid for each --alg, or none", len(f.kids), len(f.algs))
	}
	return f.generate()
}

func (f *keysFlags) generate() (mint.Keys, error) {
	var all mint.Keys
	for i, alg := range f.algs {
		o := mint.KeyOptions{Algorithm: alg, Bits: f.bits}
		if len(f.kids) > 0 {
			o.ID = f.kids[i]
		}
		key, err := mint.NewKey(o)
		if err != nil {
			return mint.Keys{}, fmt.Errorf("--alg, --bits: %w", err)
		}
		if all, err = all.Join(key); err != nil {
			return mint.Keys{}, fmt.Errorf("--kid: %w", err)
		}
	}
	return all, nil
}

func publicHalf(path string, stdin io.Reader) (mint.Keys, error) {
	keys, err := readKeys(path, stdin)
	if err != nil {
		return mint.Keys{}, fmt.Errorf("--key: %w", err)
	}
	public, err := keys.Public()
	if err != nil {
		return mint.Keys{}, fmt.Errorf("--key: %s %w", path, err)
	}
	return public, nil
}

func (f *keysFlags) write(stdout io.Writer, text []byte, secret bool) error {
	if f.out == "" {
		_, err := stdout.Write(text)
		return err
	}
	mode := os.FileMode(0o644)
	if secret {
		mode = 0o600
	}
	// A key that is overwritten is lost, and with it every token that it signed.
	file, err := os.OpenFile(f.out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("--out: %s exists and is not overwritten", f.out)
	}
	if err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	if _, err := file.Write(text); err != nil {
		file.Close()
		return fmt.Errorf("--out: %w", err)
	}
	return file.Close()
}
