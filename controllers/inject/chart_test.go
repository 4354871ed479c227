package inject_test

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/flags"
)

// schemaFile says what the chart's values may be. What it says of sidecar.flags is written here, with -update.
const schemaFile = "../../charts/bearerguard/values.schema.json"

func TestTheChartKnowsEveryFlag(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	start, end := []byte("\n        \"flags\": "), []byte("\n        }")
	at := bytes.Index(text, start) + len(start)
	size := bytes.Index(text[at:], end) + len(end)
	want, err := json.MarshalIndent(schemaOfFlags(), "        ", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		text = append(append(append([]byte{}, text[:at]...), want...), text[at+size:]...)
		if err := os.WriteFile(schemaFile, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(want), string(text[at:at+size])); diff != "" {
		t.Errorf("sidecar.flags in %s; run go test with -update (-want +got):\n%s", schemaFile, diff)
	}
}

// schemaOfFlags returns the JSON schema of sidecar.flags: every flag, of its own type or as text.
func schemaOfFlags() map[string]any {
	text := map[string]any{"type": "string"}
	properties := map[string]any{"tls-cert": text, "tls-client-ca": text, "trace-ca": map[string]any{"type": "string", "pattern": "^((configmap|secret)/.+)?$"}, "trace-headers": text}
	for _, f := range flags.All() {
		p := map[string]any{"description": f.Usage}
		switch f.Type {
		case "int", "int64", "uint64":
			p["type"], p["minimum"], p["pattern"] = []string{"integer", "string"}, 0, "^[0-9]+$"
		case "bool":
			p["enum"] = []any{true, false, "true", "false"}
		case "duration":
			p["type"], p["pattern"] = "string", `^([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+$`
		case "stringSlice":
			p["type"], p["items"] = []string{"array", "string"}, map[string]any{"type": "string", "pattern": "^[0-9a-fA-F:.]+/[0-9]{1,3}$"}
		case "float64":
			p["type"], p["minimum"], p["pattern"] = []string{"number", "string"}, 0, `^[0-9]+(\.[0-9]+)?$`
		default:
			if p["enum"] = f.Choices; f.Choices == nil {
				delete(p, "enum")
				p["type"] = "string"
			}
		}
		if f.Name == "app-address" {
			p["enum"] = []string{"127.0.0.1", "::1", "pod-ip"}
		}
		properties[f.Name] = p
	}
	return map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
}
