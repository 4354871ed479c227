package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

// Formats that most commands have.
const (
	FormatText  = "text"
	FormatTable = "table"
	FormatJSON  = "json"
	FormatYAML  = "yaml"
)

// Format is the value of -o: one of a few. Its zero value takes none; AddFlag makes it.
type Format struct {
	value   string
	formats []string
}

// AddFlag gives a command the flag -o, --output with these formats, the first of which is the default, and their completion.
func AddFlag(cmd *cobra.Command, f *Format, formats ...string) {
	*f = Format{value: formats[0], formats: formats}
	cmd.Flags().VarP(f, "output", "o", "`format`: "+f.choice())
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
}

// Set implements pflag.Value.
func (f *Format) Set(s string) error {
	if !slices.Contains(f.formats, s) {
		return fmt.Errorf("want %s", f.choice())
	}
	f.value = s
	return nil
}

// String is the format.
func (f *Format) String() string { return f.value }

// Type implements pflag.Value.
func (*Format) Type() string { return "format" }

func (f *Format) choice() string {
	last := len(f.formats) - 1
	return strings.Join(f.formats[:last], ", ") + " or " + f.formats[last]
}

// Value writes v as JSON or YAML, if that is the format; otherwise text is called, which writes for people.
func (f *Format) Value(w io.Writer, v any, text func(w io.Writer, l Look)) error {
	switch f.value {
	case FormatJSON:
		return JSON(w, v)
	case FormatYAML:
		return YAML(w, v)
	}
	text(w, LookOf(w, os.Getenv))
	return nil
}

// JSON writes v, indented, with <, > and & as they are. What does not show is escaped: a terminal takes some of it for orders.
func JSON(w io.Writer, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(EscapeJSON(b.Bytes()))
	return err
}

// YAML writes v by its JSON names.
func YAML(w io.Writer, v any) error {
	text, err := MarshalYAML(v)
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

// MarshalYAML is v as YAML by its JSON names, whatever characters its texts have.
func MarshalYAML(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return yaml.JSONToYAML(JSONForYAML(text))
}
