package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/check"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/exit"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
	"github.com/bearerguard/bearerguard/sidecar/source/manifest"
)

const checkLong = `Decide a request offline, with the sidecar's own code, and explain the verdict.

The files hold AuthPolicy, TokenRevocation, Secret and ConfigMap objects, as for a standalone sidecar. Nothing is
fetched: for an issuer whose keys are behind a URL, give them with --keys; for one that is asked about opaque tokens, give
its answer with --introspection.

With --claims there is no token, and nothing is verified: the claims are taken as if their issuer had signed them, and
held to the policy as those of a token are. Of iss, aud, iat, exp and jti, those that are missing are filled in; null
leaves one out.

With --tests, cases are run that say what is to become of a request each, and rules are named that no case shows.
Policies are those that the file of cases names, or those of --filename.

The exit code is 0 if the request is let through, 2 if it is refused, and 1 if the question itself is wrong. With --tests
it is 0 if all cases pass, and 1 otherwise.`

const checkExample = `  # May this token read an order?
  bearerguard check -f policies/ --token "$TOKEN" --request 'GET /orders/1'

  # What does a request without a token get? As JSON, for a test in a pipeline.
  bearerguard check -f policy.yaml --request 'GET https://orders.example.com/docs/' -o json

  # Without a token: what would one with these claims get?
  bearerguard check -f policy.yaml --request 'GET /orders/1' --claims '{"sub":"alice","scope":"orders.read"}'

  # May it call a tool of an MCP server?
  bearerguard check -f policies/ --token "$TOKEN" --request 'POST /mcp' \
    --data '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"db_query"}}'

  # Unit tests of policies, for people and for a pipeline.
  bearerguard check --tests tests/
  bearerguard check --tests tests/orders.yaml -f policies/ -o junit > report.xml

  # Is this proof of DPoP good for the request?
  bearerguard check -f policies/ --token "$TOKEN" -H "DPoP: $PROOF" --request 'GET https://api.example.com/orders/1'

  # With the keys that an identity provider publishes, next month.
  curl -s https://login.example.com/jwks.json > jwks.json
  bearerguard check -f policy.yaml --keys corp=jwks.json --token "$TOKEN" --request 'GET /orders/1' --at 2027-01-01T00:00:00Z`

type checkFlags struct {
	files, keys, header, tests        []string
	token, request, labels, namespace string
	data, claims, issuer              string
	introspection                     string
	remote, at                        string
	port                              int
	output                            output.Format
}

func newCheck(now func() time.Time) *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:     "check",
		Short:   "Decide a request offline and explain every rule",
		Long:    checkLong,
		Example: checkExample,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(f.tests) > 0 {
				return f.runTests(cmd, now())
			}
			in, err := f.input(cmd.InOrStdin(), now())
			if err != nil {
				return err
			}
			return f.run(cmd.OutOrStdout(), in)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVarP(&f.files, "filename", "f", nil, "`file` or directory with the policies; repeatable (- reads standard input)")
	flags.StringVar(&f.request, "request", "", "`request`: METHOD and path or URL, such as 'GET /orders/1'")
	flags.StringVar(&f.token, "token", "", "`token` for Authorization: Bearer, or DPoP where -H 'DPoP: PROOF' is there, also with that text before it (- reads standard input)")
	flags.StringVar(&f.claims, "claims", "", "claims in place of a token, which nothing proves: a `file`, or JSON such as '{\"sub\":\"alice\"}'")
	flags.StringVar(&f.issuer, "issuer", "", "`name` of the issuer whose token --claims would be (default: by iss, or the only one)")
	flags.StringArrayVarP(&f.header, "header", "H", nil, "another header, as 'Name: value'; repeatable")
	flags.StringVarP(&f.data, "data", "d", "", "`body` of the request, which rules with mcp look at; JSON unless -H says otherwise (@file reads a file, @- standard input)")
	flags.StringArrayVar(&f.keys, "keys", nil, "keys of an issuer, as `name=file`, instead of those that the policy names; repeatable")
	flags.StringVar(&f.introspection, "introspection", "", "`file` with what the issuer answers that is asked about the token (RFC 7662)")
	flags.StringVar(&f.labels, "labels", "", "labels of the workload, as `k=v,...` (default: every policy applies)")
	flags.StringVarP(&f.namespace, "namespace", "n", "default", "namespace of objects that name none")
	flags.IntVar(&f.port, "port", check.DefaultPort, "port that the client dials")
	flags.StringVar(&f.remote, "remote", check.DefaultRemote, "address of the client")
	flags.StringVar(&f.at, "at", "", "`time` to decide at, RFC 3339 (default: now)")
	cmd.MarkFlagsMutuallyExclusive("token", "claims")
	cmd.MarkFlagsMutuallyExclusive("introspection", "claims")
	flags.StringArrayVar(&f.tests, "tests", nil, "`file` or directory with test cases to run in place of one request; repeatable")
	for _, name := range []string{"request", "token", "claims", "issuer", "header", "data", "introspection", "port", "remote"} {
		cmd.MarkFlagsMutuallyExclusive("tests", name)
	}
	output.AddFlag(cmd, &f.output, output.FormatText, output.FormatJSON, output.FormatYAML, formatTAP, formatJUnit)
	return cmd
}

func (f *checkFlags) run(out io.Writer, in check.Input) error {
	report, err := check.Run(in)
	if err != nil {
		return err
	}
	if err := f.output.Value(out, report, report.Text); err != nil {
		return err
	}
	if !report.Allowed && !report.Reason.Answered() {
		return exit.ErrNo
	}
	return nil
}

// input reads the flags and the files they name. Every error names the flag that it is about.
func (f *checkFlags) input(stdin io.Reader, now time.Time) (check.Input, error) {
	if o := f.output.String(); o == formatTAP || o == formatJUnit {
		return check.Input{}, fmt.Errorf("--output: %s goes with --tests", o)
	}
	in := check.Input{Namespace: f.namespace, Port: f.port, Now: now, Header: http.Header{}, Keys: map[string][]byte{}}
	steps := []func(*check.Input, io.Reader) error{f.readFiles, f.readKeys, f.readRequest, f.readHeader, f.readClaims, f.readLabels, f.readOrigin}
	for _, step := range steps {
		if err := step(&in, stdin); err != nil {
			return in, err
		}
	}
	return in, nil
}

func (f *checkFlags) readFiles(in *check.Input, stdin io.Reader) error {
	if len(f.files) == 0 {
		return fmt.Errorf("--filename: is missing; want a file or directory with an AuthPolicy")
	}
	var err error
	if in.Files, err = readManifests(f.files, stdin); err != nil {
		return fmt.Errorf("--filename: %w", err)
	}
	return nil
}

// readManifests reads files, and those of directories.
func readManifests(paths []string, stdin io.Reader) (files []manifest.File, err error) {
	for _, path := range paths {
		names, err := yamlFiles(path)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			data, err := readFile(name, stdin)
			if err != nil {
				return nil, err
			}
			files = append(files, manifest.File{Name: name, Data: data})
		}
	}
	return files, nil
}

// yamlFiles returns the file itself, or the YAML and JSON files of a directory but for that of kustomize, which is no object.
func yamlFiles(path string) ([]string, error) {
	if path == "-" {
		return []string{path}, nil
	}
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return []string{path}, err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if name := e.Name(); name == "kustomization.yaml" || name == "kustomization.yml" {
			continue
		}
		known := slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(e.Name()))
		if known && !e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, filepath.Join(path, e.Name()))
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s: no file in it ends in .yaml, .yml or .json, and folders in it are not read; want the folder that has the files", path)
	}
	return names, nil
}

func (f *checkFlags) readKeys(in *check.Input, stdin io.Reader) error {
	for _, pair := range f.keys {
		name, path, err := splitPair(pair)
		if err != nil {
			return fmt.Errorf("--keys %w", err)
		}
		if in.Keys[name], err = readFile(path, stdin); err != nil {
			return fmt.Errorf("--keys: %w", err)
		}
	}
	if f.introspection == "" {
		return nil
	}
	var err error
	if in.Introspection, err = readFile(f.introspection, stdin); err != nil {
		return fmt.Errorf("--introspection: %w", err)
	}
	return nil
}

// readRequest reads METHOD and a path or an http URL.
func (f *checkFlags) readRequest(in *check.Input, _ io.Reader) error {
	if f.request == "" {
		return errors.New("--request: is missing; want METHOD and a path or URL, such as 'GET /orders/1'")
	}
	method, target, ok := strings.Cut(f.request, " ")
	if !ok || method == "" || strings.Contains(target, " ") {
		return fmt.Errorf("--request: %q: want METHOD and a path or URL, such as 'GET /orders/1'", f.request)
	}
	in.Method = method
	var err error
	if in.Host, in.Target, err = check.Target(target); err != nil {
		return fmt.Errorf("--request: %w", err)
	}
	return nil
}

func (f *checkFlags) readHeader(in *check.Input, stdin io.Reader) error {
	for _, line := range f.header {
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" {
			return fmt.Errorf("--header: %q: want 'Name: value'", line)
		}
		in.Header.Add(name, strings.TrimSpace(value))
	}
	token := f.token
	if token == "-" {
		text, err := readFile("-", stdin)
		if err != nil {
			return fmt.Errorf("--token: %w", err)
		}
		token = string(text)
	}
	if err := f.readData(in, stdin); err != nil {
		return err
	}
	if value := check.Authorization(token, in.Header.Get("DPoP") != ""); value != "" {
		in.Header.Add("Authorization", value)
	}
	return nil
}

func (f *checkFlags) readClaims(in *check.Input, stdin io.Reader) error {
	switch {
	case f.claims == "" && f.issuer != "":
		return fmt.Errorf("--issuer: goes with --claims")
	case f.claims == "":
		return nil
	}
	in.Claims = &check.Claims{JSON: []byte(f.claims), Issuer: f.issuer}
	if strings.HasPrefix(strings.TrimSpace(f.claims), "{") {
		return nil
	}
	var err error
	if in.Claims.JSON, err = readFile(f.claims, stdin); err != nil {
		return fmt.Errorf("--claims: %w", err)
	}
	return nil
}

// readData reads the body as curl does.
func (f *checkFlags) readData(in *check.Input, stdin io.Reader) (err error) {
	if f.data == "" {
		return nil
	}
	in.Body = []byte(f.data)
	if name, isFile := strings.CutPrefix(f.data, "@"); isFile {
		if in.Body, err = readFile(name, stdin); err != nil {
			return fmt.Errorf("--data: %w", err)
		}
	}
	if in.Header.Get("Content-Type") == "" {
		in.Header.Set("Content-Type", "application/json")
	}
	return nil
}

func (f *checkFlags) readLabels(in *check.Input, _ io.Reader) (err error) {
	if in.Labels, err = parseLabels(f.labels); err != nil {
		return fmt.Errorf("--labels %w", err)
	}
	return nil
}

func (f *checkFlags) readOrigin(in *check.Input, _ io.Reader) error {
	remote, err := netip.ParseAddr(f.remote)
	if err != nil {
		return fmt.Errorf("--remote: %q is not an IP address", f.remote)
	}
	in.Remote = remote
	return f.readTime(in, nil)
}

func (f *checkFlags) readTime(in *check.Input, _ io.Reader) (err error) {
	if f.at == "" {
		return nil
	}
	if in.Now, err = time.Parse(time.RFC3339, f.at); err != nil {
		return fmt.Errorf("--at: %q is not a time such as 2027-01-01T00:00:00Z", f.at)
	}
	return nil
}
