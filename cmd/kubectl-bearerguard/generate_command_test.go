package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/exit"
)

const petstore = "../../config/samples/openapi/petstore.yaml"

// What generate writes, lint finds nothing in, and check takes; operations without security stay shut until they are named.
func TestGenerate(t *testing.T) {
	t.Parallel()
	flags := []string{"generate", "--openapi", petstore, "--audience", "pets", "--issuer", "uploader=https://partners.example.com", "-n", "shop"}
	var shut struct {
		Open []struct {
			Operation string
			Allowed   bool
		}
		Notes []struct{ Object, Effect string }
	}
	said, err := run(t, append(flags, "-o", "json")...)
	if !errors.Is(err, exit.ErrNo) {
		t.Errorf("with operations that are refused: %v", err)
	}
	if err := json.NewDecoder(strings.NewReader(said)).Decode(&shut); err != nil || len(shut.Open) != 1 || shut.Open[0].Allowed || shut.Open[0].Operation != "GET /healthz (health)" {
		t.Errorf("%v: %+v", err, shut)
	}
	for given, allowed := range map[string]bool{"": false, "health": true, "GET /healthz": true, "/healthz": true} {
		args := flags
		if given != "" {
			args = append(args[:len(args):len(args)], "--anonymous", given)
		}
		policy, _ := run(t, args...)
		policy, _, _ = strings.Cut(policy, "\n7 of 8") // what stands on standard error
		policy, _, _ = strings.Cut(policy, "\n6 of 8")
		file := filepath.Join(t.TempDir(), "policy.yaml")
		if err := os.WriteFile(file, []byte(policy), 0o600); err != nil {
			t.Fatal(err)
		}
		if said, err := run(t, "lint", "-f", file); err != nil {
			t.Errorf("lint: %v\n%s", err, said)
		}
		for request, want := range map[string]bool{"GET /v1/healthz": allowed, "GET /v1/pets": false, "GET /v1/reports/daily": false} {
			if said, err := run(t, "check", "-f", file, "--request", request); (err == nil) != want {
				t.Errorf("--anonymous %q: %s without a token: %v\n%s", given, request, err, said)
			}
		}
		for request, want := range map[string]bool{"GET /v1/pets/7": true, "GET /v1/pets/mine": true, "DELETE /v1/pets/mine": false, "POST /v1/pets": false} {
			said, err := run(t, "check", "-f", file, "--request", request, "--claims", `{"iss":"https://login.example.com","sub":"ann","scope":"pets.read"}`)
			if (err == nil) != want {
				t.Errorf("%s: %v\n%s", request, err, said)
			}
		}
	}
}

// Files of a document are read below its directory, links or not.
func TestGenerateReadsNothingElsewhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "api"), 0o700); err != nil {
		t.Fatal(err)
	}
	item := "get: {operationId: referred, security: [{login: []}]}\n"
	write("outside.yaml", item)
	write("api/beside.yaml", item)
	if err := os.Symlink("../outside.yaml", filepath.Join(dir, "api", "link.yaml")); err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[string]string{"beside.yaml": "referred", "./beside.yaml": "referred", "../outside.yaml": "outside of the document's directory", "link.yaml": "cannot be read"} {
		write("api/openapi.yaml", "openapi: 3.1.0\ninfo: {title: T}\npaths: {/a: {$ref: "+ref+"}}\n"+
			"components: {securitySchemes: {login: {type: oauth2, flows: {}}}}\n")
		said, err := run(t, "generate", "--openapi", filepath.Join(dir, "api", "openapi.yaml"), "--issuer", "https://a.example", "--audience", "a")
		if err != nil {
			said += err.Error()
		}
		if !strings.Contains(said, want) {
			t.Errorf("%s: %s", ref, said)
		}
	}
}

func TestGenerateFlags(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"--openapi: is missing":     {},
		"--mode: \"On\" is neither": {"--openapi", petstore, "--mode", "On"},
		"--selector \"app\": want":  {"--openapi", petstore, "--selector", "app"},
		"no such file":              {"--openapi", "none.yaml"},
	} {
		if said, err := run(t, append([]string{"generate"}, args...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v\n%s", args, err, said)
		}
	}
}
