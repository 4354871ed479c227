package lint

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	// expressionLike are marks of a regular expression that no path is likely to have.
	expressionLike = regexp.MustCompile(`\[[^\]]*\]|\([^)]*\)|\.[*+]|\\|^/\^|\$$|\|`)
	// parameterLike are the ways of routers to write a parameter, other than {name}.
	parameterLike = regexp.MustCompile(`^(:([A-Za-z_]\w*)|<(?:\w+:)?(\w+)>|\$([A-Za-z_]\w*))$`)
)

// path warns of a template that is written in another language.
func (l *linter) path(at, template string) {
	for part := range strings.SplitSeq(strings.TrimPrefix(template, "/"), "/") {
		if m := parameterLike.FindStringSubmatch(part); m != nil {
			l.add(PathSyntax, at, fmt.Sprintf("%q is a literal segment: it fits only itself", part), fmt.Sprintf("{%s} for one segment of any text", m[2]+m[3]+m[4]))
			return
		}
	}
	if m := expressionLike.FindString(template); m != "" {
		l.add(PathSyntax, at, fmt.Sprintf("%q is literal text: a path is no regular expression", m), "* or {name} for one segment, ** for any number of them")
	}
}
