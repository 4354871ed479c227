package decision

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
)

// ExpressionHints returns what is probably not meant in a CEL expression that Compile takes: a name of a header that is
// not in lower case, a claim as the whole condition. Path and Policy are empty. It returns nothing for what is no expression.
func ExpressionHints(text string) []FieldError {
	env, err := baseEnv()
	if text == "" || len(text) > MaxExpression || err != nil {
		return nil
	}
	parsed, issues := env.Parse(text)
	if issues.Err() != nil {
		return nil
	}
	return hintsOf(parsed)
}

// hintsOf returns the hints in an expression that was parsed and not checked.
func hintsOf(parsed *cel.Ast) []FieldError {
	var out []FieldError
	root := ast.NavigateAST(parsed.NativeRep())
	for _, e := range ast.MatchDescendants(root, isHeaders) {
		if name, ok := lookedUpName(e); ok && name != strings.ToLower(name) {
			out = append(out, FieldError{Problem: fmt.Sprintf("request.headers has its names in lower case: %q is never there", clip(name)),
				Want: fmt.Sprintf("%q", clip(strings.ToLower(name)))})
		}
	}
	if isValue(root) {
		out = append(out, FieldError{
			Problem: "is a claim by itself: it holds only for the boolean true, not for a text or a number",
			Want:    "a comparison, such as claims.admin == true"})
	}
	return out
}

// isHeaders finds request.headers in an expression that was parsed but not checked.
func isHeaders(e ast.NavigableExpr) bool {
	if e.Kind() != ast.SelectKind {
		return false
	}
	s := e.AsSelect()
	return s.FieldName() == "headers" && s.Operand().Kind() == ast.IdentKind && s.Operand().AsIdent() == "request"
}

// lookedUpName returns the literal name that a map is asked for: m.name, has(m.name), m["name"], "name" in m.
func lookedUpName(e ast.NavigableExpr) (string, bool) {
	parent, ok := e.Parent()
	if !ok {
		return "", false
	}
	if parent.Kind() == ast.SelectKind {
		return parent.AsSelect().FieldName(), true
	}
	if parent.Kind() != ast.CallKind {
		return "", false
	}
	call := parent.AsCall()
	if len(call.Args()) != 2 {
		return "", false
	}
	key := call.Args()[1]
	switch call.FunctionName() {
	case operators.Index:
	case operators.In:
		key = call.Args()[0]
	default:
		return "", false
	}
	if key.Kind() != ast.LiteralKind {
		return "", false
	}
	name, ok := key.AsLiteral().Value().(string)
	return name, ok
}

// isValue reports whether an expression is a field or an element of something, and no operation on it.
func isValue(e ast.NavigableExpr) bool {
	if e.Kind() == ast.SelectKind {
		return !e.AsSelect().IsTestOnly()
	}
	return e.Kind() == ast.CallKind && e.AsCall().FunctionName() == operators.Index
}

// RequestReads returns which parts of a request a CEL expression looks at, sorted: "port" for request.port, "tls" for
// request.tls.san. It returns nothing for what is no expression.
func RequestReads(text string) []string {
	env, err := baseEnv()
	if text == "" || len(text) > MaxExpression || err != nil {
		return nil
	}
	parsed, issues := env.Parse(text)
	if issues.Err() != nil {
		return nil
	}
	var out []string
	for _, e := range ast.MatchDescendants(ast.NavigateAST(parsed.NativeRep()), ast.KindMatcher(ast.SelectKind)) {
		s := e.AsSelect()
		if of := s.Operand(); of.Kind() == ast.IdentKind && strings.TrimPrefix(of.AsIdent(), ".") == "request" {
			out = append(out, s.FieldName())
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
