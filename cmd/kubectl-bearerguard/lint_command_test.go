package main

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/exit"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/findings"
)

func TestLintExits(t *testing.T) {
	t.Parallel()
	const odd, fine = "testdata/lint.yaml", "../../config/samples/standalone"
	for name, tt := range map[string]struct {
		args []string
		want int
	}{
		"no findings":                 {[]string{"-f", fine}, 0},
		"warnings":                    {[]string{"-f", odd}, 2},
		"warnings, and errors wanted": {[]string{"-f", odd, "--fail-on", "error"}, 0},
		"a file that is none":         {[]string{"-f", "root.go", "--fail-on", "error"}, 2},
		"no file":                     {nil, 1},
		"no such file":                {[]string{"-f", "nowhere"}, 1},
		"a level that is none":        {[]string{"-f", fine, "--fail-on", "note"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if text, err := run(t, append([]string{"lint"}, tt.args...)...); exit.Code(err) != tt.want {
				t.Errorf("%v; want %d\n%s", err, tt.want, text)
			}
		})
	}
}

func TestLintForPrograms(t *testing.T) {
	t.Parallel()
	text, err := run(t, "lint", "-f", "testdata/lint.yaml", "-o", "json")
	var got struct{ Findings []findings.Finding }
	if jerr := json.Unmarshal([]byte(text), &got); jerr != nil || !errors.Is(err, exit.ErrNo) || len(got.Findings) != 7 {
		t.Errorf("%v, %v\n%s", err, jerr, text)
	}
	text, _ = run(t, "lint", "-f", "testdata/lint.yaml", "-o", "sarif")
	var log findings.Log
	if err := json.Unmarshal([]byte(text), &log); err != nil || len(log.Runs[0].Results) != 7 {
		t.Errorf("%v\n%s", err, text)
	}
	if text, _ = run(t, "lint", "-f", "../../config/samples/standalone", "-o", "yaml"); text != "findings: []\n" {
		t.Errorf("without findings: %q", text)
	}
}
