package page

import "embed"

//go:embed examples
var exampleFiles embed.FS

// Example is a question to begin with.
type Example struct {
	Title string `json:"title"`
	Question
}

// Examples returns the questions that the playground offers.
func Examples() []Example {
	examples := []struct {
		title, file, method, target, body, claims string
	}{
		{"Scopes, roles, own profiles", "orders.yaml", "GET", "/orders/1001", "",
			`{
  "iss": "https://login.example.com",
  "aud": "orders",
  "sub": "alice",
  "scope": "orders.read profile",
  "realm_access": {"roles": ["support"]}
}`},
		{"A role that is missing", "orders.yaml", "POST", "/orders/1001/refund", "",
			`{
  "iss": "https://login.example.com",
  "aud": "orders",
  "sub": "bob",
  "scope": "orders.read orders.write",
  "realm_access": {"roles": ["buyer"]}
}`},
		{"Tenants, and a fresh log-in", "tenants.yaml", "GET", "/t/blue/invoices", "",
			`{
  "iss": "https://id.example.com",
  "aud": ["api", "billing"],
  "sub": "carol",
  "tenant": "green",
  "groups": ["staff"]
}`},
		{"A tool of an MCP server", "mcp.yaml", "POST", "/mcp",
			`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"delete_file"}}`,
			`{
  "iss": "https://login.example.com",
  "aud": "https://tools.example.com/mcp",
  "sub": "agent-7",
  "scope": "tools.read"
}`},
		{"Audit beside Enforce", "audit.yaml", "GET", "/cart/7", "",
			`{
  "iss": "https://login.example.com",
  "aud": "cart",
  "sub": "dave"
}`},
	}
	out := make([]Example, 0, len(examples))
	for _, e := range examples {
		text, err := exampleFiles.ReadFile("examples/" + e.file)
		if err != nil {
			panic(err) // it is embedded
		}
		out = append(out, Example{e.title, Question{
			Policy: string(text), Method: e.method, Target: e.target, Body: e.body, Claims: e.claims, Remote: "192.0.2.1", Port: 8080,
		}})
	}
	return out
}
