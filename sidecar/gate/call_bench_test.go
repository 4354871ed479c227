package gate_test

import (
	"testing"

	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// BenchmarkMCP is what a message to an MCP server costs beside a request that no rule with mcp is about, by a token that is known.
func BenchmarkMCP(b *testing.B) {
	signed := bearer(corp.Token(start, map[string]any{"scope": "tools.read"}))
	g := gate.New(gate.Options{Now: clock})
	g.Swap(gatetest.Snapshot(b, clock, gatetest.Policy("server", server())))
	call := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_user","arguments":{"id":"4711","fields":["name","mail"]},"_meta":{"progressToken":7}}}`
	stream := get("/mcp", signed...)
	for name, r := range map[string]*gate.Request{
		"a stream": stream, "a call": message(call, signed...),
		"a call with headers": message(call, append([]string{"Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "tools/call", "Mcp-Name", "get_user"}, signed...)...),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				body := r.Body
				if body != nil { // asked twice, as by a proxy
					r.Body = nil
					if v := g.Judge(r); v.WantBody == 0 {
						b.Fatal(v.Reason)
					}
					r.Body = body
				}
				if v := g.Judge(r); !v.Forward {
					b.Fatal(v.Reason)
				}
			}
		})
	}
}
