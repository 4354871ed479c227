package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// filled stands in a cause for what is filled in.
const filled = "…"

// typed returns the reason of a typed constant that is a cause; empty for one that is none.
func typed(file, name string) string {
	switch file {
	case "api/decision/shape.go":
		if strings.HasPrefix(name, "ErrHost") {
			return "BadHost"
		}
		return "BadPath"
	case "sidecar/mcp/head.go":
		return "MCPMismatch"
	case "sidecar/gate/shape.go":
		switch name {
		case "errConnect", "errTrace", "errLowerCase", "errMethod":
			return "BadMethod"
		case "errAuthority":
			return "BadHost"
		}
		return "BadPath"
	}
	return ""
}

// helpers are functions that make a refusal of one reason, with what their arguments are read as: %s is the next one.
var helpers = map[string]struct{ reason, text string }{
	"bad":       {"BadProof", "the proof %s"},
	"shown":     {"BadProof", "the proof %s"},
	"differs":   {"BadProof", "%s"},
	"malformed": {"Malformed", "%s %s"},
}

// readCauses returns the causes of each reason, as they are written in the code, in order and each once.
func readCauses(root string) (map[string][]string, error) {
	r := causeReader{out: map[string][]string{}}
	for _, dir := range []string{"api/decision", "sidecar/token", "sidecar/gate", "sidecar/dpop", "sidecar/mcp"} {
		files, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
		if err != nil {
			return nil, err
		}
		if err := r.files(root, files); err != nil {
			return nil, err
		}
	}
	if len(r.out) == 0 {
		return nil, fs.ErrNotExist
	}
	for name := range r.out {
		slices.Sort(r.out[name])
		r.out[name] = slices.Compact(r.out[name])
	}
	return r.out, nil
}

// causeReader gathers causes.
type causeReader struct {
	out    map[string][]string
	values map[string]ast.Expr // of the constants of a package, and of the variables of a function
}

// files reads those of one package.
func (r *causeReader) files(root string, names []string) error {
	parsed := map[string]*ast.File{}
	r.values = map[string]ast.Expr{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			return err
		}
		parsed[name] = f
		ast.Inspect(f, r.remember)
	}
	for _, name := range names {
		f, ok := parsed[name]
		if !ok {
			continue
		}
		short, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		r.constants(filepath.ToSlash(short), f)
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
				ast.Inspect(fn.Body, r.remember)
				ast.Inspect(fn.Body, r.visit)
			}
		}
	}
	return nil
}

// remember takes down what a name stands for.
func (r *causeReader) remember(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.ValueSpec:
		for i, name := range n.Names {
			if i < len(n.Values) {
				r.values[name.Name] = n.Values[i]
			}
		}
	case *ast.AssignStmt:
		for i, left := range n.Lhs {
			if name, ok := left.(*ast.Ident); ok && n.Tok == token.DEFINE {
				delete(r.values, name.Name)
				if len(n.Lhs) == len(n.Rhs) {
					r.values[name.Name] = n.Rhs[i]
				}
			}
		}
	}
	return true
}

// constants takes in the typed constants of a file.
func (r *causeReader) constants(name string, f *ast.File) {
	for _, d := range f.Decls {
		block, ok := d.(*ast.GenDecl)
		if !ok || block.Tok != token.CONST {
			continue
		}
		for _, s := range block.Specs {
			spec, _ := s.(*ast.ValueSpec)
			if kind := nameOf(spec.Type); kind != "ShapeError" && kind != "Because" {
				continue
			}
			r.add(typed(name, spec.Names[0].Name), r.text(spec.Values[0], 0))
		}
	}
}

// visit looks for a reason and its cause in a call, or in the literal of a refusal.
func (r *causeReader) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.CallExpr:
		name := nameOf(n.Fun)
		if h, ok := helpers[name]; ok {
			text := h.text
			for _, arg := range n.Args {
				text = strings.Replace(text, "%s", r.text(arg, 0), 1)
			}
			r.add(h.reason, text)
		} else if len(n.Args) == 2 {
			r.add(reasonOf(n.Args[0]), r.text(n.Args[1], 0))
		}
	case *ast.CompositeLit:
		fields := fieldsOf(n)
		if cause, ok := fields["Cause"]; ok {
			r.add(reasonOf(fields["Reason"]), r.text(cause, 0))
		}
	}
	return true
}

func (r *causeReader) add(reason, text string) {
	if reason == "" || !strings.ContainsFunc(text, func(c rune) bool { return 'a' <= c && c <= 'z' }) {
		return
	}
	r.out[reason] = append(r.out[reason], text)
}

// text returns what an expression reads as.
func (r *causeReader) text(e ast.Expr, depth int) string {
	if depth > 8 {
		return filled
	}
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil {
			return text
		}
	case *ast.BinaryExpr:
		return strings.ReplaceAll(r.text(e.X, depth+1)+r.text(e.Y, depth+1), filled+filled, filled)
	case *ast.Ident:
		if value, ok := r.values[e.Name]; ok {
			return r.text(value, depth+1)
		}
	case *ast.CallExpr:
		switch nameOf(e.Fun) {
		case "Because", "because":
			return r.text(e.Args[len(e.Args)-1], depth+1)
		case "wrongKind":
			return r.text(e.Args[0], depth+1) + " is " + filled + ", not " + r.text(e.Args[2], depth+1)
		}
	case *ast.CompositeLit:
		return r.literal(e, depth)
	}
	return filled
}

// literal reads the causes that are structs.
func (r *causeReader) literal(e *ast.CompositeLit, depth int) string {
	fields := fieldsOf(e)
	text := ""
	for _, name := range []string{"subject", "claim", "text", "problem"} {
		if v, ok := fields[name]; ok {
			text += " " + r.text(v, depth+1)
		}
	}
	if nameOf(e.Type) == "timing" && len(fields) == 0 && len(e.Elts) > 0 {
		text = "the proof's iat " + r.text(e.Elts[0], depth+1)
	}
	if text == "" {
		return filled
	}
	return strings.TrimSpace(text)
}

func fieldsOf(e *ast.CompositeLit) map[string]ast.Expr {
	out := map[string]ast.Expr{}
	for _, el := range e.Elts {
		if kv, ok := el.(*ast.KeyValueExpr); ok {
			out[nameOf(kv.Key)] = kv.Value
		}
	}
	return out
}

// reasonOf returns the reason that an expression names; empty if it names none.
func reasonOf(e ast.Expr) string {
	s, ok := e.(*ast.SelectorExpr)
	if !ok || nameOf(s.X) != "decision" {
		return ""
	}
	return s.Sel.Name
}

// nameOf is the last name of an expression.
func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}
