package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/admin"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/cluster"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/exit"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/fleet"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
)

const keySourcesLong = `Show where the keys of issuers are from, when they were last read, what is wrong with them, and which keys are in force.

The first table is what the controller has written into the policies' statuses. STATE is Current; Stale, if the source cannot be
read and the last good keys stay in use; or Missing, if there are none, and tokens of the issuer get 503. READ is to the hour
there; who may port-forward to the controller is told to the second, and when keys are fetched NEXT.

The second table is what a sidecar has in force: it is asked for each policy, by port-forward, as by "bearerguard explain".
THUMBPRINT is the SHA-256 thumbprint of the public key (RFC 7638). A secret has none, since it would help to guess it. ALG
"any" is a key that does not limit its algorithm. With --status-only nobody is asked.

The exit code is 0 if all keys are Current, 2 if some are not, and 1 for an error.`

const keySourcesExample = `  bearerguard keys -n shop

  # Which key signed this token? Its kid is in its header.
  bearerguard keys -n shop -o json | jq '.[].held[]? | select(.kid == "2026-11")'

  # Which of all are not as they should be?
  bearerguard keys -A --status-only -o json | jq '.[] | select(.state != "Current")'`

type keySourcesFlags struct {
	cluster    *cluster.Flags
	statusOnly bool
	format     output.Format
}

// keysReport is all keys, and what could not be asked.
type keysReport struct {
	keys   []fleet.Keys
	failed []string
}

// Of sidecars that are asked beside what the cluster itself knows: how many at most, and how long at most.
const (
	mostAsked  = 50
	askingTime = 20 * time.Second
)

func newKeySources(now func() time.Time) *cobra.Command {
	var f keySourcesFlags
	cmd := &cobra.Command{
		Use:     "keys",
		Short:   "Show the key sources of issuers, their age, their errors, and their keys",
		Long:    keySourcesLong,
		Example: keySourcesExample,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := f.gather(cmd)
			if err != nil {
				return err
			}
			if err := f.format.Value(cmd.OutOrStdout(), r.keys, func(w io.Writer, look output.Look) { f.write(w, look, &r, now()) }); err != nil {
				return err
			}
			complain(cmd.ErrOrStderr(), r.failed)
			for i := range r.keys {
				if r.keys[i].State != v1alpha1.KeysCurrent {
					return exit.ErrNo
				}
			}
			return nil
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().BoolVar(&f.statusOnly, "status-only", false, "go by the policies' statuses alone, and ask no sidecar")
	output.AddFlag(cmd, &f.format, output.FormatTable, output.FormatJSON, output.FormatYAML)
	f.cluster = cluster.AddFlags(cmd, cluster.AnyNamespaces)
	return cmd
}

// gather reads statuses and asks sidecars.
func (f *keySourcesFlags) gather(cmd *cobra.Command) (keysReport, error) {
	r := keysReport{keys: []fleet.Keys{}}
	c, err := f.cluster.Client()
	if err != nil {
		return r, err
	}
	progress := output.NewProgress(cmd.ErrOrStderr(), "asking the cluster")
	defer progress.Done()
	policies, err := policiesOf(cmd.Context(), c, f.cluster)
	if err != nil {
		return r, err
	}
	for i := range policies {
		r.keys = append(r.keys, fleet.KeysOf(&policies[i])...)
	}
	if f.statusOnly || len(r.keys) == 0 {
		return r, nil
	}
	namespace, err := f.cluster.Namespace()
	if err != nil {
		return r, err
	}
	pods, err := cluster.Pods(cmd.Context(), c, namespace, "")
	if err != nil {
		r.failed = append(r.failed, "no sidecar was asked for its keys: "+err.Error())
		return r, nil
	}
	config, err := f.cluster.Config()
	if err != nil {
		return r, err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), askingTime)
	defer cancel()
	r.ask(ctx, config, policies, pods, progress)
	r.askController(ctx, config, c, policies, namespace)
	return r, nil
}

// ask has sidecars tell which keys they have.
func (r *keysReport) ask(ctx context.Context, config *rest.Config, policies []v1alpha1.AuthPolicy, pods []corev1.Pod, progress *output.Progress) {
	asked, left := fleet.Holders(policies, pods, mostAsked)
	if left > 0 {
		r.failed = append(r.failed, fmt.Sprintf("%d sidecars were asked; for the keys of %d more policies ask one namespace at a time", len(asked), left))
	}
	answers := make([]fleet.HeldKeys, len(asked))
	errs := admin.Each(asked, func(done int) { progress.Step(fmt.Sprintf("asked %d of %d sidecars", done, len(asked))) }, func(i int) (err error) {
		answers[i], err = admin.Keys(ctx, config, &asked[i])
		return err
	})
	for i := range answers {
		answers[i].Add(r.keys)
	}
	for _, err := range errs {
		r.failed = append(r.failed, err.Error())
	}
}

// askController has the controller tell how its fetches go. Who has no right to ask it hears nothing of it: most have none.
func (r *keysReport) askController(ctx context.Context, config *rest.Config, c client.Client, policies []v1alpha1.AuthPolicy, namespace string) {
	pods, err := cluster.Controllers(ctx, c)
	if err != nil {
		return
	}
	var failed error
	for i := range pods {
		s, err := admin.SourcesOf(ctx, config, &pods[i], namespace)
		if err == nil {
			fleet.AddFetches(r.keys, policies, s.Sources)
			return
		}
		failed = err
	}
	if failed != nil && !errors.Is(failed, admin.ErrMayNot) {
		r.failed = append(r.failed, "when keys are fetched next is not known: "+failed.Error())
	}
}

// write writes the keys for people.
func (f *keySourcesFlags) write(w io.Writer, look output.Look, r *keysReport, now time.Time) {
	if len(r.keys) == 0 {
		fmt.Fprintln(w, "No policy here has an issuer.")
		return
	}
	table := output.NewTable("NAMESPACE", "POLICY", "ISSUER", "STATE", "KEYS", "READ", "NEXT", "WITHOUT", "SOURCE", "PROBLEM")
	held := output.NewTable("NAMESPACE", "POLICY", "ISSUER", "KID", "ALG", "TYPE", "USE", "THUMBPRINT")
	for i := range r.keys {
		sourceRow(table, &r.keys[i], now)
		heldRows(held, &r.keys[i])
	}
	if !f.cluster.AllNamespaces {
		table.Hide("NAMESPACE")
		held.Hide("NAMESPACE")
	}
	table.Write(w, look)
	if held.Len() > 0 {
		fmt.Fprintln(w)
		held.Write(w, look)
	}
}

// complain tells what could not be asked, on standard error, so that JSON and YAML stay whole.
func complain(w io.Writer, failed []string) {
	look := output.LookOf(w, os.Getenv)
	for _, text := range failed {
		output.Printf(w, "%s %s\n", look.Mark(output.Warn), text)
	}
}

// sourceRow is a source and how its reading goes.
func sourceRow(t *output.Table, k *fleet.Keys, now time.Time) {
	state := output.Cell{Text: string(k.State), Style: output.Good}
	switch k.State {
	case v1alpha1.KeysCurrent:
	case v1alpha1.KeysStale:
		state.Style = output.Warn
	case v1alpha1.KeysMissing:
		state.Style = output.Bad
	default:
		state = output.Cell{Text: "unknown", Style: output.Warn}
	}
	read, next, problem := "-", "-", k.Message
	if !k.Read().IsZero() {
		read = age(k.Age(now)) + " ago"
	}
	if f := k.Fetch; f != nil {
		if !f.Next.IsZero() {
			next = "in " + age(f.Next.Sub(now))
		}
		if problem == "" {
			problem = f.Error
		}
	}
	t.Row(output.Text(k.Namespace), output.Text(k.Policy), output.Text(k.Issuer), state, output.Count(int(k.Keys)), output.Text(read), output.Text(next),
		unwanted(k.PodsWithout, output.Bad), output.Text(k.Source), output.Cell{Text: problem, Style: output.Bad})
}

// heldRows are the keys that a sidecar has.
func heldRows(t *output.Table, k *fleet.Keys) {
	row := func(cells ...output.Cell) {
		t.Row(append([]output.Cell{output.Text(k.Namespace), output.Text(k.Policy), output.Text(k.Issuer)}, cells...)...)
	}
	for i := range k.Held {
		d := &k.Held[i]
		thumbprint := output.Text(d.Thumbprint)
		if d.Thumbprint == "" {
			thumbprint = output.Cell{Text: "not shown", Style: output.Faint}
		}
		row(orFaint(d.KeyID, "none"), orFaint(d.Algorithm, "any"), output.Text(keyType(d)), output.Text(d.Use), thumbprint)
	}
	if k.HeldBy != "" && len(k.Held) == 0 {
		row(output.Cell{Text: "no keys", Style: output.Bad})
	}
	if k.HeldMore > 0 {
		row(output.Cell{Text: fmt.Sprintf("and %d more", k.HeldMore), Style: output.Faint})
	}
}

// keyType names what a key is: "RSA 2048", "EC P-256", "secret".
func keyType(d *keyset.Description) string {
	switch {
	case d.Type == "oct":
		return "secret"
	case d.Bits > 0:
		return fmt.Sprintf("%s %d", d.Type, d.Bits)
	case d.Curve != "":
		return d.Type + " " + d.Curve
	}
	return d.Type
}

// orFaint is a text, or what stands for none.
func orFaint(text, none string) output.Cell {
	if text == "" {
		return output.Cell{Text: none, Style: output.Faint}
	}
	return output.Text(text)
}
