package decision

import (
	"fmt"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

// bounds is how many strings a list may have, and how long each may be, in bytes.
type bounds struct {
	items, min, max int
}

// checkList refuses a list that is there but empty, and one that is too long. A list that is left out is fine.
func checkList[T any](c *compiler, at string, list []T, most int) {
	switch {
	case list != nil && len(list) == 0:
		c.fail(at, "is empty", "at least one entry, or the field left out")
	case len(list) > most:
		c.fail(at, fmt.Sprintf("has %d entries", len(list)), fmt.Sprintf("at most %d", most))
	}
}

// checkUnique refuses a list with an entry that comes twice.
func checkUnique[T comparable](c *compiler, at string, list []T) {
	seen := make(map[T]int, len(list))
	for i, v := range list {
		if first, twice := seen[v]; twice {
			c.fail(fmt.Sprintf("%s[%d]", at, i), fmt.Sprintf("is the same as entry %d", first), "different entries")
			continue
		}
		seen[v] = i
	}
}

// checkStrings checks a list of strings and each of them.
func (c *compiler) checkStrings(at string, list []string, b bounds) {
	checkList(c, at, list, b.items)
	checkUnique(c, at, list)
	for i, s := range list {
		here := at
		if b.items > 1 {
			here = fmt.Sprintf("%s[%d]", at, i)
		}
		c.checkString(here, s, b)
	}
}

func (c *compiler) checkString(at, s string, b bounds) {
	switch {
	case s == "" && b.min > 0:
		c.fail(at, "is empty", "a value")
	case len(s) > b.max:
		c.fail(at, fmt.Sprintf("has %d bytes", len(s)), fmt.Sprintf("at most %d", b.max))
	case hasControl(s):
		c.fail(at, "has a control character", "printable text")
	}
}

func hasControl(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f }) >= 0
}

// checkName refuses what is no DNS label (RFC 1123 section 2.1).
func (c *compiler) checkName(at, s string) {
	if !label(s) {
		c.fail(at, fmt.Sprintf("%q is no name", clip(s)), `up to 63 of a-z, 0-9 and "-", with a letter or digit at both ends`)
	}
}

// checkHeaderName refuses a header name that is not plain letters, digits and "-". "_" is not taken since apps fold it
// with "-".
func (c *compiler) checkHeaderName(at, s string) {
	if !headerName(s) {
		c.fail(at, fmt.Sprintf("%q is no header name", clip(s)), `up to 64 letters, digits and "-", not "-" first`)
	}
}

func headerName(s string) bool {
	if s == "" || len(s) > 64 || s[0] == '-' {
		return false
	}
	for i := range len(s) {
		if b := s[i]; !alphanumeric(b) && b != '-' {
			return false
		}
	}
	return true
}

func alphanumeric(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9'
}

// onlyBytes reports whether s has 1 to most bytes, each a letter, a digit or one of also.
func onlyBytes(s, also string, most int) bool {
	for i := range len(s) {
		if !alphanumeric(s[i]) && strings.IndexByte(also, s[i]) < 0 {
			return false
		}
	}
	return s != "" && len(s) <= most
}

func methodToken(s string) bool {
	for i := range len(s) {
		if b := s[i]; (b < 'A' || b > 'Z') && (b != '-' || i == 0) {
			return false
		}
	}
	return true
}

// scopeToken reports whether s is a scope-token of RFC 6749 section 3.3.
func scopeToken(s string) bool {
	for i := range len(s) {
		if b := s[i]; b <= ' ' || b >= 0x7f || b == '"' || b == '\\' {
			return false
		}
	}
	return true
}

// clip shortens what an error quotes.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}

// checkSpec checks all of a spec but issuers and rules.
func (c *compiler) checkSpec(spec *policy.Spec) {
	switch spec.Mode {
	case "", policy.Enforce, policy.Audit:
	default:
		c.fail("spec.mode", fmt.Sprintf("%q is no mode", clip(string(spec.Mode))), "Enforce or Audit")
	}
	if spec.Paths != nil {
		c.checkPaths(spec.Paths)
	}
	if spec.Streams != nil {
		switch spec.Streams.OnExpiry {
		case "", policy.KeepStream, policy.CloseStream:
		default:
			c.fail("spec.streams.onExpiry", fmt.Sprintf("%q is none", clip(string(spec.Streams.OnExpiry))), "Keep or Close")
		}
	}
	if spec.Forward != nil {
		c.checkForward(spec)
	}
}

func (c *compiler) checkPaths(p *policy.Paths) {
	switch p.EncodedSlash {
	case "", policy.RefuseEncodedSlash, policy.KeepEncodedSlash:
	default:
		c.fail("spec.paths.encodedSlash", fmt.Sprintf("%q is none", clip(string(p.EncodedSlash))), "Refuse or Keep")
	}
	switch p.Forward {
	case "", policy.ForwardCanonical, policy.ForwardAsSent:
	default:
		c.fail("spec.paths.forward", fmt.Sprintf("%q is none", clip(string(p.Forward))), "Canonical or AsSent")
	}
}

// checkForward checks what the app is to see of the token.
func (c *compiler) checkForward(spec *policy.Spec) {
	f := spec.Forward
	switch f.Token {
	case "", policy.Keep, policy.Strip:
	default:
		c.fail("spec.forward.token", fmt.Sprintf("%q is none", clip(string(f.Token))), "Keep or Strip")
	}
	checkList(c, "spec.forward.headers", f.Headers, 32)
	seen := tokenHeaders(spec.Issuers)
	for i := range f.Headers {
		h := &f.Headers[i]
		at := fmt.Sprintf("spec.forward.headers[%d]", i)
		c.checkIdentityHeader(at+".name", h.Name, seen)
		if _, err := ParseClaimPath(h.Claim); err != nil {
			c.fail(at+".claim", err.Error(), `a claim path such as sub or realm_access.roles`)
		}
		switch h.Format {
		case "", policy.FormatString, policy.FormatCSV, policy.FormatJSON:
		default:
			c.fail(at+".format", fmt.Sprintf("%q is no format", clip(string(h.Format))), "String, CSV or JSON")
		}
	}
	if f.PayloadHeader != "" {
		c.checkIdentityHeader("spec.forward.payloadHeader", f.PayloadHeader, seen)
	}
}
