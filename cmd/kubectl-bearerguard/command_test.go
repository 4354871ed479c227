package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// run executes the command line as main does, at noon.
func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return runAt(t, func() time.Time { return noon }, args...)
}

// runAt is run by another clock.
func runAt(t *testing.T, now func() time.Time, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	root := newRoot("bearerguard", now)
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&out)
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

// makeKeys writes a key set and returns the file's name.
func makeKeys(t *testing.T, args ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "keys")
	if _, err := run(t, append([]string{"token", "keys", "--out", file}, args...)...); err != nil {
		t.Fatal(err)
	}
	return file
}

func part(t *testing.T, token string, i int) map[string]any {
	t.Helper()
	parts := strings.Split(strings.TrimSpace(token), ".")
	raw, err := base64.RawURLEncoding.DecodeString(parts[i])
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(raw, &members); err != nil {
		t.Fatal(err)
	}
	return members
}

func TestTokenClaims(t *testing.T) {
	t.Parallel()
	key := makeKeys(t, "--alg", "ES256", "--kid", "k1")
	iat, exp := float64(noon.Unix()), float64(noon.Add(10*time.Minute).Unix())
	tests := map[string]struct {
		args []string
		want map[string]any
	}{
		"by default iat, exp and jti": {
			args: []string{"--jti", "1"},
			want: map[string]any{"iat": iat, "exp": exp, "jti": "1"},
		},
		"names, scopes and one audience as a string": {
			args: []string{"--iss", "https://login.example.com", "--sub", "alice", "--aud", "orders", "--scope", "a", "--scope", "b c", "--without", "iat,exp,jti"},
			want: map[string]any{"iss": "https://login.example.com", "sub": "alice", "aud": "orders", "scope": "a b c"},
		},
		"several audiences as a list": {
			args: []string{"--aud", "a", "--aud", "b", "--without", "iat,exp,jti"},
			want: map[string]any{"aud": []any{"a", "b"}},
		},
		"claims as JSON or as text, the last word over other flags": {
			args: []string{"--sub", "alice", "--claim", `roles=["reader"]`, "--claim", "level=3", "--claim", "tenant=acme=1", "--claim", "sub=null", "--without", "iat,exp,jti"},
			want: map[string]any{"roles": []any{"reader"}, "level": 3.0, "tenant": "acme=1", "sub": nil},
		},
		"times in the past and the future": {
			args: []string{"--issued-at", "-2h", "--expires-in", "-1h", "--not-before=5m", "--without", "jti"},
			want: map[string]any{"iat": iat - 7200, "exp": iat - 3600, "nbf": iat + 300},
		},
		"not-before without a value is now": {
			args: []string{"--not-before", "--without", "iat,exp,jti"},
			want: map[string]any{"nbf": iat},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			token, err := run(t, append([]string{"token", "--key", key}, tt.args...)...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, part(t, token, 1)); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNestedTokenSaysSo(t *testing.T) {
	t.Parallel()
	key, jwe := makeKeys(t, "--alg", "RS256"), makeKeys(t, "--alg", "ECDH-ES+A256KW", "--kid", "e1")
	token, err := run(t, "token", "--key", key, "--sub", "alice", "--encrypt-key", jwe, "--enc", "A128CBC-HS256")
	if err != nil {
		t.Fatal(err)
	}
	h := part(t, token, 0)
	if h["cty"] != "JWT" || h["alg"] != "ECDH-ES+A256KW" || h["enc"] != "A128CBC-HS256" || h["kid"] != "e1" {
		t.Errorf("header is %v", h)
	}
	if n := strings.Count(token, "."); n != 4 {
		t.Errorf("token has %d dots, want 4", n)
	}
}

func TestPrivateKeysAreForTheOwnerOnlyAndNotOverwritten(t *testing.T) {
	t.Parallel()
	file := makeKeys(t, "--alg", "EdDSA")
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v, want 0600", info.Mode())
	}
	_, err = run(t, "token", "keys", "--alg", "EdDSA", "--out", file)
	if err == nil || !strings.Contains(err.Error(), "--out: ") {
		t.Errorf("writing again: %v, want an error that names --out", err)
	}
}

func TestPublicManifestHoldsNoPrivateMember(t *testing.T) {
	t.Parallel()
	file := makeKeys(t, "--alg", "RS256", "--alg", "ES256", "--alg", "EdDSA")
	text, err := run(t, "token", "keys", "--public", "--key", file, "--manifest", "ConfigMap/corp:jwks.json", "--namespace", "shop")
	if err != nil {
		t.Fatal(err)
	}
	for _, member := range []string{`"d"`, `"p"`, `"q"`, `"dp"`, `"k"`} {
		if strings.Contains(text, member) {
			t.Errorf("manifest has the private member %s", member)
		}
	}
	if !strings.Contains(text, "kind: ConfigMap") || !strings.Contains(text, "namespace: shop") {
		t.Errorf("manifest is\n%s", text)
	}
}

func TestMistakesNameTheFlag(t *testing.T) {
	t.Parallel()
	key, jwe := makeKeys(t, "--alg", "ES256", "--kid", "k1"), makeKeys(t, "--alg", "A256KW")
	broken := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(broken, []byte("0123456789abcdef0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	with := func(args ...string) []string { return append([]string{"token", "--key", key}, args...) }
	keys := func(args ...string) []string { return append([]string{"token", "keys"}, args...) }
	tests := map[string]struct {
		args []string
		want string
	}{
		"no key":                        {[]string{"token"}, "--key: is missing"},
		"a key file that is missing":    {[]string{"token", "--key", "/nowhere"}, "--key: open /nowhere"},
		"a key file that is no key":     {[]string{"token", "--key", "command_test.go"}, "--key: command_test.go is neither JSON nor PEM"},
		"two keys":                      {with("--secret-file", broken), "--key and --secret-file"},
		"a secret with a line break":    {[]string{"token", "--secret-file", broken}, "--secret-file: "},
		"a kid that no key has":         {with("--kid", "k2"), "--key, --kid k2: no key has"},
		"an alg that does not fit":      {with("--alg", "RS256"), "--key, --alg RS256: key k1: is a EC key"},
		"a claim without value":         {with("--claim", "roles"), `--claim "roles": want name=value`},
		"a claim that is broken JSON":   {with("--claim", `roles=["reader"`), "--claim roles: looks like JSON"},
		"a claim twice":                 {with("--claim", "a=1", "--claim", "a=2"), "--claim a: is given twice"},
		"a claim to leave out":          {with("--without", "exp,ex"), "--without ex: the token has no such claim"},
		"a header without value":        {with("--header", "typ"), `--header "typ"`},
		"a duration without unit":       {with("--expires-in", "10"), "--expires-in"},
		"enc without a key for it":      {with("--enc", "A256GCM"), "need --encrypt-key"},
		"an unknown enc":                {with("--encrypt-key", jwe, "--enc", "A1"), `--encrypt-key, --enc A1: enc "A1" is none of`},
		"encrypt-only with a signature": {with("--encrypt-key", jwe, "--encrypt-only"), "--encrypt-only: goes with neither"},
		"encrypt-only without a key":    {[]string{"token", "--encrypt-only"}, "--encrypt-only: needs --encrypt-key"},
		"keys without algorithm":        {keys(), "--alg: is missing"},
		"keys of an unknown algorithm":  {keys("--alg", "RS1"), `--alg, --bits: "RS1" is none of`},
		"fewer kids than algorithms":    {keys("--alg", "ES256", "--alg", "ES384", "--kid", "a"), "--kid: is given 1 times"},
		"the same kid twice":            {keys("--alg", "ES256", "--alg", "ES384", "--kid", "a", "--kid", "a"), `--kid: kid "a" comes twice`},
		"public without a key":          {keys("--public"), "--public: needs --key"},
		"public with an algorithm":      {keys("--public", "--key", key, "--alg", "ES256"), "--alg: does not go with --public"},
		"the public half of a secret":   {keys("--public", "--key", jwe), "is symmetric and has no public half"},
		"an unknown format":             {keys("--alg", "ES256", "--format", "der"), "--format: "},
		"PEM of a secret":               {keys("--alg", "HS256", "--format", "pem"), "--format pem: "},
		"a raw RSA key":                 {keys("--alg", "RS256", "--format", "raw"), "--alg: RS256 has no raw secret"},
		"private keys in a ConfigMap":   {keys("--alg", "RS256", "--manifest", "ConfigMap/a:b"), "--manifest: a ConfigMap is for public keys only"},
		"a manifest without an entry":   {keys("--alg", "RS256", "--manifest", "Secret/a"), "--manifest: "},
		"a manifest of another kind":    {keys("--alg", "RS256", "--manifest", "Pod/a:b"), `--manifest: kind "Pod"`},
		"an unknown flag":               {with("--foo"), "unknown flag: --foo\nsee: bearerguard token --help"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := run(t, tt.args...)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v\nwant one that has %q", err, tt.want)
			}
		})
	}
}
