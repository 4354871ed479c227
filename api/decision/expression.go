package decision

import (
	"errors"
	"fmt"
	"net/textproto"
	"slices"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/ext"
)

// Limits of CEL expressions, in the units of cel-go's cost model, which is Kubernetes' too.
const (
	// MaxExpression is the longest expression, in bytes.
	MaxExpression = 4096
	// maxEstimatedCost is the greatest cost that an expression may have, taking every string, list and map that comes
	// with a request to have assumedSize characters or entries.
	maxEstimatedCost = 10_000_000
	assumedSize      = 1024
	// maxCost stops an evaluation, whatever comes with a request. Counting takes time, so it is left out for an
	// expression that stays below it even if everything has largestSize.
	maxCost     = 1_000_000
	largestSize = 64 << 10
)

// baseEnv is the CEL environment of all expressions, path captures aside. It takes milliseconds to make.
var baseEnv = sync.OnceValues(func() (*cel.Env, error) {
	stringList := cel.ListType(cel.StringType)
	return cel.NewEnv(
		cel.CustomTypeAdapter(adapter{}),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		cel.ParserRecursionLimit(64),
		cel.ExpressionNodeLimit(4096),
		ext.Strings(),
		ext.Sets(),
		ext.Network(),
		cel.Variable("claims", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("issuer", cel.StringType),
		cel.Variable("actor", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("now", cel.TimestampType),
		cel.Variable("request.method", cel.StringType),
		cel.Variable("request.path", cel.StringType),
		cel.Variable("request.host", cel.StringType),
		cel.Variable("request.query", cel.MapType(cel.StringType, stringList)),
		cel.Variable("request.headers", cel.MapType(cel.StringType, cel.StringType)),
		cel.Variable("request.port", cel.IntType),
		cel.Variable("request.remoteIP", cel.StringType),
		cel.Variable("request.tls.subject", cel.StringType),
		cel.Variable("request.tls.san", stringList),
	)
})

// expressions compiles CEL expressions and keeps the environments it made, one for each set of captures.
type expressions struct {
	envs map[string]*cel.Env
	// checker remembers what is wrong with expressions; with one, no expression is made to be evaluated. It may be nil.
	checker *Checker
}

// condition returns an expression in which path has the captures, or what is wrong with it. With a checker, it is nil.
func (x *expressions) condition(text string, captures []string) (*expression, *expressionError) {
	if x.checker == nil {
		return x.compile(text, captures)
	}
	key := problemKey(text, captures)
	r, ok := x.checker.find(key)
	if !ok {
		_, r.problem = x.compile(text, captures)
		x.checker.rememberProblem(key, r.problem)
	}
	return nil, r.problem
}

// expression is a compiled CEL expression of type bool. It is safe for concurrent use.
type expression struct {
	program      cel.Program
	readsRequest bool // reads anything but claims, actor and issuer
	readsToken   bool // reads claims, actor or issuer
	claims       reads
	headers      reads // of the request, by canonical names
	work         work
}

// expressionError is what is wrong with an expression, and what is expected.
type expressionError struct {
	problem, want string
}

// check parses an expression and checks its types.
func (x *expressions) check(env *cel.Env, text string, captures []string) (*cel.Ast, *expressionError) {
	parsed, issues := env.Parse(text)
	if issues.Err() != nil {
		return nil, describeIssues(issues, captures)
	}
	if x.checker != nil {
		x.checker.rememberHints(text, hintsOf(parsed)) // before Check changes the tree
	}
	checked, issues := env.Check(parsed)
	if issues.Err() != nil {
		return nil, describeIssues(issues, captures)
	}
	if t := checked.OutputType(); !t.IsExactType(types.BoolType) && !t.IsExactType(types.DynType) {
		return nil, &expressionError{fmt.Sprintf("has type %s", t), "type bool"}
	}
	return checked, nil
}

// compile makes of an expression in which path has the captures, which are sorted, what can be evaluated. A panic of the CEL library is an error
// like any other: an odd policy must not bring the control plane down.
func (x *expressions) compile(text string, captures []string) (out *expression, problem *expressionError) {
	defer func() {
		if recover() != nil {
			out, problem = nil, &expressionError{"cannot be compiled", "a simpler expression"}
		}
	}()
	if len(text) > MaxExpression {
		return nil, &expressionError{fmt.Sprintf("has %d bytes", len(text)), fmt.Sprintf("at most %d", MaxExpression)}
	}
	env, err := x.env(captures)
	if err != nil {
		return nil, &expressionError{err.Error(), ""}
	}
	checked, problem := x.check(env, text, captures)
	if problem != nil {
		return nil, problem
	}
	reads, problem := inspect(checked.NativeRep())
	if problem != nil {
		return nil, problem
	}
	grows := growthOf(checked.NativeRep())
	if grows > maxGrowth {
		return nil, &expressionError{"makes much larger values of what it is given", "fewer macros and replacements one after the other"}
	}
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
	cost, err := env.EstimateCost(checked, sizes{assumedSize})
	if err != nil {
		return nil, &expressionError{"its cost cannot be estimated", "a simpler expression"}
	}
	if cost.Max > maxEstimatedCost {
		return nil, &expressionError{"costs too much on large tokens or requests",
			"fewer nested loops; conditions under claims are cheaper"}
	}
	if cost, err = env.EstimateCost(checked, sizes{largestSize}); err != nil || cost.Max > maxCost || grows > 1 {
		options = append(options, cel.CostLimit(maxCost))
	}
	program, err := env.Program(checked, options...)
	if err != nil {
		return nil, &expressionError{oneLine(err.Error()), "an expression that can be evaluated"}
	}
	out = &expression{
		program: program, readsRequest: reads.request, readsToken: reads.token, claims: readsOf(checked.NativeRep()), headers: reads.headers,
	}
	if x.checker == nil {
		out.work = workOf(env, checked, grows, reads.matches)
	}
	return out, nil
}

// env returns the environment for a sorted set of captures.
func (x *expressions) env(captures []string) (*cel.Env, error) {
	key := strings.Join(captures, "/")
	if env, ok := x.envs[key]; ok {
		return env, nil
	}
	env, err := baseEnv()
	if err != nil {
		return nil, fmt.Errorf("make the CEL environment: %w", err)
	}
	if len(captures) > 0 {
		options := make([]cel.EnvOption, len(captures))
		for i, name := range captures {
			options[i] = cel.Variable("path."+name, cel.StringType)
		}
		if env, err = env.Extend(options...); err != nil {
			return nil, fmt.Errorf("extend the CEL environment: %w", err)
		}
	}
	if x.envs == nil {
		x.envs = make(map[string]*cel.Env)
	}
	x.envs[key] = env
	return env, nil
}

// describeIssues makes one line of what the checker found first.
func describeIssues(issues *cel.Issues, captures []string) *expressionError {
	e := &expressionError{problem: "cannot be compiled", want: "a CEL expression of type bool over claims, actor, path, request, issuer and now"}
	found := issues.Errors()
	if len(found) == 0 {
		return e
	}
	first := found[0]
	e.problem = fmt.Sprintf("line %d, column %d: %s", first.Location.Line(), first.Location.Column()+1, oneLine(first.Message))
	switch {
	case !strings.Contains(first.Message, "undeclared reference to 'path"):
	case len(captures) == 0:
		e.want = "no use of path: no capture is in all of the rule's paths"
	default:
		e.want = "a capture that all of the rule's paths have: path." + strings.Join(captures, ", path.")
	}
	return e
}

func oneLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "") + "..."
	}
	return s
}

// reading is what an expression reads.
type reading struct {
	request, token bool
	matches        bool // a regular expression is looked for
	headers        reads
}

// inspect looks at what an expression reads, and refuses what cannot be bounded or known.
func inspect(checked *ast.AST) (reads reading, problem *expressionError) {
	root := ast.NavigateAST(checked)
	for _, e := range ast.MatchDescendants(root, ast.KindMatcher(ast.IdentKind)) {
		switch name := e.AsIdent(); {
		case name == "request.headers":
			reads.request = true
			name, ok := headerRead(e)
			reads.headers.all = reads.headers.all || !ok
			if ok {
				reads.headers.names = append(reads.headers.names, name)
			}
			if !lookedUp(e) {
				return reads, &expressionError{"uses request.headers as a whole",
					`request.headers["name"] or "name" in request.headers`}
			}
		case name == "now", strings.HasPrefix(name, "request."), strings.HasPrefix(name, "path."):
			reads.request = true
		case name == "claims", name == "issuer", name == "actor":
			reads.token = true
		}
	}
	for _, e := range ast.MatchDescendants(root, ast.KindMatcher(ast.CallKind)) {
		call := e.AsCall()
		switch name := call.FunctionName(); name {
		case "format", "strings.quote": // a few characters make a text of any length, which the cost model does not know
			return reads, &expressionError{"uses " + name, "no text made for reading; compare values"}
		case "matches":
			reads.matches = true
		default:
			continue
		}
		args := call.Args()
		pattern := args[len(args)-1]
		if pattern.Kind() != ast.LiteralKind {
			return reads, &expressionError{"matches() has a computed pattern", "a string literal"}
		}
		text, _ := pattern.AsLiteral().Value().(string)
		if e := checkPattern(text); e != nil {
			return reads, &expressionError{"matches(): " + e.problem, e.want}
		}
	}
	return reads, nil
}

// lookedUp reports whether e, a map, is only asked for one key.
func lookedUp(e ast.NavigableExpr) bool {
	parent, ok := e.Parent()
	if !ok {
		return false
	}
	if parent.Kind() != ast.CallKind {
		return parent.Kind() == ast.SelectKind
	}
	call := parent.AsCall()
	position := slices.IndexFunc(call.Args(), func(a ast.Expr) bool { return a.ID() == e.ID() })
	return call.FunctionName() == operators.Index && position == 0 ||
		call.FunctionName() == operators.In && position == 1
}

// headerRead returns the canonical name of the header that is asked for of e, which is request.headers; false if it is computed.
func headerRead(e ast.NavigableExpr) (name string, ok bool) {
	parent, ok := e.Parent()
	if !ok {
		return "", false
	}
	if parent.Kind() == ast.SelectKind {
		name = parent.AsSelect().FieldName()
	}
	if parent.Kind() == ast.CallKind {
		for _, a := range parent.AsCall().Args() {
			if a.Kind() == ast.LiteralKind {
				name, _ = a.AsLiteral().Value().(string)
			}
		}
	}
	return textproto.CanonicalMIMEHeaderKey(name), name != ""
}

// sizes tells the cost estimator how large things may be that come with a request.
type sizes struct {
	most uint64
}

var _ checker.CostEstimator = sizes{}

// EstimateSize returns the range of sizes.
func (s sizes) EstimateSize(checker.AstNode) *checker.SizeEstimate {
	return &checker.SizeEstimate{Min: 0, Max: s.most}
}

// EstimateCallCost leaves calls to the standard model.
func (sizes) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}

var errNotBool = errors.New("the value is not a bool")

// eval evaluates the expression. The error may hold claim values: it is for branching, not for showing.
func (x *expression) eval(a *activation) (bool, error) {
	out, _, err := x.program.Eval(a)
	if err != nil {
		return false, fmt.Errorf("evaluate: %w", err)
	}
	holds, ok := out.(types.Bool)
	if !ok {
		return false, errNotBool
	}
	return bool(holds), nil
}
