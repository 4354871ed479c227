package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bearerguard/bearerguard/sidecar/config"
)

const repository = "../.."

// judges say what is wrong with a command of a page, by its program.
var judges = map[string]func(args []string) error{
	"bearerguard": ours, "bin/bearerguard": ours, "kubectl-bearerguard": ours,
	"sidecar": sidecarArgs, "bin/sidecar": sidecarArgs,
	"kubectl": kubectl, "helm": helm, "make": makeTarget, "go": goTool,
}

// others are programs of which nothing is checked.
var others = strings.Fields(`alias app cat cd chmod chown cp curl docker echo export gh git id install jq exit get-token kill kind kubeconform ln ls mkdir mktemp mv openssl
	printf rm sed sleep source systemctl systemd-analyze systemd-sysusers tail tar tee test tree true useradd until while for wget cosign python3 xargs istioctl argocd flux kustomize
	journalctl trivy sha256sum promtool grep sort uniq nft ss tcpdump date`)

// ours holds the arguments to the program's own commands and flags.
func ours(args []string) error {
	root := newRoot("bearerguard", time.Now)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd("completion")
	cmd, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	cmd.InitDefaultHelpFlag()
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	if help, _ := cmd.Flags().GetBool("help"); help {
		return nil
	}
	if !cmd.Runnable() {
		return fmt.Errorf("%s needs one of its commands", cmd.CommandPath())
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}

// sidecarArgs holds them to the flags of the sidecar.
func sidecarArgs(args []string) error {
	fs := pflag.NewFlagSet("sidecar", pflag.ContinueOnError)
	fs.BoolP("help", "h", false, "")
	switch {
	case len(args) == 0:
		return fmt.Errorf("it needs a command")
	case args[0] == "run":
		config.Flags(fs)
	case args[0] == "serve":
		config.ServeFlags(fs)
	case args[0] == "version" || args[0] == "capture" || args[0] == "leave":
		return nil
	default:
		return fmt.Errorf("it has no command %q", args[0])
	}
	if err := fs.Parse(args[1:]); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("%q is no flag", fs.Arg(0))
	}
	return nil
}

var verbs = strings.Fields(`annotate api-resources apply auth config create cordon debug delete describe diff drain edit exec explain get krew label logs patch
	port-forward replace rollout run scale top version wait cluster-info`)

// kubectl holds what is applied to the files of the repository, and what is waited for to the conditions that there are.
func kubectl(args []string) error {
	var verb string
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case a == "-n" || a == "--namespace" || a == "-l" || a == "-o" || a == "--context":
			i++
		case strings.HasPrefix(a, "--for=condition="):
			if condition, _, _ := strings.Cut(strings.TrimPrefix(a, "--for=condition="), "="); !conditions()[condition] {
				return fmt.Errorf("there is no condition %s", condition)
			}
		case verb == "bearerguard":
			return ours(args[i:])
		case a == "-f" || a == "-k" || a == "--filename":
			if i++; i < len(args) && strings.Contains(args[i], "/") && !exists(args[i]) {
				return fmt.Errorf("there is no %s", args[i])
			}
		case verb == "" && !strings.HasPrefix(a, "-"):
			if verb = a; verb != "bearerguard" && !slices.Contains(verbs, verb) {
				return fmt.Errorf("kubectl has no %q", verb)
			}
		}
	}
	return nil
}

func exists(file string) bool {
	if strings.Contains(file, "://") || strings.HasPrefix(file, "/") || strings.HasPrefix(file, "$") || strings.HasPrefix(file, "X/") || strings.HasPrefix(file, "~") {
		return true // elsewhere
	}
	_, err := os.Stat(filepath.Join(repository, file))
	return err == nil
}

// conditions are those of our objects, and of others that pages wait for.
func conditions() map[string]bool {
	out := map[string]bool{"Available": true, "Complete": true, "Established": true}
	text, _ := os.ReadFile(filepath.Join(repository, "api/v1alpha1/conditions.go"))
	for _, m := range regexp.MustCompile(`Condition\w+ += "(\w+)"`).FindAllSubmatch(text, -1) {
		out[string(m[1])] = true
	}
	return out
}

// helm holds charts and values to the repository's.
func helm(args []string) error {
	for i := 0; i < len(args); i++ {
		flag, value, inline := strings.Cut(args[i], "=")
		if !inline && i+1 < len(args) {
			value = args[i+1]
		}
		switch {
		case slices.Contains([]string{"--set", "--set-string", "--set-json", "--set-file"}, flag):
			if err := helmValue(value); err != nil {
				return err
			}
			i++
		case (flag == "-f" || flag == "--values") && strings.Contains(value, "/") && !exists(value), strings.HasPrefix(args[i], "charts/") && !exists(args[i]):
			return fmt.Errorf("there is no %s", value)
		case strings.HasPrefix(flag, "--") && !slices.Contains(strings.Fields("--namespace --create-namespace --wait --timeout --reuse-values --reset-then-reuse-values --install --version --values --generate-name --dry-run --kube-context --destination --verify --kube-version --api-versions --include-crds"), flag):
			return fmt.Errorf("of helm's flags, the test does not know %s", flag)
		}
	}
	return nil
}

// schema is what is needed of the chart's values.schema.json.
type schema struct {
	Properties           map[string]*schema
	Items                *schema
	AdditionalProperties json.RawMessage
	Enum                 []any
	Type                 any
}

// helmValue holds one "a.b[0].c=value" to the schema.
func helmValue(text string) error {
	path, value, ok := strings.Cut(text, "=")
	if !ok {
		return fmt.Errorf("--set %s has no value", text)
	}
	data, err := os.ReadFile(filepath.Join(repository, "charts/bearerguard/values.schema.json"))
	if err != nil {
		return err
	}
	at := &schema{}
	if err := json.Unmarshal(data, at); err != nil {
		return err
	}
	for _, name := range strings.Split(strings.ReplaceAll(path, `\.`, "\x00"), ".") {
		name, _, isItem := strings.Cut(strings.ReplaceAll(name, "\x00", "."), "[")
		next := at.Properties[name]
		if open := string(at.AdditionalProperties); next == nil && len(at.Properties) == 0 && open != "false" {
			return nil // such as labels, which may have any name
		}
		if at = next; at == nil {
			return fmt.Errorf("the chart has no value %s", path)
		}
		if isItem {
			if at = at.Items; at == nil {
				return fmt.Errorf("the chart's value %s is no list", path)
			}
		}
	}
	kind := fmt.Sprint(at.Type)
	if (kind == "boolean" && value != "true" && value != "false") || (len(at.Enum) > 0 && !slices.Contains(at.Enum, any(value))) {
		return fmt.Errorf("the chart's value %s is not %q", path, value)
	}
	return nil
}

// makeTarget holds targets to the Makefile.
func makeTarget(args []string) error {
	var known []byte
	for _, file := range []string{"Makefile", "hack/cluster/cluster.mk"} {
		text, err := os.ReadFile(filepath.Join(repository, file))
		if err != nil {
			return err
		}
		known = append(known, text...)
	}
	for _, a := range args {
		if !isAssignment(a) && !regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(a)+`:`).Match(known) {
			return fmt.Errorf("there is no target %q", a)
		}
	}
	return nil
}

// goTool holds packages to the repository; a sidecar that it runs is judged too.
func goTool(args []string) error {
	dir := ""
	for i, a := range args {
		if i > 0 && args[i-1] == "-C" {
			dir = a
		}
		if p, ok := strings.CutPrefix(a, "./"); ok && !exists(filepath.Join(dir, strings.TrimSuffix(p, "..."))) {
			return fmt.Errorf("there is no package %s", a)
		}
		if a == "./cmd/sidecar" && args[0] == "run" {
			return sidecarArgs(args[i+1:])
		}
	}
	return nil
}

// judge says what is wrong with a command.
func judge(words []string) error {
	if check, ok := judges[words[0]]; ok {
		return check(words[1:])
	}
	switch {
	case strings.HasPrefix(words[0], "hack/") || strings.HasPrefix(words[0], "config/"):
		if !exists(words[0]) {
			return fmt.Errorf("there is no %s", words[0])
		}
	case !slices.Contains(others, words[0]):
		return fmt.Errorf("what is %q? If it is a program, the test's list has to have it", words[0])
	}
	return nil
}

// pages are all pages by their file.
func pages(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(repository + "/docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	samples, err := filepath.Glob(repository + "/config/samples/*/README.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, file := range append(append(files, samples...), repository+"/README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimPrefix(file, repository+"/")] = string(text)
	}
	return out
}

// Each command of each page could be run: its program has the command and the flags, its files, charts, values and targets are there. What can run
// without a cluster is run by other tests.
func TestCommandsOfThePages(t *testing.T) {
	t.Parallel()
	seen := 0
	for file, text := range pages(t) {
		loose := func(line string) bool {
			for _, words := range commandsIn(line) {
				_, known := judges[words[0]]
				return (known || strings.HasPrefix(words[0], "hack/")) && !strings.HasSuffix(line, "[flags]")
			}
			return false
		}
		for at, line := range scripted(text, loose) {
			for _, words := range commandsIn(line) {
				words = slices.DeleteFunc(words, func(w string) bool { return w == "..." }) // what the page leaves out
				seen++
				if err := judge(words); err != nil {
					t.Errorf("%s:%d: %v\n\t%s", file, at, err, line)
				}
			}
		}
	}
	if seen < 150 {
		t.Errorf("%d commands", seen)
	}
}

// span is a piece of code within a line.
var span = regexp.MustCompile("`([^`\n]+)`")

// Commands and flags that are named within sentences are there, too.
func TestCommandsWithinSentences(t *testing.T) {
	t.Parallel()
	known := everyFlag(t)
	seen := 0
	for file, text := range pages(t) {
		for _, m := range span.FindAllStringSubmatch(unfenced(text), -1) {
			words := strings.Fields(m[1])
			if len(words) == 0 {
				continue
			}
			if words[0] == "kubectl" && len(words) > 1 {
				words = words[1:]
			}
			switch {
			case (words[0] == "bearerguard" || words[0] == "bin/bearerguard") && len(words) > 1:
				seen++
				if err := mentioned(words[1:]); err != nil {
					t.Errorf("%s: `%s`: %v", file, m[1], err)
				}
			case words[0] == "make" && len(words) > 1:
				seen++
				if err := makeTarget(words[1:2]); err != nil {
					t.Errorf("%s: `%s`: %v", file, m[1], err)
				}
			case file == "docs/migrating.md": // has flags of the systems that people come from
			case regexp.MustCompile(`^--[a-z]`).MatchString(words[0]):
				seen++
				if name, _, _ := strings.Cut(words[0][2:], "="); !known[name] {
					t.Errorf("%s: `%s`: no program has this flag", file, m[1])
				}
			}
		}
	}
	if seen < 100 {
		t.Errorf("%d commands and flags", seen)
	}
}

// unfenced is a page without its blocks.
func unfenced(text string) string {
	var out strings.Builder
	for i, part := range strings.Split("\n"+text, "\n```") {
		if i%2 == 0 {
			out.WriteString(part)
		}
	}
	return out.String()
}

// mentioned holds a command that may be a piece of one: what it names is there.
func mentioned(words []string) error {
	root := newRoot("bearerguard", time.Now)
	root.InitDefaultCompletionCmd("completion")
	cmd := root
	for i, w := range words {
		if name, ok := strings.CutPrefix(w, "--"); ok {
			name, _, _ = strings.Cut(name, "=")
			if cmd.Flags().Lookup(name) == nil && cmd.InheritedFlags().Lookup(name) == nil && name != "help" {
				return fmt.Errorf("%s has no flag --%s", cmd.CommandPath(), name)
			}
			continue
		}
		next := slices.IndexFunc(cmd.Commands(), func(c *cobra.Command) bool { return c.Name() == w })
		if next >= 0 {
			cmd = cmd.Commands()[next]
		} else if i == 0 && w != "..." && w != "help" {
			return fmt.Errorf("there is no command %s", w)
		}
	}
	return nil
}

// everyFlag has the flags of all programs, and those of others that pages speak of.
func everyFlag(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{}
	add := func(f *pflag.Flag) { known[f.Name] = true }
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		c.InitDefaultHelpFlag()
		c.Flags().VisitAll(add)
		c.PersistentFlags().VisitAll(add)
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot("bearerguard", time.Now))
	run, serve := pflag.NewFlagSet("", pflag.ContinueOnError), pflag.NewFlagSet("", pflag.ContinueOnError)
	config.Flags(run)
	config.ServeFlags(serve)
	run.VisitAll(add)
	serve.VisitAll(add)
	for _, file := range []string{"cmd/controller/flags.go", "cmd/sidecar/capture.go", "cmd/sidecar/leave.go"} {
		text, err := os.ReadFile(filepath.Join(repository, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`Var\(&[^,]+, "([a-z0-9-]+)"`).FindAllSubmatch(text, -1) {
			known[string(m[1])] = true
		}
	}
	for _, foreign := range []string{"set", "create-namespace", "reuse-values", "for", "feature-gates", "server-side", "force-conflicts", "dry-run", "kube-version", "include-crds"} {
		known[foreign] = true
	}
	return known
}
