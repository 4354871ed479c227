package main

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
)

// version is set by the linker; a plain "go install" leaves it empty and the build information is used.
var version string

// errRefused ends the program with code 2: the command worked, and the answer is no.
var errRefused = errors.New("refused")

func exitCode(err error) int {
	if errors.Is(err, errRefused) {
		return 2
	}
	return 1
}

// newRoot builds the command tree. name is how the program was called; now is its clock.
func newRoot(name string, now func() time.Time) *cobra.Command {
	root := &cobra.Command{
		Use:   "bearerguard",
		Short: "Work with Bearerguard's policies and tokens",
		Long: `Bearerguard lets a request through to an app only if the Bearer token it carries is genuine and its claims
satisfy the AuthPolicies that apply. This program helps to write and to try such policies.`,
		Annotations:       map[string]string{cobra.CommandDisplayNameAnnotation: name},
		SilenceUsage:      true,
		SilenceErrors:     true,
		DisableAutoGenTag: true,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w\nsee: %s --help", err, cmd.CommandPath())
	})
	token := newToken(now)
	token.AddCommand(newKeys())
	root.AddCommand(token, newCheck(now), newVersion())
	return root
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "bearerguard", versionText())
			return err
		},
	}
}

func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
