package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/exit"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/openapi"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
)

const generateLong = `Make an AuthPolicy of an OpenAPI document, which goes to standard output.

Reads OpenAPI 3.0 to 3.2 and Swagger 2.0, YAML or JSON. Each operation becomes part of a rule for its method and path, below the base
path of the servers, which asks for what its security requirements say: a token of the scheme's issuer, and the scopes. Operations
that ask for the same share a rule. Where paths overlap, as /pets/mine and /pets/{id} do, the one that says more counts alone.

Nothing is widened, and nothing is guessed. Operations without security are listed, and refused until --anonymous names them. Schemes
whose credential is no Bearer token (API keys, passwords, certificates) cannot be carried over: what asks for them is refused. Each such
place is named on standard error, with its line, and in a comment above the policy.

An OAuth scheme says where clients get tokens, and not whose name these have in iss, nor which of them are for this API: that is for
--issuer and --audience to say.

References to other files ($ref) are read below the document's directory. Nothing is fetched.

The exit code is 0 if every operation came over, 2 if some are refused, and 1 if nothing was made.`

const generateExample = `  # A document whose scheme is openIdConnect: it says who the issuer is
  bearerguard generate --openapi openapi.yaml --audience orders --selector app=orders -n shop > authpolicy.yaml

  # An OAuth scheme; the health check may be called without a token
  bearerguard generate --openapi openapi.yaml --issuer https://login.example.com --audience orders --anonymous 'GET /healthz'

  # Two schemes with an issuer each, behind a prefix; first see what would be refused
  bearerguard generate --openapi api.json --issuer staff=https://login.example.com --issuer partners=https://partners.example.com \
    --audience orders --base-path /api/v1 --mode Audit

  # What did not come over, for a program
  bearerguard generate --openapi openapi.yaml --audience orders -o json | jq '.open, .notes'`

type generateFlags struct {
	file, mode, basePath, labels string
	options                      openapi.Options
	output                       output.Format
}

func newGenerate() *cobra.Command {
	var f generateFlags
	cmd := &cobra.Command{
		Use:     "generate",
		Short:   "Make an AuthPolicy of an OpenAPI document",
		Long:    generateLong,
		Example: generateExample,
		Args:    noArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	o := &f.options
	flags.StringVar(&f.file, "openapi", "", "`file` with the document (- reads standard input, without references to other files)")
	flags.StringArrayVar(&o.Issuers, "issuer", nil, "issuer of the tokens, as a `URL` that they have in iss, or SCHEME=URL for one scheme of the document; repeatable")
	flags.StringArrayVar(&o.Audiences, "audience", nil, "what tokens for this API have in aud, or SCHEME=`AUDIENCE` for one scheme; repeatable: one of them is enough")
	flags.BoolVar(&o.AnyAudience, "any-audience", false, "take tokens whatever their aud, also those that were made for other apps")
	flags.StringArrayVar(&o.Anonymous, "anonymous", nil, "let an `operation` in without a token for which the document asks for none: its operationId, 'METHOD /path', or '/path' for all such of the path; repeatable")
	flags.StringVar(&f.basePath, "base-path", "", "`path` before all others, in place of that of the document's servers, such as /v1")
	flags.StringVar(&o.RolesClaim, "roles-claim", "", "`claim` that is a list of what requirements name beside a scheme that is http bearer; \"scope\" if these are scopes")
	flags.StringVar(&o.Name, "name", "", "`name` of the policy (default: made of the document's title)")
	flags.StringVarP(&o.Namespace, "namespace", "n", "default", "namespace of the policy")
	flags.StringVarP(&f.labels, "selector", "l", "", "labels of the pods that the policy is for, as `k=v,...` (default: all pods of the namespace)")
	flags.StringVar(&f.mode, "mode", string(policy.Enforce), "Enforce, or Audit: refuse nothing, and log what would be")
	_ = cmd.RegisterFlagCompletionFunc("mode", cobra.FixedCompletions([]string{string(policy.Enforce), string(policy.Audit)}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.MarkFlagFilename("openapi", "yaml", "yml", "json")
	output.AddFlag(cmd, &f.output, output.FormatYAML, output.FormatJSON)
	return cmd
}

func (f *generateFlags) run(cmd *cobra.Command) error {
	o := &f.options
	if f.file == "" {
		return errors.New("--openapi: is missing; want a file with an OpenAPI document")
	}
	if f.mode != string(policy.Enforce) && f.mode != string(policy.Audit) {
		return fmt.Errorf("--mode: %q is neither Enforce nor Audit", f.mode)
	}
	if o.Mode = policy.Mode(f.mode); o.Mode == policy.Enforce {
		o.Mode = "" // the default
	}
	if cmd.Flags().Changed("base-path") {
		o.BasePath = &f.basePath
	}
	var err error
	if o.Labels, err = parseLabels(f.labels); err != nil {
		return fmt.Errorf("--selector %w", err)
	}
	name, read, done, err := openDocument(f.file, cmd.InOrStdin())
	if err != nil {
		return fmt.Errorf("--openapi: %w", err)
	}
	defer done()
	result, err := openapi.Generate(name, read, *o)
	if err != nil {
		return fmt.Errorf("nothing is generated: %w", err)
	}
	return f.write(cmd, &result)
}

func (f *generateFlags) write(cmd *cobra.Command, r *openapi.Result) error {
	out := cmd.OutOrStdout()
	if f.output.String() == output.FormatJSON {
		if err := output.JSON(out, r); err != nil {
			return err
		}
	} else if err := openapi.Write(out, r); err != nil {
		return err
	}
	for _, line := range r.Lines() {
		output.Printf(cmd.ErrOrStderr(), "%s\n", line)
	}
	if !r.Complete() {
		return exit.ErrNo
	}
	return nil
}

// mostDocument is how large a file of a document may be, in bytes.
const mostDocument = 32 << 20

// openDocument returns the name of a document within its directory, and what reads files there: nothing outside of it, whatever links
// there are.
func openDocument(file string, stdin io.Reader) (name string, read func(string) ([]byte, error), done func(), err error) {
	if file == "-" {
		return "-", func(name string) ([]byte, error) {
			if name != "-" {
				return nil, errors.New("a document on standard input has no directory")
			}
			return readAtMost(stdin)
		}, func() {}, nil
	}
	root, err := os.OpenRoot(filepath.Dir(file))
	if err != nil {
		return "", nil, nil, err
	}
	read = func(name string) ([]byte, error) {
		name = filepath.FromSlash(name)
		if info, err := root.Stat(name); err == nil && info.Mode()&fs.ModeType != 0 {
			return nil, errors.New("is no regular file")
		}
		r, err := root.Open(name)
		if err != nil {
			return nil, err
		}
		defer func() { _ = r.Close() }()
		return readAtMost(r)
	}
	return filepath.Base(file), read, func() { _ = root.Close() }, nil
}

func readAtMost(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, mostDocument+1))
	if err == nil && len(data) > mostDocument {
		err = fmt.Errorf("is larger than %d MiB", mostDocument>>20)
	}
	return data, err
}

// parseLabels reads k=v,...; nil if there are none.
func parseLabels(text string) (map[string]string, error) {
	var out map[string]string
	if text == "" {
		return out, nil
	}
	out = map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		key, value, err := splitPair(pair)
		if err != nil {
			return nil, err
		}
		out[key] = value
	}
	return out, nil
}
