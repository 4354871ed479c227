package main

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/admin"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/check"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/cluster"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/findings"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/fleet"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/preview"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/suite"
)

// hostile is what a client, a pod or a file may have in any text: a terminal's title, colours by one character, a clipboard, a line that
// begins anew, another direction, no UTF-8.
const hostile = "a\x1b]0;title\x07\u009b31m\x1b]52;c;aGk=\x1b\\\r\x7f\u202eb\xff\nREFUSED"

// filled sets every text within v to hostile, and gives lists and maps one element.
func filled(v reflect.Value, depth int) {
	switch v.Kind() { //nolint:exhaustive // the rest has no text
	case reflect.String:
		v.SetString(hostile)
	case reflect.Pointer:
		if depth > 0 && v.CanSet() {
			v.Set(reflect.New(v.Type().Elem()))
			filled(v.Elem(), depth-1)
		}
	case reflect.Slice:
		if v.CanSet() && v.Type().Elem().Kind() != reflect.Uint8 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			filled(v.Index(0), depth-1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				filled(v.Field(i), depth)
			}
		}
	}
}

var ownEscapes = regexp.MustCompile(`\x1b\[[0-9]{1,2}m`)

// TestNoCommandWritesTerminalEscapesOfOthers has each text that commands show to people be one that a client or a pod chose.
func TestNoCommandWritesTerminalEscapesOfOthers(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_800_000_000, 0)
	look := output.Look{Colour: true, Unicode: true}
	for name, write := range map[string]func(b *bytes.Buffer){
		"explain, of a request that was": func(b *bytes.Buffer) {
			for _, decision := range []string{hostile, "deny"} {
				var r admin.Request
				filled(reflect.ValueOf(&r).Elem(), 4)
				r.Decision = decision
				f := found{Requests: []admin.Request{r}, Failed: []string{hostile}, Asked: 2}
				f.text(b, look, hostile, at)
			}
			(&found{}).text(b, look, hostile, at)
		},
		"explain and check": func(b *bytes.Buffer) {
			for _, allowed := range []bool{true, false} {
				var r check.Report
				filled(reflect.ValueOf(&r).Elem(), 4)
				r.Allowed = allowed
				r.Text(b, look)
				advise(b, look, r.Reason)
			}
		},
		"logs": func(b *bytes.Buffer) {
			var r record
			filled(reflect.ValueOf(&r).Elem(), 4)
			r.pod, r.namespace = hostile, hostile
			if err := (&logsFlags{}).write(b, look, r); err != nil {
				t.Error(err)
			}
		},
		"logs as JSON": func(b *bytes.Buffer) {
			var f logsFlags
			output.AddFlag(&cobra.Command{}, &f.format, output.FormatJSON, output.FormatText)
			line := []byte("{\"msg\":\r\"request decided\", \"path\":\"\u009b31m\u202e\x7f\U000e0041\"}\r")
			if err := f.write(b, look, record{line: line, pod: "a\u009b", namespace: "shop"}); err != nil {
				t.Error(err)
			}
			var read struct{ Path string }
			if err := json.Unmarshal(b.Bytes(), &read); err != nil || read.Path != "\u009b31m\u202e\x7f\U000e0041" {
				t.Errorf("%v: %q", err, b.String())
			}
		},
		"JSON of any command": func(b *bytes.Buffer) {
			if err := output.JSON(b, map[string]string{"x": hostile + "\U000e0041"}); err != nil {
				t.Error(err)
			}
			var read map[string]string
			if err := json.Unmarshal(b.Bytes(), &read); err != nil || read["x"] != strings.ToValidUTF8(hostile, "\ufffd")+"\U000e0041" {
				t.Errorf("%v: %q", err, b.String())
			}
		},
		"status": func(b *bytes.Buffer) {
			var r fleet.Report
			filled(reflect.ValueOf(&r).Elem(), 4)
			r.Asked.Running = 9
			f := statusFlags{}
			f.cluster = &cluster.Flags{AllNamespaces: true}
			f.write(b, look, &r, at)
		},
		"keys": func(b *bytes.Buffer) {
			var r keysReport
			r.keys = make([]fleet.Keys, 1)
			filled(reflect.ValueOf(&r.keys[0]).Elem(), 4)
			f := keySourcesFlags{}
			f.cluster = &cluster.Flags{AllNamespaces: true}
			f.write(b, look, &r, at)
			complain(b, []string{hostile})
		},
		"lint": func(b *bytes.Buffer) {
			var f findings.Finding
			filled(reflect.ValueOf(&f).Elem(), 4)
			findings.Table(b, look, []findings.Finding{f})
		},
		"inject": func(b *bytes.Buffer) {
			var o preview.Outcome
			filled(reflect.ValueOf(&o).Elem(), 4)
			preview.Table(b, look, []preview.Outcome{o})
			if err := preview.Diff(b, look, []preview.Outcome{o}); err != nil {
				t.Error(err)
			}
			o.After = ""
			preview.YAML(b, []preview.Outcome{o})
		},
		"check --tests": func(b *bytes.Buffer) {
			results := make([]suite.Result, 1)
			filled(reflect.ValueOf(&results[0]).Elem(), 4)
			suite.Text(b, look, results)
			suite.TAP(b, results)
		},
		"errors": func(b *bytes.Buffer) { output.Printf(b, "error: %s\n", output.Lines(hostile)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			write(&b)
			if b.Len() == 0 {
				t.Fatal("nothing is written")
			}
			text := ownEscapes.ReplaceAllString(b.String(), "")
			for _, r := range text {
				if r != '\n' && !unicode.IsPrint(r) {
					t.Fatalf("writes %U:\n%q", r, text)
				}
			}
			if name != "errors" && strings.Contains(text, "\nREFUSED\n") {
				t.Errorf("has a line that somebody else wrote:\n%q", text)
			}
		})
	}
}

// TestTextForPeopleGoesThroughOutput holds commands to output.Printf for what is not constant: what they write past it is not clean.
func TestTextForPeopleGoesThroughOutput(t *testing.T) {
	t.Parallel()
	past := map[string]string{
		"convert/write.go":                      "comments in YAML, clean by themselves",
		"dashboard/dashboardtest/serve/main.go": "a program for tests",
		"logs_command.go":                       "JSON",
		"playground_command.go":                 "the address, for programs too",
		"proof.go":                              "a proof that was asked for",
		"reference/reference.go":                "a page of the documentation",
		"root.go":                               "the version",
		"ruleset/write.go":                      "comments in YAML, clean by themselves",
		"suite/write.go":                        "TAP, which quotes",
		"token.go":                              "a token that was asked for",
		"check_cluster_command.go":              "its own help",
		"help.go":                               "its own help",
	}
	err := filepath.WalkDir(".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "output/") || past[filepath.ToSlash(path)] != "" {
			return err
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			s, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := s.X.(*ast.Ident); !ok || x.Name != "fmt" || !strings.HasPrefix(s.Sel.Name, "Fprint") && !strings.HasPrefix(s.Sel.Name, "Print") {
				return true
			}
			for _, arg := range call.Args[min(1, len(call.Args)):] {
				if _, constant := arg.(*ast.BasicLit); !constant {
					t.Errorf("%s: writes past output.Printf", fset.Position(arg.Pos()))
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
