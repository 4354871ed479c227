package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// minter mints keys and tokens with the command line tool.
type minter struct {
	program, dir string
}

// call runs the tool in the demo's directory and returns what it prints.
func (m minter) call(ctx context.Context, args ...string) (string, error) {
	program, err := filepath.Abs(m.program)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = m.dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w %s", m.program, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(stdout.String()), nil
}

// recipe says how a token comes about: the tool's arguments, and what happens to the token then.
type recipe struct {
	args  []string
	after func(token string) (string, error)
}

// good is a token of alice, a reader, that the policy takes; more arguments change it.
func good(more ...string) recipe {
	return recipe{args: append([]string{"token", "--key", "signing.json", "--iss", "https://login.example.com", "--aud", "orders",
		"--sub", "alice", "--scope", "orders.read", "--claim", `realm_access={"roles":["reader"]}`}, more...)}
}

// replaced is good with the value of one flag replaced.
func replaced(flag, value string) recipe {
	r := good()
	for i, arg := range r.args {
		if arg == flag {
			r.args[i+1] = value
		}
	}
	return r
}

// unsigned is good with alg none and without a signature: what an attacker makes who has no key.
func unsigned() recipe {
	r := good()
	r.after = func(token string) (string, error) {
		parts := strings.Split(token, ".")
		if len(parts) != 3 {
			return "", errors.New("the minted token does not have three parts")
		}
		return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + ".", nil
	}
	return r
}

func (m minter) mint(ctx context.Context, r recipe) (string, error) {
	token, err := m.call(ctx, r.args...)
	if err != nil || r.after == nil {
		return token, err
	}
	return r.after(token)
}

// prepare makes the keys and fills the directory that the sidecar reads: the sample policy as it is, and the objects with
// keys that it names.
func prepare(ctx context.Context, m minter, samples, policies string) error {
	if err := os.Mkdir(policies, 0o700); err != nil {
		return err
	}
	if err := copyFile(samples, policies, "authpolicy.yaml"); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"--alg", "RS256", "--kid", "k1", "--out", "signing.json"},
		{"--alg", "RS256", "--kid", "k1", "--out", "attacker.json"},
		{"--alg", "RSA-OAEP-256", "--kid", "e1", "--out", "decryption.json"},
		{"--public", "--key", "decryption.json", "--out", "encryption.json"},
		{"--public", "--key", "signing.json", "--manifest", "ConfigMap/corp:jwks.json", "--namespace", "shop", "--out", "policies/keys.yaml"},
	} {
		if _, err := m.call(ctx, append([]string{"token", "keys"}, args...)...); err != nil {
			return err
		}
	}
	return writeSecret(m.dir, policies)
}

// writeSecret wraps the decryption key as a Secret, as "kubectl create secret" does.
func writeSecret(dir, policies string) error {
	key, err := os.ReadFile(filepath.Join(dir, "decryption.json"))
	if err != nil {
		return err
	}
	text := fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: orders-jwe, namespace: shop}\ndata: {jwks: %s}\n",
		base64.StdEncoding.EncodeToString(key))
	return os.WriteFile(filepath.Join(policies, "decryption.yaml"), []byte(text), 0o600)
}

// copyFile copies one file by way of a rename, so that a reader of the directory never sees half of it.
func copyFile(from, to, name string) error {
	text, err := os.ReadFile(filepath.Join(from, name))
	if err != nil {
		return err
	}
	beside := filepath.Join(filepath.Dir(to), name)
	if err := os.WriteFile(beside, text, 0o600); err != nil {
		return err
	}
	return os.Rename(beside, filepath.Join(to, name))
}
