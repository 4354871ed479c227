package convert

import (
	"bytes"
	"fmt"
	"io"
	"math"

	"github.com/bearerguard/bearerguard/api/printable"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
)

// Write writes policies as YAML documents, below comments that say what there is to know.
func Write(w io.Writer, r Result) error {
	var b bytes.Buffer
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "# %s\n", printable.Text(n.String(), math.MaxInt))
	}
	for i, p := range r.Policies {
		if i > 0 || len(r.Notes) > 0 {
			b.WriteString("---\n")
		}
		text, err := output.MarshalYAML(p)
		if err != nil {
			return err
		}
		b.Write(text)
	}
	_, err := w.Write(b.Bytes())
	return err
}
