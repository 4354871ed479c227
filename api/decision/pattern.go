package decision

import (
	"fmt"
	"regexp"
	"regexp/syntax"
)

const (
	// maxPattern is the longest regular expression, in bytes.
	maxPattern = 512
	// maxProgram bounds a regular expression, in instructions of package regexp/syntax.
	maxProgram = 2000
)

// checkPattern returns what is wrong with a regular expression, or nil.
func checkPattern(expr string) *expressionError {
	const want = "an RE2 expression (https://github.com/google/re2/wiki/Syntax)"
	if len(expr) > maxPattern {
		return &expressionError{fmt.Sprintf("has %d bytes", len(expr)), fmt.Sprintf("at most %d", maxPattern)}
	}
	parsed, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return &expressionError{oneLine(err.Error()), want}
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return &expressionError{oneLine(err.Error()), want}
	}
	if n := len(program.Inst); n > maxProgram {
		return &expressionError{fmt.Sprintf("compiles to %d instructions", n),
			fmt.Sprintf("at most %d; use fewer repetitions", maxProgram)}
	}
	return nil
}

// pattern compiles an RE2 expression for a whole value. It is parsed alone first, so that it cannot end the group that
// anchors it.
func (c *compiler) pattern(at, expr string) *regexp.Regexp {
	if e := checkPattern(expr); e != nil {
		c.fail(at, e.problem, e.want)
		return nil
	}
	re, err := regexp.Compile(`\A(?:` + expr + `)\z`)
	if err != nil {
		c.fail(at, oneLine(err.Error()), "an RE2 expression that stays valid in parentheses")
		return nil
	}
	return re
}
