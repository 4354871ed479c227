// Package reference writes the commands of a program as Markdown, for docs/cli.md. It is pure.
package reference

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Write writes a section for each command below root that is not hidden, by groups, as its help has them.
func Write(w io.Writer, root *cobra.Command) {
	for _, g := range root.Groups() {
		for _, c := range root.Commands() {
			if c.GroupID == g.ID && own(c) {
				section(w, c, "###")
			}
		}
	}
}

// own leaves out what cobra adds by itself.
func own(c *cobra.Command) bool {
	return c.IsAvailableCommand() && c.Name() != "completion" && c.Name() != "help"
}

func section(w io.Writer, c *cobra.Command, level string) {
	fmt.Fprintf(w, "%s %s\n\n", level, path(c))
	text := c.Long
	if text == "" {
		text = c.Short + "."
	}
	fmt.Fprintf(w, "%s\n\n", prose(text))
	fmt.Fprintf(w, "    %s\n\n", strings.Replace(c.UseLine(), c.CommandPath(), path(c), 1))
	if c.HasExample() {
		fmt.Fprintf(w, "```sh\n%s\n```\n\n", dedent(c.Example))
	}
	if flags(c) {
		fmt.Fprintln(w, "| flag | what it is |\n|---|---|")
		c.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden && f.Name != "help" {
				fmt.Fprintln(w, row(f))
			}
		})
		fmt.Fprintln(w)
	}
	for _, sub := range c.Commands() {
		if own(sub) {
			section(w, sub, level+"#")
		}
	}
}

// path is the command as the docs call it, whatever name the program runs under.
func path(c *cobra.Command) string {
	if !c.HasParent() {
		return c.Name()
	}
	return path(c.Parent()) + " " + c.Name()
}

func flags(c *cobra.Command) bool {
	some := false
	c.NonInheritedFlags().VisitAll(func(f *pflag.Flag) { some = some || !f.Hidden && f.Name != "help" })
	return some
}

func row(f *pflag.Flag) string {
	value, usage := pflag.UnquoteUsage(f)
	name := "--" + f.Name
	if f.Shorthand != "" {
		name = "-" + f.Shorthand + ", " + name
	}
	if value != "" {
		name += " " + value
	}
	if d := f.DefValue; d != "" && d != "[]" && d != "false" && d != "0" && d != "0s" {
		usage += " (default " + d + ")"
	}
	return "| `" + name + "` | " + cell(usage) + " |"
}

// cell keeps a text within its cell, and its < from being read as HTML.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;").Replace(s)
}

// prose is a help text as Markdown: a list stays one, and other indented lines become a block of their own.
func prose(s string) string {
	var b strings.Builder
	block, item := false, false
	for line := range strings.SplitSeq(s, "\n") {
		indented := strings.HasPrefix(line, "  ")
		switch within := item; {
		case strings.HasPrefix(line, "- "):
			item = true
		case item && indented:
			b.WriteString(strings.ReplaceAll(line, "<", "&lt;") + "\n")
			continue
		default:
			if item = false; within {
				b.WriteString("\n")
			}
		}
		if indented != block && strings.TrimSpace(line) != "" {
			b.WriteString("\n")
		}
		switch block = indented; {
		case indented:
			b.WriteString("  " + line)
		default:
			b.WriteString(strings.ReplaceAll(line, "<", "&lt;"))
		}
		b.WriteString("\n")
	}
	return strings.TrimRight(strings.ReplaceAll(b.String(), "\n\n\n", "\n\n"), "\n")
}

// dedent takes away the two spaces that examples begin with.
func dedent(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, "  ")
	}
	return strings.Join(lines, "\n")
}
