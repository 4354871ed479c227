package mcp

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/api/decision"
)

// FuzzRead wants what is taken for a message to be the message that encoding/json reads, which minds neither case nor members
// that come twice.
func FuzzRead(f *testing.F) {
	f.Add(call, "tools/call", "db_query", "2026-07-28")
	f.Add(`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"a","URI":"b"}}`, "resources/read", "=?base64?YQ==?=", "")
	f.Add(`[{"jsonrpc":"2.0","method":"a","Method":"b"}]`, "", "", "")
	f.Add(`{"jsonrpc":"2.0","result":1,"error":null}`, "a", "", "2025-06-18")
	f.Fuzz(func(t *testing.T, body, method, name, version string) {
		h := header("Mcp-Protocol-Version", version)
		if method != "" {
			h.Set("Mcp-Method", method)
		}
		if name != "" {
			h.Set("Mcp-Name", name)
		}
		got, no := Read(h, []byte(body), true)
		if no != nil || got.Kind == decision.CallDoubtful {
			return
		}
		var loose struct {
			Method string
			Params struct{ Name, URI json.RawMessage }
			Result json.RawMessage
		}
		if err := json.Unmarshal([]byte(body), &loose); err != nil && !strings.Contains(err.Error(), "cannot unmarshal") {
			t.Fatalf("%q is taken: %v", body, err)
		}
		if loose.Method != got.Method {
			t.Fatalf("%q: method %q, by another reader %q", body, got.Method, loose.Method)
		}
		if method != "" && got.Method != method {
			t.Fatalf("%q: method %q, by the header %q", body, got.Method, method)
		}
		if !got.Named {
			return
		}
		raw := loose.Params.Name
		if nameMember(got.Method) == "uri" {
			raw = loose.Params.URI
		}
		var other string
		if err := json.Unmarshal(raw, &other); err != nil || other != got.Name {
			t.Fatalf("%q: name %q, by another reader %q (%v)", body, got.Name, other, err)
		}
	})
}
