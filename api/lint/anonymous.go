package lint

import (
	"slices"

	"github.com/bearerguard/bearerguard/api/policy"
)

// wide warns of a rule that lets everybody in to every path, be it for some methods or hosts alone: what is public is seldom
// all there is, and what is added to the app later is public, too.
func (l *linter) wide(at string, r *policy.Rule) {
	if !r.Allow.Anonymous || r.Allow.When != "" {
		return
	}
	const problem, want = "lets everybody in, to every path, and to those that the app will have later", "paths with what is public"
	if len(r.Match) == 0 {
		l.add(WideAnonymous, at+".allow.anonymous", problem, want)
		return
	}
	if slices.ContainsFunc(r.Match, everyPath) {
		l.add(WideAnonymous, at+".match", problem, want)
	}
}

// everyPath reports whether a match fits every path, for clients from anywhere.
func everyPath(m policy.Match) bool {
	if m.NotPaths != nil || m.RemoteIPs != nil || m.NotRemoteIPs != nil || m.Ports != nil || m.Headers != nil || m.MCP != nil {
		return false
	}
	return len(m.Paths) == 0 || slices.ContainsFunc(m.Paths, func(p string) bool { return p == "/**" || p == "/{**}" })
}
