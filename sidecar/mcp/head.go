package mcp

import (
	"encoding/base64"
	"strings"

	"github.com/bearerguard/bearerguard/api/decision"
)

// MaxBody is the largest body that is read, in bytes, with the framing of a chunked one.
const MaxBody = 64 << 10

// The causes of doubt that lie in the head, or in the size of the body.
const (
	doubtMethod   decision.Because = "MCP messages come by POST"
	doubtType     decision.Because = "the body's Content-Type is not application/json alone, in UTF-8"
	doubtEncoding decision.Because = "the body has a Content-Encoding"
	doubtSize     decision.Because = "the body is larger than 64 KiB"
	doubtRepeated decision.Because = "Mcp-Method, Mcp-Name or Mcp-Protocol-Version comes more than once"
	doubtMissing  decision.Because = "Mcp-Method or Mcp-Name is missing, which the protocol version of the request requires"
)

func doubtful(why decision.Cause) *decision.Call {
	return &decision.Call{Kind: decision.CallDoubtful, Doubt: why}
}

// none is the message of requests that bring none.
var none = &decision.Call{Kind: decision.CallNone}

// Head returns what the head of a request tells of the message; decision.Unread if the body has to be read.
func Head(method string, h decision.Header) *decision.Call {
	switch method {
	case "POST":
	case "GET", "HEAD", "DELETE", "OPTIONS":
		return none
	default:
		return doubtful(doubtMethod)
	}
	if !isJSON(h.Values("Content-Type")) {
		return doubtful(doubtType)
	}
	for _, v := range h.Values("Content-Encoding") {
		if !strings.EqualFold(v, "identity") {
			return doubtful(doubtEncoding)
		}
	}
	return decision.Unread
}

// isJSON reports whether Content-Type says JSON in UTF-8, in one way.
func isJSON(values []string) bool {
	if len(values) != 1 {
		return false
	}
	media, parameters, more := strings.Cut(values[0], ";")
	if !strings.EqualFold(strings.Trim(media, " \t"), "application/json") {
		return false
	}
	name, value, _ := strings.Cut(parameters, "=")
	return !more || strings.EqualFold(strings.Trim(name, " \t"), "charset") && strings.EqualFold(strings.Trim(value, " \t\""), "utf-8")
}

// headers are what a request says of its message beside the body.
type headers struct {
	method, name       string
	hasMethod, hasName bool
	repeated           bool
	required           bool // the protocol version requires them
}

// readHeaders reads the headers that mirror the body, and the version that says whether they must be there.
func readHeaders(h decision.Header) (out headers) {
	one := func(name string) (string, bool) {
		values := h.Values(name)
		out.repeated = out.repeated || len(values) > 1
		if len(values) == 0 {
			return "", false
		}
		return values[0], true
	}
	version, _ := one("Mcp-Protocol-Version")
	out.required = requiresHeaders(version)
	out.method, out.hasMethod = one("Mcp-Method")
	out.name, out.hasName = one("Mcp-Name")
	return out
}

// requiresHeaders reports whether a protocol version is 2026-07-28 or later. Versions are dates.
func requiresHeaders(version string) bool {
	const first = "2026-07-28"
	if len(version) != len(first) {
		return false
	}
	for i := range len(first) {
		if c := version[i]; (c == '-') != (first[i] == '-') || c != '-' && (c < '0' || c > '9') {
			return false
		}
	}
	return version >= first
}

// decodeName decodes a value of Mcp-Name: text that a header cannot carry comes in base64.
func decodeName(value string) (name string, ok bool) {
	const start, end = "=?base64?", "?="
	if len(value) < len(start)+len(end) || !strings.HasPrefix(value, start) || !strings.HasSuffix(value, end) {
		return value, true
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(value[len(start) : len(value)-len(end)])
	return string(raw), err == nil
}
