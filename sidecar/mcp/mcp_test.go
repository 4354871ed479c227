package mcp

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
)

// header makes a header from names and values in turn.
func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

const call = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"db_query","arguments":{"name":"other","Name":1}}}`

func TestHead(t *testing.T) {
	t.Parallel()
	const json = "application/json"
	for what, c := range map[string]struct {
		method string
		header http.Header
		want   decision.CallKind
		doubt  decision.Cause
	}{
		"a POST of JSON":                    {"POST", header("Content-Type", json), decision.CallUnread, nil},
		"JSON in any case":                  {"POST", header("Content-Type", "Application/JSON ; Charset=\"UTF-8\""), decision.CallUnread, nil},
		"an encoding that is none":          {"POST", header("Content-Type", json, "Content-Encoding", "Identity"), decision.CallUnread, nil},
		"a stream":                          {"GET", header("Accept", "text/event-stream"), decision.CallNone, nil},
		"the end of a session":              {"DELETE", nil, decision.CallNone, nil},
		"a method that may bring a message": {"PUT", header("Content-Type", json), decision.CallDoubtful, doubtMethod},
		"no type":                           {"POST", nil, decision.CallDoubtful, doubtType},
		"two types":                         {"POST", header("Content-Type", json, "Content-Type", json), decision.CallDoubtful, doubtType},
		"two types in one field":            {"POST", header("Content-Type", "application/json, text/plain"), decision.CallDoubtful, doubtType},
		"another type":                      {"POST", header("Content-Type", "text/plain"), decision.CallDoubtful, doubtType},
		"a type with a suffix":              {"POST", header("Content-Type", "application/json-rpc"), decision.CallDoubtful, doubtType},
		"another character set":             {"POST", header("Content-Type", json+"; charset=utf-16"), decision.CallDoubtful, doubtType},
		"two character sets":                {"POST", header("Content-Type", json+"; charset=utf-8; charset=utf-7"), decision.CallDoubtful, doubtType},
		"compressed":                        {"POST", header("Content-Type", json, "Content-Encoding", "gzip"), decision.CallDoubtful, doubtEncoding},
		"compressed, after none":            {"POST", header("Content-Type", json, "Content-Encoding", "identity", "Content-Encoding", "br"), decision.CallDoubtful, doubtEncoding},
	} {
		if got := Head(c.method, c.header); got.Kind != c.want || got.Doubt != c.doubt {
			t.Errorf("%s: %+v", what, got)
		}
	}
}

func TestMessages(t *testing.T) {
	t.Parallel()
	message := func(method string) *decision.Call {
		return &decision.Call{Kind: decision.CallMessage, Method: method}
	}
	named := func(method, name string) *decision.Call {
		return &decision.Call{Kind: decision.CallMessage, Method: method, Name: name, Named: true}
	}
	for body, want := range map[string]*decision.Call{
		call: named("tools/call", "db_query"),
		`{"jsonrpc":"2.0","method":"prompts/get","params":{"name":"a b"}}`:                             named("prompts/get", "a b"),
		`{"jsonrpc":"2.0","id":"x","method":"resources/read","params":{"uri":"file:///a","name":"b"}}`: named("resources/read", "file:///a"),
		`{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"a"}}`:                 named("resources/subscribe", "a"),
		`{"jsonrpc":"2.0","id":1,"method":"resources/unsubscribe","params":{"uri":"a"}}`:               named("resources/unsubscribe", "a"),
		`{"jsonrpc":"2.0","id":1,"m\u0065thod":"tools\/call","params":{"n\u0061me":"\u0064b"}}`:        named("tools/call", "db"),
		` {"jsonrpc":"2.0","id":1,"method":"initialize","params":{"name":"x","Name":"y"}}` + "\r\n":    message("initialize"),
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`:                                       message("notifications/initialized"),
		`{"jsonrpc":"2.0","id":1,"method":"Tools/Call","params":{"name":"db"}}`:                        message("Tools/Call"),
		`{"jsonrpc":"2.0","id":1,"method":"tools/call ","params":{"name":"db"}}`:                       message("tools/call "),
		`{"jsonrpc":"2.0","id":1,"result":{"method":"tools/call"}}`:                                    {Kind: decision.CallResponse},
		`{"jsonrpc":"2.0","id":1,"error":{"code":1}}`:                                                  {Kind: decision.CallResponse},
	} {
		got, no := Read(http.Header{}, []byte(body), true)
		if diff := cmp.Diff(want, got); diff != "" || no != nil {
			t.Errorf("%s: %v (-want +got)\n%s", body, no, diff)
		}
	}
}

// What two readers may take for two messages is none.
func TestAmbiguousMessages(t *testing.T) {
	t.Parallel()
	const tail = `,"params":{"name":"db_query"}}`
	for what, body := range map[string]string{
		"two methods":                           `{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"` + tail,
		"two methods, one escaped":              `{"jsonrpc":"2.0","id":1,"method":"tools/list","m\u0065thod":"tools/call"` + tail,
		"a method in another case":              `{"jsonrpc":"2.0","id":1,"method":"tools/list","Method":"tools/call"` + tail,
		"a method in another case alone":        `{"jsonrpc":"2.0","id":1,"METHOD":"tools/call"` + tail,
		"params in another case":                `{"jsonrpc":"2.0","id":1,"method":"tools/call","Params":{"name":"x"},"params":{"name":"y"}}`,
		"params with a long s":                  `{"jsonrpc":"2.0","id":1,"method":"tools/call","param\u017f":{"name":"x"},"params":{"name":"y"}}`,
		"two params":                            `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"},"params":{"name":"y"}}`,
		"two names":                             `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","name":"y"}}`,
		"a name in another case":                `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","Name":"y"}}`,
		"two arguments":                         `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"a":1,"a":2}}}`,
		"a batch":                               `[` + call + `]`,
		"a batch of two":                        `[` + call + `,` + call + `]`,
		"two messages":                          call + call,
		"two messages, a line each":             call + "\n" + call,
		"a smuggled request":                    call + "\r\n\r\nPOST /mcp HTTP/1.1\r\n",
		"a byte order mark":                     "\ufeff" + call,
		"UTF-16":                                "{\x00\"\x00j\x00",
		"not UTF-8":                             `{"jsonrpc":"2.0","method":"tools/call","params":{"name":"` + "\xff" + `"}}`,
		"a lone surrogate":                      `{"jsonrpc":"2.0","method":"tools/call","params":{"name":"\ud800"}}`,
		"a comment":                             `{/**/"jsonrpc":"2.0","method":"tools/call"}`,
		"a trailing comma":                      `{"jsonrpc":"2.0","method":"tools/list",}`,
		"single quotes":                         `{'jsonrpc':'2.0','method':'tools/list'}`,
		"NaN":                                   `{"jsonrpc":"2.0","method":"tools/list","id":NaN}`,
		"nothing":                               ``,
		"null":                                  `null`,
		"a text":                                `"tools/call"`,
		"cut off":                               call[:len(call)-1],
		"another version":                       `{"jsonrpc":"1.0","id":1,"method":"tools/call"` + tail,
		"no version":                            `{"id":1,"method":"tools/call"` + tail,
		"a version that is a number":            `{"jsonrpc":2.0,"id":1,"method":"tools/call"` + tail,
		"neither a request nor a response":      `{"jsonrpc":"2.0","id":1}`,
		"both":                                  `{"jsonrpc":"2.0","id":1,"method":"tools/call","result":{}` + tail,
		"a result and an error":                 `{"jsonrpc":"2.0","id":1,"result":{},"error":{}}`,
		"a method that is no text":              `{"jsonrpc":"2.0","id":1,"method":["tools/call"]` + tail,
		"a method that is null beside a result": `{"jsonrpc":"2.0","id":1,"method":null,"result":{}}`,
		"an empty method":                       `{"jsonrpc":"2.0","id":1,"method":""` + tail,
		"params by position":                    `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["db_query"]}`,
		"params that are null":                  `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":null}`,
		"a call of nothing":                     `{"jsonrpc":"2.0","id":1,"method":"tools/call"}`,
		"a call of no name":                     `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}`,
		"an empty name":                         `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":""}}`,
		"a name that is no text":                `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":["db_query"]}}`,
		"a resource by name":                    `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"name":"x"}}`,
		"deep":                                  `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":` + strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40) + "}",
		"very deep":                             strings.Repeat("[", 60<<10),
		"a number that is no double":            `{"jsonrpc":"2.0","id":1e400,"method":"tools/list"}`,
		"control characters":                    "{\"jsonrpc\":\"2.0\",\"method\":\"tools/\x00call\"}",
	} {
		got, no := Read(http.Header{}, []byte(body), true)
		if no != nil || got.Kind != decision.CallDoubtful || got.Doubt == nil {
			t.Errorf("%s: %+v %v", what, got, no)
			continue
		}
		if said := got.Doubt.String() + got.Doubt.Detail(); strings.Contains(said, "db_query") || strings.Contains(said, "tools/") {
			t.Errorf("%s: the cause tells what the body holds: %s", what, said)
		}
	}
	large := `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"a":"` + strings.Repeat("x", MaxBody) + `"}}`
	for what, c := range map[string]struct {
		body  string
		whole bool
	}{"a large body": {large, true}, "a body that goes on": {call, false}} {
		if got, _ := Read(http.Header{}, []byte(c.body), c.whole); got.Doubt != doubtSize {
			t.Errorf("%s: %+v", what, got)
		}
	}
}

func TestHeadersAgainstTheBody(t *testing.T) {
	t.Parallel()
	const modern = "2026-07-28"
	list := `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
	euro := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"€ "}}`
	answer := `{"jsonrpc":"2.0","id":1,"result":{}}`
	for what, c := range map[string]struct {
		body   string
		header http.Header
		want   decision.CallKind
		no     bool
	}{
		"an older client has none":                {call, http.Header{}, decision.CallMessage, false},
		"an older client that says its version":   {call, header("Mcp-Protocol-Version", "2025-11-25"), decision.CallMessage, false},
		"both":                                    {call, header("Mcp-Protocol-Version", modern, "Mcp-Method", "tools/call", "Mcp-Name", "db_query"), decision.CallMessage, false},
		"both, of a later version":                {call, header("Mcp-Protocol-Version", "2027-01-01", "Mcp-Method", "tools/call", "Mcp-Name", "db_query"), decision.CallMessage, false},
		"both, and no version":                    {call, header("Mcp-Method", "tools/call", "Mcp-Name", "db_query"), decision.CallMessage, false},
		"a method without a name":                 {list, header("Mcp-Protocol-Version", modern, "Mcp-Method", "tools/list"), decision.CallMessage, false},
		"a name in base64":                        {euro, header("Mcp-Protocol-Version", modern, "Mcp-Method", "tools/call", "Mcp-Name", "=?base64?4oKsIA==?="), decision.CallMessage, false},
		"plain text in base64":                    {call, header("Mcp-Method", "tools/call", "Mcp-Name", "=?base64?ZGJfcXVlcnk=?="), decision.CallMessage, false},
		"no method, though the version asks":      {call, header("Mcp-Protocol-Version", modern, "Mcp-Name", "db_query"), decision.CallDoubtful, false},
		"no name, though the version asks":        {call, header("Mcp-Protocol-Version", modern, "Mcp-Method", "tools/call"), decision.CallDoubtful, false},
		"two methods that agree":                  {call, header("Mcp-Method", "tools/call", "Mcp-Method", "tools/call", "Mcp-Name", "db_query"), decision.CallDoubtful, false},
		"two names":                               {call, header("Mcp-Method", "tools/call", "Mcp-Name", "db_query", "Mcp-Name", "x"), decision.CallDoubtful, false},
		"two versions":                            {call, header("Mcp-Protocol-Version", modern, "Mcp-Protocol-Version", "2025-06-18"), decision.CallDoubtful, false},
		"another method":                          {call, header("Mcp-Method", "tools/list", "Mcp-Name", "db_query"), 0, true},
		"another method of an older client":       {call, header("Mcp-Protocol-Version", "2025-06-18", "Mcp-Method", "tools/list"), 0, true},
		"a method in another case":                {call, header("Mcp-Method", "Tools/Call", "Mcp-Name", "db_query"), 0, true},
		"a method in base64":                      {call, header("Mcp-Method", "=?base64?dG9vbHMvY2FsbA==?=", "Mcp-Name", "db_query"), 0, true},
		"another name":                            {call, header("Mcp-Method", "tools/call", "Mcp-Name", "safe"), 0, true},
		"a list of names":                         {call, header("Mcp-Method", "tools/call", "Mcp-Name", "db_query, safe"), 0, true},
		"an empty name":                           {call, header("Mcp-Method", "tools/call", "Mcp-Name", ""), 0, true},
		"a name alone, another":                   {call, header("Mcp-Name", "safe"), 0, true},
		"broken base64":                           {call, header("Mcp-Method", "tools/call", "Mcp-Name", "=?base64?ZGJfcXVlcnk?="), 0, true},
		"base64 with bits to spare":               {euro, header("Mcp-Method", "tools/call", "Mcp-Name", "=?base64?4oKsIB==?="), 0, true},
		"a marker in another case":                {call, header("Mcp-Method", "tools/call", "Mcp-Name", "=?BASE64?ZGJfcXVlcnk=?="), 0, true},
		"a name where the body's method has none": {list, header("Mcp-Method", "tools/list", "Mcp-Name", "x"), decision.CallMessage, false},
		"an answer":                               {answer, header("Mcp-Protocol-Version", "2025-11-25"), decision.CallResponse, false},
		"an answer with a method":                 {answer, header("Mcp-Method", "tools/call"), 0, true},
	} {
		got, no := Read(c.header, []byte(c.body), true)
		if (no != nil) != c.no || no == nil && got.Kind != c.want {
			t.Errorf("%s: %+v %v", what, got, no)
		}
	}
	for version, want := range map[string]bool{"2026-07-28": true, "2026-07-27": false, "2026-7-28": false, "9999-99-99": true, "": false, "DRAFT-2026": false, "2026-07-280": false} {
		if requiresHeaders(version) != want {
			t.Errorf("%q: %v", version, !want)
		}
	}
}
