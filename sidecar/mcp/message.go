package mcp

import (
	"errors"
	"strings"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/keyset/strictjson"
)

// The causes of doubt that lie in the body. None has a value of it.
const (
	doubtSpelling decision.Because = "a member of the message differs from one of JSON-RPC in case alone, which some readers do not mind"
	doubtVersion  decision.Because = "the message is not of JSON-RPC 2.0"
	doubtKind     decision.Because = "the message is neither one request or notification nor one response"
	doubtParams   decision.Because = "the params of the message are no object"
	doubtName     decision.Because = "the message does not name what it is about, which its method needs"
)

// mismatch is the cause of a refusal: the headers and the body contradict each other.
const mismatch decision.Because = "Mcp-Method or Mcp-Name says other than the body"

// Read reads the message of a request of which Head has returned decision.Unread. whole says that body is all of it. A cause
// says that the request's headers contradict its body, so that nobody may take it.
func Read(h decision.Header, body []byte, whole bool) (*decision.Call, decision.Cause) {
	if !whole || len(body) > MaxBody {
		return doubtful(doubtSize), nil
	}
	call := parse(body)
	if call.Kind == decision.CallDoubtful {
		return call, nil
	}
	return compare(call, readHeaders(h))
}

// compare holds a message against what the request's headers say of it.
func compare(call *decision.Call, h headers) (*decision.Call, decision.Cause) {
	if h.repeated {
		return doubtful(doubtRepeated), nil
	}
	if h.hasMethod && h.method != call.Method {
		return nil, mismatch
	}
	if h.hasName && call.Named {
		if name, ok := decodeName(h.name); !ok || name != call.Name {
			return nil, mismatch
		}
	}
	if h.required && call.Kind == decision.CallMessage && (!h.hasMethod || call.Named && !h.hasName) {
		return doubtful(doubtMissing), nil
	}
	return call, nil
}

// parse reads one JSON-RPC message.
func parse(body []byte) *decision.Call {
	m, err := strictjson.Object(body)
	if err != nil {
		problem := "is not valid JSON"
		if e, ok := errors.AsType[*strictjson.Error](err); ok {
			problem = e.Problem
		}
		return doubtful(decision.Because("the body " + problem))
	}
	switch {
	case misspelt(m, "jsonrpc", "id", "method", "params", "result", "error"):
		return doubtful(doubtSpelling)
	case m["jsonrpc"] != "2.0":
		return doubtful(doubtVersion)
	}
	method, isCall := m["method"]
	_, isResult := m["result"]
	_, isError := m["error"]
	text, ok := method.(string)
	switch {
	case !isCall && isResult != isError:
		return &decision.Call{Kind: decision.CallResponse}
	case !ok || text == "" || isResult || isError:
		return doubtful(doubtKind)
	}
	return message(text, m)
}

// message reads a request or a notification of a method.
func message(method string, m map[string]any) *decision.Call {
	call := &decision.Call{Kind: decision.CallMessage, Method: method}
	params, ok := m["params"].(map[string]any)
	if _, given := m["params"]; given && !ok {
		return doubtful(doubtParams)
	}
	member := nameMember(method)
	if member == "" {
		return call
	}
	if misspelt(params, member) {
		return doubtful(doubtSpelling)
	}
	if call.Name, call.Named = params[member].(string); call.Name == "" {
		return doubtful(doubtName)
	}
	return call
}

// nameMember is the member of params that names what a method is about; empty: it has none.
func nameMember(method string) string {
	switch method {
	case "tools/call", "prompts/get":
		return "name"
	case "resources/read", "resources/subscribe", "resources/unsubscribe":
		return "uri"
	}
	return ""
}

// misspelt reports whether an object has a member that is one of the names but for case. Some readers do not mind that, Go's
// among them, and take the last of several.
func misspelt(m map[string]any, names ...string) bool {
	for have := range m {
		for _, name := range names {
			if have != name && strings.EqualFold(have, name) {
				return true
			}
		}
	}
	return false
}
