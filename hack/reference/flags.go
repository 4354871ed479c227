package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/bearerguard/bearerguard/api/flags"
	"github.com/bearerguard/bearerguard/controllers/certs"
	"github.com/bearerguard/bearerguard/sidecar/config"
)

const flagsHead = `# Flags

<!-- Written by "make generate" from what the programs define. Do not edit. -->

Every flag of the sidecar and the controller. Those of the command line are in [cli.md](cli.md#reference).

In a cluster you set none of these by hand. The chart gives the controller its flags: [values.md](values.md). Injection gives sidecars theirs; a pod, a namespace or the chart sets
some of them by [annotations and values](injection.md#every-annotation).

Each flag of ` + "`sidecar run` and `sidecar serve` can be an environment variable, too: `--log-level` is `BEARERGUARD_LOG_LEVEL`. A flag that is given goes first." + `
`

// flag is what is said of one.
type flag struct{ name, kind, def, usage string }

// flagsPage writes docs/flags.md.
func flagsPage(root string) (string, error) {
	run, serve := pflag.NewFlagSet("run", pflag.ContinueOnError), pflag.NewFlagSet("serve", pflag.ContinueOnError)
	config.Flags(run)
	config.ServeFlags(serve)
	controller, err := flagsOf(filepath.Join(root, "cmd", "controller", "flags.go"))
	if err != nil {
		return "", err
	}
	traces := pflag.NewFlagSet("traces", pflag.ContinueOnError)
	new(flags.Traces).DefineForController(traces)
	controller = append(controller, listed(traces)...)
	capture, err := flagsOf(filepath.Join(root, "cmd", "sidecar", "capture.go"))
	if err != nil {
		return "", err
	}
	leave, err := flagsOf(filepath.Join(root, "cmd", "sidecar", "leave.go"))
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(flagsHead)
	writeFlags(&b, "sidecar run", "Takes requests and forwards what the rules allow, until it is told to stop.", listed(run))
	writeFlags(&b, "sidecar serve", "Answers [gateways that ask](ext-authz.md), and forwards nothing.", listed(serve))
	writeFlags(&b, "sidecar capture", "Sends the pod's inbound ports to the sidecar. Injection runs it in an init container.", capture)
	writeFlags(&b, "sidecar leave", "Tells the sidecar that runs that its pod is about to stop. It is the sidecar's preStop hook.", leave)
	writeFlags(&b, "controller", "The control plane. It finds its cluster by `$KUBECONFIG`, or by its service account in a pod.", controller)
	return b.String(), nil
}

func writeFlags(b *strings.Builder, title, about string, all []flag) {
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n| flag | type | default | what it is |\n|---|---|---|---|\n", title, about)
	for _, f := range all {
		def := ""
		if f.def != "" {
			def = "`" + f.def + "`"
		}
		fmt.Fprintf(b, "| `--%s` | %s | %s | %s |\n", f.name, f.kind, def, cell(f.usage))
	}
}

// listed are the flags of a set, in its order.
func listed(fs *pflag.FlagSet) (out []flag) {
	fs.SortFlags = false
	fs.VisitAll(func(f *pflag.Flag) {
		def := f.DefValue
		if def == "[]" {
			def = ""
		}
		out = append(out, flag{f.Name, kindOfFlag(f.Value.Type()), def, f.Usage})
	})
	return out
}

// kindOfFlag names pflag's types for people.
func kindOfFlag(t string) string {
	switch strings.ToLower(t) {
	case "stringslice", "stringarray", "uintslice":
		return "list"
	case "int", "int64", "uint16", "uint64", "float64":
		return "number"
	case "bool":
		return "boolean"
	case "string", "duration":
		return strings.ToLower(t)
	}
	return t
}

// constants are the defaults that are written by name.
var constants = map[string]string{"string(certs.Self)": string(certs.Self)}

// flagsOf reads the flags that a file of one of the programs defines.
func flagsOf(file string) ([]flag, error) {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		return nil, err
	}
	var out []flag
	var problems []error
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		kind, isVar := strings.CutSuffix(nameOf(call.Fun), "Var")
		if !isVar || len(call.Args) != 4 {
			return true
		}
		name, err1 := textOf(call.Args[1])
		def, err2 := textOf(call.Args[2])
		usage, err3 := textOf(call.Args[3])
		if err := errors.Join(err1, err2, err3); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", file, err))
		}
		out = append(out, flag{name, kindOfFlag(kind), def, usage})
		return true
	})
	if len(out) == 0 {
		problems = append(problems, fmt.Errorf("%s defines no flags", file))
	}
	return out, errors.Join(problems...)
}

// textOf is the value of an argument: a literal, or a constant that is known here.
func textOf(e ast.Expr) (string, error) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			return strconv.Unquote(e.Value)
		}
		return e.Value, nil
	case *ast.Ident:
		if e.Name == "nil" {
			return "", nil
		}
		return e.Name, nil
	case *ast.CallExpr:
		if len(e.Args) != 1 {
			break
		}
		if arg, ok := e.Args[0].(*ast.SelectorExpr); ok {
			if value, ok := constants[nameOf(e.Fun)+"("+nameOf(arg.X)+"."+arg.Sel.Name+")"]; ok {
				return value, nil
			}
		}
	}
	return "", errors.New("hack/reference cannot read a default of this kind: list it in constants")
}
