// Package spiffe reads SPIFFE IDs, and patterns of them (SPIFFE-ID, sections 2.1 to 2.3).
package spiffe

import "strings"

// Bounds of SPIFFE IDs, in bytes.
const (
	// MaxID is the longest SPIFFE ID.
	MaxID = 2048
	// MaxTrustDomain is the longest name of a trust domain.
	MaxTrustDomain = 255
)

// Scheme is how every SPIFFE ID begins.
const Scheme = "spiffe://"

// TrustDomain reports whether s is a trust domain's name: lower-case letters, digits, "-", "_" and ".", and no more.
func TrustDomain(s string) bool {
	return s != "" && len(s) <= MaxTrustDomain && only(s, false)
}

// Parse splits a SPIFFE ID into its trust domain and its path, which is empty or begins with a slash. ok is false for what is no
// SPIFFE ID: one has one spelling, so no two that differ stand for one workload.
func Parse(id string) (domain, path string, ok bool) {
	if len(id) > MaxID || !strings.HasPrefix(id, Scheme) {
		return "", "", false
	}
	domain, path = cut(id[len(Scheme):])
	if !TrustDomain(domain) {
		return "", "", false
	}
	for rest := path; rest != ""; {
		var segment string
		if segment, rest = cut(rest[1:]); !segmentOK(segment) {
			return "", "", false
		}
	}
	return domain, path, true
}

// Pattern is a SPIFFE ID in whose path "*" stands for one whole segment. The zero Pattern fits nothing.
type Pattern struct {
	domain   string
	segments []string
}

// ParsePattern reads a pattern such as "spiffe://example.org/ns/*/sa/shop".
func ParsePattern(s string) (Pattern, bool) {
	if len(s) > MaxID || !strings.HasPrefix(s, Scheme) {
		return Pattern{}, false
	}
	domain, path := cut(s[len(Scheme):])
	if !TrustDomain(domain) {
		return Pattern{}, false
	}
	p := Pattern{domain: domain}
	for rest := path; rest != ""; {
		var segment string
		if segment, rest = cut(rest[1:]); segment != "*" && !segmentOK(segment) {
			return Pattern{}, false
		}
		p.segments = append(p.segments, segment)
	}
	return p, true
}

// Domain returns the trust domain of the IDs that fit.
func (p Pattern) Domain() string { return p.domain }

// Fits reports whether id is a SPIFFE ID that fits.
func (p Pattern) Fits(id string) bool {
	domain, rest, ok := Parse(id)
	if !ok || domain != p.domain {
		return false
	}
	for _, want := range p.segments {
		if rest == "" {
			return false
		}
		var segment string
		if segment, rest = cut(rest[1:]); want != "*" && segment != want {
			return false
		}
	}
	return rest == ""
}

// cut splits before the first slash.
func cut(s string) (first, rest string) {
	if i := strings.IndexByte(s, '/'); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

// segmentOK reports whether s is a segment of a path: letters, digits, "-", "_" and ".", and neither "." nor "..".
func segmentOK(s string) bool { return s != "" && s != "." && s != ".." && only(s, true) }

func only(s string, upper bool) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' || upper && c >= 'A' && c <= 'Z') {
			return false
		}
	}
	return true
}
