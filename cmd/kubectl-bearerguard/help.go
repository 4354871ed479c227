package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
)

// flagColumns is how wide the list of flags is where there is no screen.
const flagColumns = 120

// setHelp has help texts broken where the screen ends. Examples stay as they are, so that they can be copied.
func setHelp(root *cobra.Command) {
	template := root.UsageTemplate()
	root.SetUsageTemplate(usageTemplate(template, flagColumns))
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		w := cmd.OutOrStdout()
		width := output.LookOf(w, os.Getenv).Width
		if width > 0 {
			cmd.SetUsageTemplate(usageTemplate(template, min(width, flagColumns)))
		}
		writeHelp(w, cmd, width)
	})
}

func usageTemplate(template string, width int) string {
	return strings.ReplaceAll(template, ".FlagUsages", fmt.Sprintf(".FlagUsagesWrapped %d", width))
}

func writeHelp(w io.Writer, cmd *cobra.Command, width int) {
	text := cmd.Long
	if text == "" {
		text = cmd.Short
	}
	if width > 0 {
		width = min(width, flagColumns)
	}
	if text != "" {
		fmt.Fprintf(w, "%s\n\n", output.Prose(strings.TrimSpace(text), width))
	}
	fmt.Fprint(w, cmd.UsageString())
}
