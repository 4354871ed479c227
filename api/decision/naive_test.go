package decision_test

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

// naive reports, rule by rule, whether any of its entries fits, by walking over everything: the route index and the
// matcher written for nothing but clarity. Paths and hosts are plain text without escapes.
func naive(spec *policy.Spec, r *decision.Request) map[string]bool {
	out := make(map[string]bool)
	for _, rule := range spec.Rules {
		deny := rule.Deny != nil
		out[rule.Name] = rule.Match == nil || slices.ContainsFunc(rule.Match, func(m policy.Match) bool { return naiveEntry(&m, r, deny) })
	}
	return out
}

func naiveEntry(m *policy.Match, r *decision.Request, deny bool) bool {
	any := func(list []string, fits func(string) bool) bool { return slices.ContainsFunc(list, fits) }
	path := func(lenient bool) func(string) bool {
		return func(t string) bool {
			other := r.Path + "/"
			if strings.HasSuffix(r.Path, "/") {
				other = strings.TrimSuffix(r.Path, "/")
			}
			return naivePathFits(t, r.Path) || lenient && other != "" && naivePathFits(t, other)
		}
	}
	host := func(h string) bool { return naiveHost(h, r.Host) }
	peer := func(b string) bool {
		if !strings.Contains(b, "/") {
			return b == r.Remote.String()
		}
		return netip.MustParsePrefix(b).Contains(r.Remote)
	}
	return (m.Paths == nil || any(m.Paths, path(deny))) && !any(m.NotPaths, path(!deny)) &&
		(m.Hosts == nil || any(m.Hosts, host)) && !any(m.NotHosts, host) &&
		(m.Methods == nil || slices.Contains(m.Methods, r.Method)) && !slices.Contains(m.NotMethods, r.Method) &&
		(m.Ports == nil || slices.Contains(m.Ports, int32(r.Port))) && !slices.Contains(m.NotPorts, int32(r.Port)) &&
		(m.RemoteIPs == nil || any(m.RemoteIPs, peer)) && !any(m.NotRemoteIPs, peer) &&
		!slices.ContainsFunc(m.Headers, func(h policy.HeaderMatch) bool { return !naiveHeader(&h, r, deny) })
}

// naiveHeader joins the values of a header and takes them apart again: no value of the test has a comma that matters.
func naiveHeader(h *policy.HeaderMatch, r *decision.Request, deny bool) bool {
	values := r.Header.Values(h.Name)
	if h.Exists != nil && *h.Exists != (len(values) > 0) {
		return false
	}
	var elements []string
	if len(values) > 0 {
		for e := range strings.SplitSeq(strings.Join(values, ","), ",") {
			elements = append(elements, strings.TrimSpace(e))
		}
	}
	quantify := func(texts, patterns []string, lenient bool) bool {
		fits := func(e string) bool {
			return slices.Contains(texts, e) || slices.ContainsFunc(patterns, func(p string) bool { return naivePattern(p, e) && e != "" })
		}
		if lenient {
			return slices.ContainsFunc(elements, fits)
		}
		return len(elements) > 0 && !slices.ContainsFunc(elements, func(e string) bool { return !fits(e) })
	}
	return ((h.Values == nil && h.Patterns == nil) || quantify(h.Values, h.Patterns, deny)) &&
		((h.NotValues == nil && h.NotPatterns == nil) || !quantify(h.NotValues, h.NotPatterns, !deny))
}

// naivePattern tries every text that the star may stand for.
func naivePattern(pattern, text string) bool {
	prefix, suffix, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == text
	}
	for i := range len(text) + 1 {
		for j := i; j <= len(text); j++ {
			if prefix+text[i:j]+suffix == text {
				return true
			}
		}
	}
	return false
}

func naivePathFits(template, path string) bool {
	return naiveSegments(strings.Split(template, "/")[1:], strings.Split(path, "/")[1:])
}

// naiveSegments tries every number of segments that a ** may stand for.
func naiveSegments(want, got []string) bool {
	if len(want) == 0 {
		return len(got) == 0
	}
	if want[0] == "**" || want[0] == "{**}" {
		for n := range len(got) + 1 {
			if naiveSegments(want[1:], got[n:]) {
				return true
			}
		}
		return false
	}
	if len(got) == 0 {
		return false
	}
	fits := naivePattern(want[0], got[0])
	switch {
	case want[0] == "*" || strings.HasPrefix(want[0], "{"):
		fits = got[0] != ""
	case want[0] == "":
		fits = got[0] == ""
	}
	return fits && naiveSegments(want[1:], got[1:])
}

func naiveHost(pattern, host string) bool {
	if suffix, wild := strings.CutPrefix(pattern, "*"); wild {
		return strings.HasSuffix(host, suffix) && host != suffix
	}
	return host == pattern
}
