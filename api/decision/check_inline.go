package decision

import (
	"encoding/json"
	"fmt"
	"strings"
)

// maxInlineKeys is the longest inline JWK Set, in bytes.
const maxInlineKeys = 256 << 10

// checkInlineKeys checks the outline of an inline JWK Set: a set, a list of keys, or one key. The keys are vetted by
// package keyset. What is secret does not belong into a policy, which many may read.
func (c *compiler) checkInlineKeys(at, text string) {
	if len(text) > maxInlineKeys {
		c.fail(at, fmt.Sprintf("has %d bytes", len(text)), fmt.Sprintf("at most %d", maxInlineKeys))
		return
	}
	keys, ok := inlineKeys(strings.TrimPrefix(text, "\ufeff"))
	if !ok {
		c.fail(at, "is no JSON object of keys", `a JWK Set: {"keys": [...]} (RFC 7517 section 5)`)
		return
	}
	if len(keys) == 0 {
		c.fail(at, "has 0 keys", "at least 1")
	}
	for i, k := range keys {
		var members map[string]any
		if json.Unmarshal(k, &members) == nil && holdsSecret(members) {
			c.fail(at, fmt.Sprintf("keys[%d] is private or symmetric", i), "public keys; secrets go into keys.secretRef")
		}
	}
}

// inlineKeys returns what ought to be JWKs.
func inlineKeys(text string) ([]json.RawMessage, bool) {
	var list []json.RawMessage
	if json.Unmarshal([]byte(text), &list) == nil && list != nil {
		return list, true
	}
	var set struct {
		KTY  any `json:"kty"`
		Keys any `json:"keys"`
	}
	if json.Unmarshal([]byte(text), &set) != nil {
		return nil, false
	}
	if set.KTY != nil && set.Keys == nil {
		return []json.RawMessage{json.RawMessage(text)}, true
	}
	var keys struct {
		Keys []json.RawMessage `json:"keys"`
	}
	err := json.Unmarshal([]byte(text), &keys)
	return keys.Keys, err == nil
}

// holdsSecret reports whether a JWK has a private or symmetric part (RFC 7518 section 6). null, "" and [] are nothing.
func holdsSecret(jwk map[string]any) bool {
	if jwk["kty"] == "oct" {
		return true
	}
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		v := jwk[name]
		if list, isList := v.([]any); v != nil && v != "" && (!isList || len(list) > 0) {
			return true
		}
	}
	return false
}
