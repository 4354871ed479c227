package printable_test

import (
	"bytes"
	"log/slog"
	"regexp"
	"testing"

	"github.com/bearerguard/bearerguard/api/printable"
)

func TestEveryLogHasOneTimeFormat(t *testing.T) {
	t.Parallel()
	o := &slog.HandlerOptions{ReplaceAttr: printable.LogTime}
	var json, text bytes.Buffer
	slog.New(slog.NewJSONHandler(&json, o)).Info("a")
	slog.New(slog.NewTextHandler(&text, o)).Info("a")
	const at = `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`
	for line, want := range map[string]string{json.String(): `^{"time":"` + at + `"`, text.String(): `^time=` + at + ` `} {
		if !regexp.MustCompile(want).MatchString(line) {
			t.Errorf("%s: want %s", line, want)
		}
	}
}
