package lint

import (
	"fmt"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

// literal warns of a wildcard in a value that is compared as it is.
func (l *linter) literal(at, value, want string) {
	if strings.HasPrefix(value, "*") || strings.HasSuffix(value, "*") {
		l.add(Wildcard, at, fmt.Sprintf("%q is compared as it is: * stands for nothing here", clip(value)), want)
	}
}

func (l *linter) claim(at string, c *policy.ClaimCondition) {
	if c.Equals != nil {
		l.literal(at+".equals", *c.Equals, "a whole value, or patterns")
	}
	for _, list := range []struct {
		name, want string
		values     []string
	}{
		{"anyOf", "a whole value, or the entry under patterns", c.AnyOf},
		{"allOf", "a whole value", c.AllOf},
		{"noneOf", "a whole value, or the entry under notPatterns", c.NoneOf},
	} {
		for i, v := range list.values {
			l.literal(fmt.Sprintf("%s.%s[%d]", at, list.name, i), v, list.want)
		}
	}
}

// location warns of a place in which no token will be found.
func (l *linter) location(at string, from *policy.TokenLocation) {
	switch {
	case from.Header == "":
	case from.Prefix == "" && strings.EqualFold(from.Header, "Authorization"):
		l.add(TokenLocation, at+".prefix", "is missing, so that the whole value of Authorization, with its scheme, is taken for the token",
			`"Bearer ", with its space`)
	case isScheme(from.Prefix):
		l.add(TokenLocation, at+".prefix", fmt.Sprintf("%q has no space at its end, so that a space is left before the token; YAML drops it where there are no quotes", from.Prefix),
			fmt.Sprintf("%q", from.Prefix+" "))
	}
}

// isScheme reports whether a prefix is the name of a scheme alone (RFC 9110 section 11.1).
func isScheme(prefix string) bool {
	return prefix != "" && strings.Trim(strings.ToLower(prefix), "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// clip shortens what a finding quotes.
func clip(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "..."
	}
	return s
}
