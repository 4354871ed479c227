package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"
)

// project makes a folder that says of itself that it is a version.
func project(t *testing.T, chart, changelog string) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range chartNames {
		dir := filepath.Join(root, "charts", name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "Chart.yaml"), []byte(chart), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "CHANGELOG.md"), []byte(changelog), 0o600); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestAReleaseIsWhatTheProjectSays(t *testing.T) {
	const chart, changelog = "name: x\nversion: 0.1.0\nappVersion: 0.1.0\n", "# Changelog\n\n## 0.1.0 - 2026-11-28\n"
	for name, tt := range map[string]struct{ version, chart, changelog, want string }{
		"all agree":                         {"0.1.0", chart, changelog, ""},
		"no version":                        {"", chart, changelog, `VERSION: "" is not a version such as 0.1.0`},
		"a version with a v":                {"v0.1.0", chart, changelog, `"v0.1.0" is not a version`},
		"a chart of another version":        {"0.2.0", chart, changelog, `charts/bearerguard/Chart.yaml: want "version: 0.2.0"`},
		"a chart of another program":        {"0.1.0", "name: x\nversion: 0.1.0\nappVersion: 0.1.1\n", changelog, `want "appVersion: 0.1.0"`},
		"changes that are still unreleased": {"0.1.0", chart, "# Changelog\n\n## Unreleased\n", `CHANGELOG.md: has no section "## 0.1.0"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("SOURCE_DATE_EPOCH", "1795867200")
			r, err := newRelease(t.Context(), project(t, tt.chart, tt.changelog), t.TempDir(), tt.version)
			if err == nil {
				defer os.RemoveAll(r.bin)
			}
			if (tt.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// Whenever and wherever files are packed, the archive is the same.
func TestArchivesAreTheSame(t *testing.T) {
	date := time.Unix(1795867200, 0).UTC()
	var made [2][3][]byte
	for n := range made {
		dir := t.TempDir()
		file := filepath.Join(dir, "program")
		if err := os.WriteFile(file, []byte("text"), 0o600+os.FileMode(n)*0o011); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, time.Now(), time.Unix(int64(n)*1e6, 0)); err != nil {
			t.Fatal(err)
		}
		files := []packed{{"program", file, 0o755}}
		for i, write := range []func(string, []packed, time.Time) error{writeTarGzip, writeZip} {
			out := filepath.Join(dir, "out")
			if err := write(out, files, date); err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			made[n][i] = data
		}
	}
	for i := range made[0] {
		if !bytes.Equal(made[0][i], made[1][i]) {
			t.Errorf("archive %d differs", i)
		}
	}
}

// The schemas for editors take the samples and name what is misspelt.
func TestSchemas(t *testing.T) {
	r := &release{root: "../..", out: t.TempDir(), bin: t.TempDir(), version: "0.1.0"}
	if err := r.schemas(t.Context()); err != nil {
		t.Fatal(err)
	}
	schemas := map[string]*jsonschema.Schema{}
	for _, kind := range []string{"AuthPolicy", "TokenRevocation", "RevocationSource"} {
		schema, err := jsonschema.NewCompiler().Compile(filepath.Join(r.bin, strings.ToLower(kind)+"_v1alpha1.json"))
		if err != nil {
			t.Fatal(err)
		}
		schemas[kind] = schema
	}
	var seen int
	files, err := filepath.Glob("../../config/samples/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for doc := range strings.SplitSeq(string(text), "\n---\n") {
			object := decode(t, doc)
			schema := schemas[kindOf(object)]
			if schema == nil {
				continue
			}
			seen++
			if err := schema.Validate(object); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			object["spec"].(map[string]any)["isuers"] = []any{}
			if err := schema.Validate(object); err == nil || !strings.Contains(err.Error(), "isuers") {
				t.Errorf("%s with a misspelt member: %v", file, err)
			}
		}
	}
	if seen < 4 {
		t.Errorf("%d objects", seen)
	}
}

func kindOf(object map[string]any) string {
	kind, _ := object["kind"].(string)
	return kind
}

// decode reads YAML as package jsonschema wants it.
func decode(t *testing.T, text string) map[string]any {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	object, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	m, _ := object.(map[string]any)
	return m
}

// A bill of materials names the program and what is in it; this test's own program has some.
func TestMaterials(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := &release{out: t.TempDir(), version: "0.1.0", date: time.Unix(1795867200, 0).UTC()}
	if err := r.materials(program, "sidecar"); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(r.out, "sidecar_0.1.0.cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	var bom struct {
		BOMFormat string
		Metadata  struct {
			Component struct{ Name, Version string }
		}
		Components []struct{ PURL string }
	}
	if err := json.Unmarshal(data, &bom); err != nil {
		t.Fatal(err)
	}
	if bom.BOMFormat != "CycloneDX" || bom.Metadata.Component.Name != "sidecar" || len(bom.Components) < 3 ||
		!strings.Contains(string(data), "pkg:golang/github.com/google/go-containerregistry@v") {
		t.Errorf("%s", data)
	}
}
