package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/check"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/exit"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/suite"
)

// The formats of test results.
const (
	formatTAP   = "tap"
	formatJUnit = "junit"
)

// runTests runs every case of every file before it says what failed.
func (f *checkFlags) runTests(cmd *cobra.Command, now time.Time) error {
	files, err := readManifests(f.tests, cmd.InOrStdin())
	if err != nil {
		return fmt.Errorf("--tests: %w", err)
	}
	in := check.Input{Now: now, Keys: map[string][]byte{}}
	for _, step := range []func(*check.Input, io.Reader) error{f.readKeys, f.readLabels, f.readTime} {
		if err := step(&in, cmd.InOrStdin()); err != nil {
			return err
		}
	}
	progress := output.NewProgress(cmd.ErrOrStderr(), "running the cases")
	defer progress.Done()
	var results []suite.Result
	var problems []error
	for _, file := range files {
		parsed, err := suite.Parse(file)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		g := suite.Given{Namespace: f.namespace, Labels: in.Labels, Keys: in.Keys, Now: in.Now}
		if g.Files, err = readManifests(f.policiesOf(parsed), cmd.InOrStdin()); err != nil {
			problems = append(problems, fmt.Errorf("%s: policies: %w", file.Name, err))
			continue
		}
		progress.Step("running the cases of " + file.Name)
		result, err := parsed.Run(g)
		if err != nil {
			problems = append(problems, err)
		}
		results = append(results, result)
	}
	progress.Done()
	if err := errors.Join(problems...); err != nil {
		return err
	}
	return f.writeTests(cmd.OutOrStdout(), results)
}

// policiesOf are the paths of the policies for a file of cases.
func (f *checkFlags) policiesOf(p suite.Parsed) []string {
	if len(f.files) > 0 {
		return f.files
	}
	var out []string
	for _, path := range p.Policies {
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(p.Name), path)
		}
		out = append(out, path)
	}
	return out
}

func (f *checkFlags) writeTests(w io.Writer, results []suite.Result) error {
	switch f.output.String() {
	case formatTAP:
		suite.TAP(w, results)
	case formatJUnit:
		if err := suite.JUnit(w, results); err != nil {
			return err
		}
	default:
		text := func(w io.Writer, l output.Look) { suite.Text(w, l, results) }
		if err := f.output.Value(w, map[string]any{"files": results, "coverage": suite.Join(results)}, text); err != nil {
			return err
		}
	}
	for _, r := range results {
		if r.Failed() > 0 {
			return exit.ErrSaid
		}
	}
	return nil
}
