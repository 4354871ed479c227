package decision

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// operator is how a claim is compared.
type operator uint8

const (
	opExists operator = iota
	opEquals
	opAnyOf
	opAllOf
	opNoneOf
	opPatterns
	opNotPatterns
	opMatches
	opGreaterThan
	opLessThan
)

// String returns the operator's field name.
func (o operator) String() string {
	return [...]string{"exists", "equals", "anyOf", "allOf", "noneOf", "patterns", "notPatterns", "matches", "greaterThan",
		"lessThan"}[o]
}

// claimCondition is a compiled policy.ClaimCondition.
type claimCondition struct {
	path     ClaimPath
	op       operator
	exists   bool           // opExists
	values   values         // opEquals, opAnyOf, opAllOf, opNoneOf
	patterns []textPattern  // opPatterns, opNotPatterns
	pattern  *regexp.Regexp // opMatches
	bound    decimal        // opGreaterThan, opLessThan
}

// holds reports whether the claims satisfy the condition.
func (c *claimCondition) holds(claims Claims) bool {
	v, found := c.path.Lookup(claims)
	switch c.op {
	case opExists:
		return (found && v != nil) == c.exists
	case opNoneOf:
		return !anyElement(v, c.values.has)
	case opAllOf:
		list, ok := v.([]any)
		return ok && c.values.all(list)
	case opEquals, opAnyOf:
		return anyElement(v, c.values.has)
	case opPatterns:
		return anyElement(v, c.fitsPattern)
	case opNotPatterns:
		return !anyElement(v, c.fitsPattern)
	case opMatches:
		return anyElement(v, c.matches)
	case opGreaterThan:
		return anyElement(v, func(e any) bool { d, ok := number(e); return ok && d.compare(c.bound) > 0 })
	case opLessThan:
		return anyElement(v, func(e any) bool { d, ok := number(e); return ok && d.compare(c.bound) < 0 })
	}
	return false
}

func (c *claimCondition) fitsPattern(v any) bool {
	text, _, ok := scalarText(v)
	if !ok {
		return false
	}
	for i := range c.patterns {
		if c.patterns[i].fits(text) {
			return true
		}
	}
	return false
}

func (c *claimCondition) matches(v any) bool {
	text, _, ok := scalarText(v)
	return ok && c.pattern.MatchString(text)
}

// anyElement reports whether holds is true for v or, if v is a list, for any of its elements.
func anyElement(v any, holds func(any) bool) bool {
	list, ok := v.([]any)
	if !ok {
		return holds(v)
	}
	for _, e := range list {
		if holds(e) {
			return true
		}
	}
	return false
}

// number returns the value of a claim that is a JSON number.
func number(v any) (decimal, bool) {
	text, isNumber, ok := scalarText(v)
	if !ok || !isNumber {
		return decimal{}, false
	}
	return parseDecimal(text)
}

// values are what a claim is compared with: strings by their text, numbers by their value, so that 7, 7.0 and 70e-1
// are one.
type values struct {
	texts   map[string]int // -> position
	numbers []numbered
	count   int
}

type numbered struct {
	value    decimal
	position int
}

func newValues(texts []string) values {
	v := values{texts: make(map[string]int, len(texts)), count: len(texts)}
	for i, t := range texts {
		v.texts[t] = i
		if d, ok := parseDecimal(t); ok {
			v.numbers = append(v.numbers, numbered{d, i})
		}
	}
	return v
}

// find returns the position of the value that a claim equals, or -1.
func (v values) find(claim any) int {
	text, isNumber, ok := scalarText(claim)
	if !ok {
		return -1
	}
	if i, ok := v.texts[text]; ok {
		return i
	}
	if !isNumber || len(v.numbers) == 0 {
		return -1
	}
	if d, ok := parseDecimal(text); ok {
		for _, n := range v.numbers {
			if n.value.compare(d) == 0 {
				return n.position
			}
		}
	}
	return -1
}

func (v values) has(claim any) bool { return v.find(claim) >= 0 }

// all reports whether every value equals some element of the list.
func (v values) all(list []any) bool {
	seen := make([]bool, v.count)
	missing := v.count
	for _, e := range list {
		if i := v.find(e); i >= 0 && !seen[i] {
			seen[i] = true
			missing--
		}
	}
	return missing == 0
}

// hasScopes reports whether the token was granted all of the scopes, in "scope" (space separated, RFC 8693 section 4.2) or
// "scp" (list or string).
func hasScopes(scopes []string, claims Claims) bool {
	for _, s := range scopes {
		if !grantsScope(claims["scope"], s) && !grantsScope(claims["scp"], s) {
			return false
		}
	}
	return true
}

// Scopes returns the scopes that a token was granted: what hasScopes finds. Each comes once, in the order of their names.
func Scopes(claims Claims) []string {
	out := []string{}
	for _, claim := range []any{claims["scope"], claims["scp"]} {
		switch claim := claim.(type) {
		case string:
			out = append(out, strings.Split(claim, " ")...)
		case []any:
			for _, e := range claim {
				if s, ok := e.(string); ok {
					out = append(out, s)
				}
			}
		}
	}
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(s string) bool { return s == "" })
}

func grantsScope(claim any, scope string) bool {
	switch claim := claim.(type) {
	case string:
		for s := range strings.SplitSeq(claim, " ") {
			if s == scope {
				return true
			}
		}
	case []any:
		for _, e := range claim {
			if s, ok := e.(string); ok && s == scope {
				return true
			}
		}
	}
	return false
}

func boundOf(n int64) decimal {
	d, _ := parseDecimal(strconv.FormatInt(n, 10))
	return d
}
