package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/cluster"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/revocations"
)

const revokeLong = `Take tokens back before they expire, for every guarded pod of the namespace, or give them back.

By jti it is one token, by subject all tokens of a user, by session those of one log-in (the claim sid). It is written to
TokenRevocations that this command keeps, as many as it takes for long lists. What is there already is made wider, never
narrower, so a list can be given again. Objects that somebody else wrote are listed and left alone.

A subject is locked out until it is undone, also with tokens to come; with --all-before, tokens that are issued later are
good. Say with --expires when the last of the tokens has expired: entries that are over make room, here and in the sidecars.
All tokens of an issuer are taken back by changing its keys.

It is felt within a second of what is printed; kubectl wait --for=condition=Programmed tokenrevocation/NAME tells when.`

const revokeExample = `  # A token has leaked, of tokens that live an hour.
  bearerguard revoke jti 3f2c7a91 --issuer https://login.example.com --expires 1h -n shop

  # Behind -- a value may begin with a dash.
  bearerguard revoke --issuer https://login.example.com --expires 1h -n shop -- jti -0lSCpmO

  # Log alice out everywhere: what was issued until now is good no more.
  bearerguard revoke subject alice --issuer https://login.example.com --all-before now --expires 24h -n shop

  # A list, one in a line; first see whether the API server would take it.
  bearerguard revoke jti --file leaked.txt --issuer https://login.example.com --reason 'leak of 2026-11' -n shop --dry-run

  # What is taken back, and one of it given back.
  bearerguard revoke --list -n shop
  bearerguard revoke subject alice --issuer https://login.example.com --undo -n shop`

type revokeFlags struct {
	cluster                               *cluster.Flags
	issuer, file, before, expires, reason string
	list, undo, prune, dryRun             bool
	format                                output.Format
	namespace                             string
	entries                               []policy.RevocationEntry
	now                                   time.Time
}

func newRevoke(now func() time.Time) *cobra.Command {
	var f revokeFlags
	cmd := &cobra.Command{
		Use:       "revoke [jti|subject|session [VALUE...]]",
		Short:     "Take tokens back, or give them back",
		Long:      revokeLong,
		Example:   revokeExample,
		ValidArgs: []string{"jti", "subject", "session"},
		RunE: func(cmd *cobra.Command, args []string) error {
			f.now = now().UTC().Truncate(time.Second)
			return f.run(cmd, args)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.issuer, "issuer", "", "`iss` of the tokens")
	flags.StringVar(&f.file, "file", "", "`file` with a value in each line (- reads standard input)")
	flags.StringVar(&f.before, "all-before", "", "only tokens that were issued before this `time`: RFC 3339, or now")
	flags.StringVar(&f.expires, "expires", "", "when the tokens have expired, after which the entry is left out: a `time`, or how long from now, such as 24h")
	flags.StringVar(&f.reason, "reason", "", "`text` for people")
	flags.BoolVar(&f.list, "list", false, "list what is taken back")
	flags.BoolVar(&f.undo, "undo", false, "give back what was taken back here")
	flags.BoolVar(&f.prune, "prune", false, "leave out entries that are over, and do nothing else")
	flags.BoolVar(&f.dryRun, "dry-run", false, "have the API server check it, and change nothing")
	cmd.MarkFlagsMutuallyExclusive("list", "undo", "prune")
	output.AddFlag(cmd, &f.format, output.FormatTable, output.FormatJSON, output.FormatYAML)
	f.cluster = cluster.AddFlags(cmd, cluster.AnyNamespaces)
	return cmd
}

func (f *revokeFlags) run(cmd *cobra.Command, args []string) (err error) {
	if f.namespace, err = f.cluster.Namespace(); err != nil {
		return err
	}
	if !f.list && !f.prune {
		if err := f.read(cmd.InOrStdin(), args); err != nil {
			return err
		}
	} else if len(args) > 0 {
		return errors.New("--list and --prune take no arguments")
	}
	if f.namespace == "" && !f.list {
		return errors.New("--all-namespaces goes with --list alone")
	}
	c, err := f.cluster.Client()
	if err != nil {
		return err
	}
	if f.list {
		return f.show(cmd, c)
	}
	progress := output.NewProgress(cmd.ErrOrStderr(), "writing")
	defer progress.Done()
	var plan revocations.Plan
	var names []string
	if err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		plan, names, err = f.write(cmd.Context(), c)
		return err
	}); err != nil {
		return err
	}
	progress.Done()
	f.told(cmd.OutOrStdout(), plan, names)
	return nil
}

// read makes the entries of the arguments, the file and the flags.
func (f *revokeFlags) read(stdin io.Reader, args []string) error {
	if len(args) == 0 {
		return errors.New("say by what: jti, subject or session; or --list")
	}
	if f.issuer == "" {
		return errors.New("--issuer: is missing; want the iss of the tokens")
	}
	values := args[1:]
	if f.file != "" {
		text, err := readFile(f.file, stdin)
		if err != nil {
			return fmt.Errorf("--file: %w", err)
		}
		lines := bufio.NewScanner(bytes.NewReader(text))
		for lines.Scan() {
			if line := strings.TrimSpace(lines.Text()); line != "" && !strings.HasPrefix(line, "#") {
				values = append(values, line)
			}
		}
		if err := lines.Err(); err != nil {
			return fmt.Errorf("--file: %w", err)
		}
	}
	if len(values) == 0 {
		return fmt.Errorf("want the %s to take back, or --file", args[0])
	}
	before, err := f.moment("all-before", f.before)
	if err != nil {
		return err
	}
	expires, err := f.moment("expires", f.expires)
	if err != nil {
		return err
	}
	for _, value := range values {
		e, err := revocations.Entry(args[0], value)
		if err != nil {
			return err
		}
		e.IssuedBefore, e.ExpiresAt, e.Reason = before, expires, f.reason
		f.entries = append(f.entries, e)
	}
	return policy.Revocation{Issuer: f.issuer, Entries: f.entries}.Validate("")
}

// moment reads a time, "now", or how long from now it is; nil for none.
func (f *revokeFlags) moment(flag, text string) (*policy.Time, error) {
	switch text {
	case "":
		return nil, nil //nolint:nilnil // no time is never
	case "now":
		return &policy.Time{Time: f.now}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && flag == "expires" && d > 0 {
		return &policy.Time{Time: f.now.Add(d)}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil, fmt.Errorf("--%s: %q is no time; want one such as 2027-01-01T00:00:00Z", flag, text)
	}
	return &policy.Time{Time: at.UTC()}, nil
}

// write writes what is to change, and returns the names of the objects.
func (f *revokeFlags) write(ctx context.Context, c client.Client) (revocations.Plan, []string, error) {
	var list v1alpha1.TokenRevocationList
	if err := c.List(ctx, &list, client.InNamespace(f.namespace)); err != nil {
		return revocations.Plan{}, nil, err
	}
	var plan revocations.Plan
	switch {
	case f.prune:
		plan = revocations.Prune(list.Items, f.now)
	case f.undo:
		plan = revocations.Remove(f.namespace, list.Items, f.issuer, f.entries, f.now)
	default:
		plan = revocations.Add(f.namespace, list.Items, f.issuer, f.entries, f.now)
	}
	if f.dryRun {
		c = client.NewDryRunClient(c)
	}
	var names []string
	for i := range plan.Create {
		if err := c.Create(ctx, &plan.Create[i]); err != nil {
			return plan, names, err
		}
		names = append(names, plan.Create[i].Name)
	}
	for i := range plan.Update {
		if err := c.Update(ctx, &plan.Update[i]); err != nil {
			return plan, names, err
		}
		names = append(names, plan.Update[i].Name)
	}
	for i := range plan.Delete {
		uid := plan.Delete[i].UID
		version := plan.Delete[i].ResourceVersion
		if err := client.IgnoreNotFound(c.Delete(ctx, &plan.Delete[i], client.Preconditions{UID: &uid, ResourceVersion: &version})); err != nil {
			return plan, names, err
		}
	}
	return plan, names, nil
}

// told tells what was done.
func (f *revokeFlags) told(w io.Writer, plan revocations.Plan, names []string) {
	verb := "taken back"
	if f.undo {
		verb = "given back"
	}
	if f.dryRun {
		verb += " (the API server would take it; nothing was changed)"
	}
	switch {
	case f.prune:
		output.Printf(w, "%d entries that were over are left out\n", plan.Pruned)
	case plan.Changed == 0:
		output.Printf(w, "nothing to do: %d of %d entries are as they should be\n", len(f.entries), len(f.entries))
	default:
		output.Printf(w, "%d of %d entries %s\n", plan.Changed, len(f.entries), verb)
	}
	for _, name := range names {
		output.Printf(w, "  tokenrevocation/%s\n", name)
	}
	for _, name := range plan.Elsewhere {
		output.Printf(w, "  tokenrevocation/%s has some of them, too; it is somebody else's, and is left alone\n", name)
	}
}

// listed is one entry that is in force or over.
type listed struct {
	Namespace    string       `json:"namespace"`
	Object       string       `json:"object"`
	Issuer       string       `json:"issuer"`
	Kind         string       `json:"kind"`
	Value        string       `json:"value"`
	IssuedBefore *policy.Time `json:"issuedBefore,omitempty"`
	ExpiresAt    *policy.Time `json:"expiresAt,omitempty"`
	Over         bool         `json:"over,omitempty"`
	Programmed   string       `json:"programmed"`
	Reason       string       `json:"reason,omitempty"`
}

// show lists what is taken back.
func (f *revokeFlags) show(cmd *cobra.Command, c client.Client) error {
	var list v1alpha1.TokenRevocationList
	if err := c.List(cmd.Context(), &list, client.InNamespace(f.namespace)); err != nil {
		return err
	}
	all := []listed{}
	for i := range list.Items {
		o := &list.Items[i]
		if f.issuer != "" && o.Spec.Issuer != f.issuer {
			continue
		}
		for _, e := range o.Spec.Entries {
			kind, value := revocations.Kind(&e)
			all = append(all, listed{
				o.Namespace, o.Name, o.Spec.Issuer, kind, value, e.IssuedBefore, e.ExpiresAt,
				e.ExpiresAt != nil && !e.ExpiresAt.After(f.now), conditionOf(o.Status.Conditions, v1alpha1.ConditionProgrammed), e.Reason,
			})
		}
	}
	return f.format.Value(cmd.OutOrStdout(), all, func(w io.Writer, look output.Look) {
		if len(all) == 0 {
			fmt.Fprintln(w, "nothing is taken back")
			return
		}
		table := output.NewTable("OBJECT", "ISSUER", "BY", "VALUE", "ISSUED BEFORE", "UNTIL", "IN FORCE", "REASON")
		for _, e := range all {
			table.Row(output.Text(e.Namespace+"/"+e.Object), output.Text(e.Issuer), output.Text(e.Kind), output.Text(e.Value),
				output.Text(moment(e.IssuedBefore, "any time")), output.Text(moment(e.ExpiresAt, "undone")), inForce(&e), output.Text(e.Reason))
		}
		table.Write(w, look)
	})
}

func inForce(e *listed) output.Cell {
	switch {
	case e.Over:
		return output.Cell{Text: "over", Style: output.Faint}
	case e.Programmed == "True":
		return output.Cell{Text: "yes", Style: output.Good}
	}
	return output.Cell{Text: "not everywhere", Style: output.Warn}
}

func moment(t *policy.Time, none string) string {
	if t == nil {
		return none
	}
	return t.UTC().Format(time.RFC3339)
}
