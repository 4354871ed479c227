package decision

import (
	"fmt"
	"net/textproto"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

func (c *compiler) headerMatches(at string, headers []policy.HeaderMatch) []headerMatch {
	checkList(c, at, headers, 16)
	seen := make(map[string]bool)
	var out []headerMatch
	for i := range headers {
		here := fmt.Sprintf("%s[%d]", at, i)
		m := c.headerMatch(here, &headers[i])
		if seen[m.name] {
			c.fail(here+".name", fmt.Sprintf("%q comes twice", clip(headers[i].Name)), "one entry a header")
		}
		seen[m.name] = true
		out = append(out, m)
	}
	return out
}

func (c *compiler) headerMatch(at string, h *policy.HeaderMatch) headerMatch {
	c.checkHeaderName(at+".name", h.Name)
	name := textproto.CanonicalMIMEHeaderKey(h.Name)
	if name == "Host" {
		c.fail(at+".name", "the host is not matched as a header", "hosts")
	}
	positive := h.Values != nil || h.Patterns != nil
	negative := h.NotValues != nil || h.NotPatterns != nil
	switch {
	case (h.Exists != nil) == positive && (positive || !negative):
		c.fail(at, "has both or neither of exists and values", "exactly one of exists, values and patterns; or notValues, notPatterns")
	case h.Exists != nil && !*h.Exists && negative:
		c.fail(at, "has exists: false beside notValues or notPatterns", "exists: false alone")
	}
	return headerMatch{
		name: name, exists: h.Exists,
		fitting: c.texts(at, ".values", h.Values, ".patterns", h.Patterns),
		not:     c.texts(at, ".notValues", h.NotValues, ".notPatterns", h.NotPatterns),
	}
}

// texts compiles the values and patterns of a header.
func (c *compiler) texts(at, values string, v []string, patterns string, p []string) texts {
	c.checkStrings(at+values, v, bounds{items: 32, min: 0, max: 1024})
	return texts{values: v, patterns: c.textPatterns(at+patterns, p, 32)}
}

// textPatterns compiles texts with at most one "*" in each.
func (c *compiler) textPatterns(at string, list []string, most int) []textPattern {
	c.checkStrings(at, list, bounds{items: most, min: 1, max: 1024})
	var out []textPattern
	for i, text := range list {
		prefix, suffix, star := strings.Cut(text, "*")
		if strings.Contains(suffix, "*") {
			c.fail(fmt.Sprintf("%s[%d]", at, i), fmt.Sprintf("has %d *", strings.Count(text, "*")),
				`at most one *, such as "admin-*" or "*.example.com"`)
		}
		out = append(out, textPattern{prefix: prefix, suffix: suffix, whole: !star})
	}
	return out
}

// claimCondition compiles a condition on a claim.
func (c *compiler) claimCondition(at string, spec *policy.ClaimCondition) claimCondition {
	var out claimCondition
	path, err := ParseClaimPath(spec.Claim)
	if err != nil {
		c.fail(at+".claim", err.Error(), `a claim path such as realm_access.roles or ["https://example.com/tenant"]`)
	}
	out.path = path
	given := 0
	take := func(present bool, op operator) bool {
		if present {
			given++
			out.op = op
		}
		return present
	}
	if take(spec.Exists != nil, opExists) {
		out.exists = *spec.Exists
	}
	if take(spec.Equals != nil, opEquals) {
		c.checkStrings(at+".equals", []string{*spec.Equals}, bounds{items: 1, min: 0, max: 1024})
		out.values = newValues([]string{*spec.Equals})
	}
	for _, l := range []struct {
		op    operator
		texts []string
		items int
	}{{opAnyOf, spec.AnyOf, 256}, {opAllOf, spec.AllOf, 64}, {opNoneOf, spec.NoneOf, 256}} {
		if take(l.texts != nil, l.op) {
			c.checkStrings(at+"."+l.op.String(), l.texts, bounds{items: l.items, min: 0, max: 1024})
			out.values = newValues(l.texts)
		}
	}
	for _, l := range []struct {
		op    operator
		texts []string
	}{{opPatterns, spec.Patterns}, {opNotPatterns, spec.NotPatterns}} {
		if take(l.texts != nil, l.op) {
			out.patterns = c.textPatterns(at+"."+l.op.String(), l.texts, 256)
		}
	}
	if take(spec.Matches != "", opMatches) {
		out.pattern = c.pattern(at+".matches", spec.Matches)
	}
	if take(spec.GreaterThan != nil, opGreaterThan) {
		out.bound = boundOf(*spec.GreaterThan)
	}
	if take(spec.LessThan != nil, opLessThan) {
		out.bound = boundOf(*spec.LessThan)
	}
	if given != 1 {
		c.fail(at, fmt.Sprintf("has %d operators", given),
			"exactly one of exists, equals, anyOf, allOf, noneOf, patterns, notPatterns, matches, greaterThan, lessThan")
	}
	return out
}
