package authz

import (
	"net/url"
	"strings"
)

// droppedParameters returns the names of the query's parameters that a target has no more: as they were sent, which is how Envoy
// compares them, and decoded.
func droppedParameters(sent, forwarded string) []string {
	if sent == forwarded {
		return nil
	}
	left, out := map[string]bool{}, []string(nil)
	for _, p := range parameters(forwarded) {
		left[p.name] = true
	}
	for _, p := range parameters(sent) {
		if left[p.name] {
			continue
		}
		left[p.name] = true
		if out = append(out, p.raw); p.raw != p.name {
			out = append(out, p.name)
		}
	}
	return out
}

// parametersRepeat reports whether the query of a target has a parameter twice, or one that is not well-formed.
func parametersRepeat(target string) bool {
	met := map[string]bool{}
	for _, p := range parameters(target) {
		if met[p.name] || p.name == "" {
			return true
		}
		met[p.name] = true
	}
	return false
}

// parameter is the name of a query's parameter, as it was sent and decoded.
type parameter struct{ raw, name string }

// parameters returns the names of a target's query, in order; those that are not well-formed are decoded to the empty one.
func parameters(target string) []parameter {
	_, query, _ := strings.Cut(target, "?")
	var out []parameter
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		raw, _, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(raw)
		if err != nil {
			name = ""
		}
		out = append(out, parameter{raw, name})
	}
	return out
}
