package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
)

// plugin is the manifest of krew, the package manager of kubectl's plugins: https://krew.sigs.k8s.io.
var plugin = template.Must(template.New("plugin").Parse(`apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: bearerguard
spec:
  version: v{{.Version}}
  homepage: {{.Source}}
  shortDescription: Work with Bearerguard's policies and tokens
  description: |
    Bearerguard lets a request through to an app only if the Bearer token it carries is genuine and its claims satisfy the
    AuthPolicies that apply. This plugin writes and tries such policies, and shows what they do.
  platforms:
{{- range .Platforms}}
  - selector:
      matchLabels: {os: {{.OS}}, arch: {{.Arch}}}
    uri: {{$.Source}}/releases/download/v{{$.Version}}/{{.Archive}}
    sha256: {{.Sum}}
    files:
    - {from: {{.Program}}, to: {{.Installed}}}
    - {from: LICENSE, to: .}
    bin: {{.Installed}}
{{- end}}
`))

func (r *release) krew(context.Context) error {
	type entry struct{ OS, Arch, Archive, Sum, Program, Installed string }
	var entries []entry
	for _, p := range clients {
		e := entry{p.os, p.arch, fmt.Sprintf("bearerguard_%s_%s.tar.gz", r.version, p), "", "bearerguard", "kubectl-bearerguard"}
		if p.os == "windows" {
			e.Archive = strings.TrimSuffix(e.Archive, ".tar.gz") + ".zip"
			e.Program += ".exe"
			e.Installed += ".exe"
		}
		var err error
		if e.Sum, err = sum(filepath.Join(r.out, e.Archive)); err != nil {
			return err
		}
		entries = append(entries, e)
	}
	return writeFile(filepath.Join(r.out, "bearerguard.krew.yaml"), func(w io.Writer) error {
		return plugin.Execute(w, struct {
			Version, Source string
			Platforms       []entry
		}{r.version, source, entries})
	})
}

// checksums writes SHA256SUMS, as sha256sum reads it.
func (r *release) checksums(context.Context) error {
	names, err := r.files()
	if err != nil {
		return err
	}
	var text bytes.Buffer
	for _, name := range names {
		digest, err := sum(filepath.Join(r.out, name))
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "%s  %s\n", digest, name)
	}
	return os.WriteFile(filepath.Join(r.out, "SHA256SUMS"), text.Bytes(), 0o644)
}

func sum(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func (r *release) files() ([]string, error) {
	entries, err := os.ReadDir(r.out)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return names, nil
}

// list prints what there is.
func (r *release) list(w io.Writer) error {
	names, err := r.files()
	if err != nil {
		return err
	}
	fmt.Fprintln(w)
	for _, name := range names {
		info, err := os.Stat(filepath.Join(r.out, name))
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%8.1f MB  %s\n", float64(info.Size())/1e6, name)
	}
	return nil
}
