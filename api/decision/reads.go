package decision

import (
	"slices"
	"strings"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
)

// reads are claims that expressions look at.
type reads struct {
	all   bool     // claims as a whole, or a claim whose name is computed
	names []string // else: of the outermost claims, sorted, each once
}

// add takes in what another expression reads.
func (r *reads) add(other reads) {
	r.all = r.all || other.all
	r.names = append(r.names, other.names...)
}

// newReads returns what is read of claims while requests are decided: by the conditions that Bind cannot settle.
func newReads(rules []*rule) reads {
	var out reads
	for _, r := range rules {
		if r == nil {
			continue
		}
		if r.asksRequest() {
			out.add(r.when.claims)
		}
		if r.login.ages() {
			out.names = append(out.names, authTime)
		}
	}
	slices.Sort(out.names)
	out.names = slices.Compact(out.names)
	return out
}

// readsOf returns the claims that an expression looks at. A variable of a macro that is named claims counts, too.
func readsOf(checked *ast.AST) reads {
	var out reads
	for _, e := range ast.MatchDescendants(ast.NavigateAST(checked), ast.KindMatcher(ast.IdentKind)) {
		switch e.AsIdent() {
		case "issuer":
			out.names = append(out.names, "iss")
		case "actor":
			out.names = append(out.names, actClaim)
		case "claims":
			name, ok := claimRead(e)
			out.all = out.all || !ok
			out.names = append(out.names, name)
		}
	}
	return out
}

// claimRead returns the name of the claim that is taken out of e, which is claims: claims.name, has(claims.name),
// claims["name"], "name" in claims. ok is false for every other use.
func claimRead(e ast.NavigableExpr) (name string, ok bool) {
	parent, found := e.Parent()
	if !found {
		return "", false
	}
	switch parent.Kind() {
	case ast.SelectKind:
		return parent.AsSelect().FieldName(), true
	case ast.CallKind:
		call := parent.AsCall()
		args := call.Args()
		switch {
		case call.FunctionName() == operators.Index && args[0].ID() == e.ID():
			return literalText(args[1])
		case call.FunctionName() == operators.In && args[1].ID() == e.ID():
			return literalText(args[0])
		}
	case ast.UnspecifiedExprKind, ast.ComprehensionKind, ast.IdentKind, ast.ListKind, ast.LiteralKind, ast.MapKind, ast.StructKind:
	}
	return "", false
}

func literalText(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().(types.String)
	return strings.Clone(string(s)), ok
}

// absent stands for a claim that a token does not have.
type absent struct{}

// of returns the claims that are read, in the order of names, in memory of their own: a claim may be a part of its
// token's text. Nil if none are read.
func (r *reads) of(claims Claims) []any {
	if claims == nil || len(r.names) == 0 {
		return nil
	}
	kept := make([]any, len(r.names))
	for i, name := range r.names {
		kept[i] = absent{}
		if v, ok := claims[name]; ok {
			kept[i] = cloneClaim(v)
		}
	}
	return kept
}

// find returns a claim out of those that are kept.
func (r *reads) find(kept []any, name string) (value any, ok bool) {
	i, ok := slices.BinarySearch(r.names, name)
	if !ok || i >= len(kept) || kept[i] == (absent{}) {
		return nil, false
	}
	return kept[i], true
}
