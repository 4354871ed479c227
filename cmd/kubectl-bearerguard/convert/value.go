package convert

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

// value is an entry of a list of Istio's: a text, its beginning, its end, or anything that is not empty.
type value struct {
	kind valueKind
	text string
}

type valueKind int

const (
	exact valueKind = iota
	prefix
	suffix
	anything
)

// parseValue reads an entry as Istio does: a star counts at the beginning or else at the end.
func parseValue(s string) value {
	switch {
	case s == "*":
		return value{anything, ""}
	case strings.HasPrefix(s, "*"):
		return value{suffix, s[1:]}
	case strings.HasSuffix(s, "*"):
		return value{prefix, s[:len(s)-1]}
	}
	return value{exact, s}
}

// fits reports whether a text fits.
func (v value) fits(s string) bool {
	switch v.kind {
	case prefix:
		return strings.HasPrefix(s, v.text)
	case suffix:
		return strings.HasSuffix(s, v.text)
	case anything:
		return s != ""
	case exact:
	}
	return s == v.text
}

// cel says that an expression of type string fits.
func (v value) cel(subject string) string {
	switch v.kind {
	case prefix:
		return fmt.Sprintf("%s.startsWith(%s)", subject, strconv.Quote(v.text))
	case suffix:
		return fmt.Sprintf("%s.endsWith(%s)", subject, strconv.Quote(v.text))
	case anything:
		return subject + ` != ""`
	case exact:
	}
	return fmt.Sprintf("%s == %s", subject, strconv.Quote(v.text))
}

// pattern is the value as a pattern with a star.
func (v value) pattern() string {
	switch v.kind {
	case prefix:
		return v.text + "*"
	case suffix:
		return "*" + v.text
	case anything:
		return "*"
	case exact:
	}
	return v.text
}

// starred reports whether the text has a star that would count as one.
func (v value) starred() bool { return strings.Contains(v.text, "*") }

// numeric reports whether the JSON text of a number or a boolean may fit.
func (v value) numeric() bool {
	const digits = "0123456789.eE+-"
	number := strings.Trim(v.text, digits) == ""
	for _, b := range []string{"true", "false"} {
		if v.fits(b) {
			return true
		}
	}
	return number
}

// parseValues reads a list of values, and says whether all are whole texts, and whether any has a star that is no wildcard.
func parseValues(texts []string) (values []value, whole, starred bool) {
	whole = true
	for _, t := range texts {
		v := parseValue(t)
		values = append(values, v)
		whole = whole && v.kind == exact
		starred = starred || v.starred()
	}
	return values, whole, starred
}

func anyOf(values []value, subject string) string {
	var out []string
	for _, v := range values {
		out = append(out, v.cel(subject))
	}
	return strings.Join(out, " || ")
}

// errNever says of an entry that nothing fits it.
var errNever = errors.New("no request fits it")

// claimPath writes the path of a claim.
func claimPath(names []string) string {
	var b strings.Builder
	for i, name := range names {
		plain := name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-:") == ""
		switch {
		case plain && i > 0:
			b.WriteString("." + name)
		case plain:
			b.WriteString(name)
		default:
			b.WriteString(`["` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"]`)
		}
	}
	return b.String()
}

// claimIs says that a claim of type string, or an element of a list, fits one of the values, as CEL.
func claimIs(path []string, values []value, spaces bool) string {
	at, there := "claims", []string{}
	for _, name := range path {
		there = append(there, fmt.Sprintf("%s in %s", strconv.Quote(name), at))
		at += "[" + strconv.Quote(name) + "]"
	}
	list := "[" + at + "]"
	if spaces {
		list = fmt.Sprintf(`(type(%[1]s) == string ? %[1]s.split(" ") : [%[1]s])`, at)
	}
	return fmt.Sprintf("%s && (type(%[2]s) == list ? %[2]s : %[3]s).exists(s, type(s) == string && (%[4]s))",
		strings.Join(there, " && "), at, list, anyOf(values, "s"))
}

// claimCondition says that a claim fits one of the values, or with not that it fits none. ok is false if numbers could fit too, or a
// star would count.
func claimCondition(claim string, texts []string, not bool) (c policy.ClaimCondition, ok bool) {
	values, whole, starred := parseValues(texts)
	c.Claim, ok = claim, whole || !starred
	var patterns []string
	for _, v := range values {
		patterns = append(patterns, v.pattern())
		ok = ok && !v.numeric()
	}
	switch {
	case whole && not:
		c.NoneOf = union(nil, texts)
	case whole:
		c.AnyOf = union(nil, texts)
	case not:
		c.NotPatterns = union(nil, patterns)
	default:
		c.Patterns = union(nil, patterns)
	}
	return c, ok
}
