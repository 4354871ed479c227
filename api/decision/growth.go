package decision

import (
	"slices"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

// maxGrowth is how many times larger than what comes with a token or request a value may become that an expression
// makes of it. The cost model knows the sizes of what comes in, but not of what a macro hands on to the next:
// l.map(x, x + x).map(x, x + x) doubles twice, and 30 times are gigabytes.
const maxGrowth = 256

// growth measures how many copies of what comes in the values of an expression may hold.
type growth struct {
	checked *ast.AST
	most    uint64 // of any value on the way
}

// growthOf returns an upper bound of the copies in any value that the expression makes.
func growthOf(checked *ast.AST) uint64 {
	g := growth{checked: checked}
	g.of(checked.Expr(), nil)
	return g.most
}

// of returns the copies in the value of e. vars are those of the macros around it.
func (g *growth) of(e ast.Expr, vars map[string]uint64) uint64 {
	n := g.inside(e, vars)
	if g.scalar(e) {
		n = 0
	}
	if e.Kind() != ast.ListKind && e.Kind() != ast.MapKind {
		g.most = max(g.most, n)
	}
	return n
}

// scalar reports whether the value of e is of a type that does not grow.
func (g *growth) scalar(e ast.Expr) bool {
	return slices.Contains([]types.Kind{types.BoolKind, types.IntKind, types.UintKind, types.DoubleKind, types.DurationKind,
		types.TimestampKind, types.NullTypeKind}, g.checked.GetType(e.ID()).Kind())
}

func (g *growth) inside(e ast.Expr, vars map[string]uint64) uint64 {
	switch e.Kind() {
	case ast.IdentKind:
		if n, ok := vars[e.AsIdent()]; ok {
			return n
		}
		return 1
	case ast.SelectKind:
		return g.of(e.AsSelect().Operand(), vars)
	case ast.ListKind:
		elements := e.AsList().Elements()
		return max(g.sum(elements, vars), uint64(len(elements)))
	case ast.MapKind:
		entries := e.AsMap().Entries()
		n := uint64(0)
		for _, entry := range entries {
			n += g.of(entry.AsMapEntry().Key(), vars) + g.of(entry.AsMapEntry().Value(), vars)
		}
		return max(n, uint64(len(entries)))
	case ast.CallKind:
		return g.call(e.AsCall(), vars)
	case ast.ComprehensionKind:
		return g.comprehension(e.AsComprehension(), vars)
	case ast.UnspecifiedExprKind, ast.LiteralKind, ast.StructKind:
	}
	return 1
}

func (g *growth) sum(list []ast.Expr, vars map[string]uint64) uint64 {
	n := uint64(0)
	for _, e := range list {
		n += g.of(e, vars)
	}
	return n
}

func (g *growth) call(c ast.CallExpr, vars map[string]uint64) uint64 {
	args := slices.Clone(c.Args())
	if c.IsMemberFunction() {
		args = append(args, c.Target())
	}
	switch c.FunctionName() {
	case "replace", "join": // what is put in may be put in everywhere
		n := uint64(1)
		for _, a := range args {
			n = times(n, max(g.of(a, vars), literalLength(a), 1))
		}
		return n
	case "_?_:_":
		g.of(args[0], vars)
		return max(g.of(args[1], vars), g.of(args[2], vars))
	}
	return g.sum(args, vars)
}

// comprehension multiplies what a macro goes through by what it makes of one element.
func (g *growth) comprehension(c ast.ComprehensionExpr, vars map[string]uint64) uint64 {
	through := max(g.of(c.IterRange(), vars), 1)
	inner := map[string]uint64{c.IterVar(): 1, c.IterVar2(): 1, c.AccuVar(): 0}
	for name, n := range vars {
		if _, hidden := inner[name]; !hidden {
			inner[name] = n
		}
	}
	step := max(g.of(c.LoopStep(), inner), g.of(c.LoopCondition(), inner), g.of(c.AccuInit(), vars), 1)
	inner[c.AccuVar()] = times(through, step)
	return g.of(c.Result(), inner)
}

func literalLength(e ast.Expr) uint64 {
	if e.Kind() != ast.LiteralKind {
		return 0
	}
	if s, ok := ref.Val(e.AsLiteral()).(types.String); ok {
		return uint64(len(s))
	}
	return 0
}

// times multiplies numbers of which any above maxGrowth is as good as another.
func times(a, b uint64) uint64 {
	return min(a, maxGrowth+1) * min(b, maxGrowth+1)
}
