package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/admin"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/check"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/cluster"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/exit"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
	"github.com/bearerguard/bearerguard/sidecar/explain"
)

const explainLong = `Ask a running sidecar what becomes of a request, or what became of one.

With --request, the sidecar of the pod (of a workload, a ready one of its pods) judges the request by the rules that it has
in force, and explains each rule. Nothing is forwarded, logged, counted or remembered; no keys are fetched, and no issuer
is asked about an opaque token.

With --request-id, the sidecars of the pod, the workload or the namespace are asked what they remember under the id: it is
requestId in the body of a refusal, and its header X-Request-Id. Each keeps its last 1,000 refusals and a sample of what it
let through; of older ones, the decision log may have a line (bearerguard logs).

The way to the sidecar is the API server's port-forward, so you need the right to create pods/portforward.

The exit code is 0 if the request is let through, or was found; 2 if it is refused, or no sidecar remembers the id.`

const explainExample = `  # Why is this token refused? By the sidecar itself, with the keys and rules that it has now.
  bearerguard explain deploy/orders -n shop --request 'GET /orders/1' --token-file token.txt

  # What became of a request that a user complains about?
  bearerguard explain -n shop --request-id 0b9d1f0a6c1e4a539d3e1b6a0c8f7e21

  # A token from a pipe, to one pod, as JSON.
  get-token | bearerguard explain orders-7d9f-x2x4z --request 'POST /orders' --token-file - -o json`

type explainFlags struct {
	checkFlags
	cluster       *cluster.Flags
	tokenFile, id string
	portSet       bool
}

func newExplain(now func() time.Time) *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:     "explain [" + cluster.Target + "]",
		Short:   "Ask a running sidecar why a request is let through or refused",
		Long:    explainLong,
		Example: explainExample,
		Args:    oneTarget,
		RunE: func(cmd *cobra.Command, args []string) error {
			target := strings.Join(args, "")
			if f.request == "" && f.id == "" {
				return errors.New("want --request 'GET /orders/1' for a request that might be, or --request-id for one that has been")
			}
			f.portSet = cmd.Flags().Changed("port")
			if f.id != "" {
				return f.find(cmd, target, now)
			}
			return f.explain(cmd, target, now)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.request, "request", "", "`request`: METHOD and path or URL, such as 'GET /orders/1'")
	flags.StringVar(&f.tokenFile, "token-file", "", "`file` with the token for Authorization: Bearer, also with that text before it (- reads standard input)")
	flags.StringArrayVarP(&f.header, "header", "H", nil, "another header, as 'Name: value'; repeatable")
	flags.StringVarP(&f.data, "data", "d", "", "`body` of the request, which rules with mcp look at (@file reads a file, @- standard input)")
	flags.IntVar(&f.port, "port", 0, "port that the client dials (default: the first that the pod names)")
	flags.StringVar(&f.remote, "remote", check.DefaultRemote, "address of the client")
	flags.StringVar(&f.id, "request-id", "", "`id` of a request that has been")
	for _, name := range []string{"request", "token-file", "header", "data", "port", "remote"} {
		cmd.MarkFlagsMutuallyExclusive("request-id", name)
	}
	output.AddFlag(cmd, &f.output, output.FormatText, output.FormatJSON, output.FormatYAML)
	f.cluster = cluster.AddFlags(cmd, cluster.AnyNamespaces)
	return cmd
}

// explain has a sidecar explain a request.
func (f *explainFlags) explain(cmd *cobra.Command, target string, now func() time.Time) error {
	if target == "" {
		return errors.New("name a pod or a workload, such as deploy/orders")
	}
	q, err := f.question(cmd.InOrStdin())
	if err != nil {
		return err
	}
	progress := output.NewProgress(cmd.ErrOrStderr(), "looking for pods")
	defer progress.Done()
	pods, err := f.guarded(cmd.Context(), target)
	if err != nil {
		return err
	}
	config, err := f.cluster.Config()
	if err != nil {
		return err
	}
	if !f.portSet {
		q.Port = cluster.AppPort(&pods[0])
	}
	progress.Step("asking the sidecar of " + pods[0].Name)
	e, err := admin.Explain(cmd.Context(), config, &pods[0], q)
	if err != nil {
		return err
	}
	progress.Done()
	if err := f.output.Value(cmd.OutOrStdout(), e, func(w io.Writer, look output.Look) {
		line := "pod " + e.Pod + " of " + e.Namespace
		if e.Snapshot != "" {
			line += fmt.Sprintf(", rules %.12s loaded %s ago", e.Snapshot, age(now().Sub(e.Built)))
		}
		output.Printf(w, "%s\n", look.Paint(output.Faint, line))
		e.Report.Text(w, look)
		advise(w, look, e.Report.Reason)
	}); err != nil {
		return err
	}
	if !e.Report.Allowed && !e.Report.Reason.Answered() {
		return exit.ErrNo
	}
	return nil
}

// question reads the request, its token and its header.
func (f *explainFlags) question(stdin io.Reader) (*explain.Question, error) {
	in := check.Input{Header: http.Header{}}
	if f.tokenFile != "" {
		text, err := readFile(f.tokenFile, stdin)
		if err != nil {
			return nil, fmt.Errorf("--token-file: %w", err)
		}
		f.token = strings.TrimSpace(string(text))
		if f.token == "" {
			return nil, errors.New("--token-file: is empty")
		}
	}
	for _, step := range []func(*check.Input, io.Reader) error{f.readRequest, f.readHeader, f.readOrigin} {
		if err := step(&in, stdin); err != nil {
			return nil, err
		}
	}
	return &explain.Question{
		Method: in.Method, Target: in.Target, Host: in.Host, Header: in.Header, Body: in.Body, Port: f.port, Remote: in.Remote,
	}, nil
}

// guarded returns the pods of a target whose sidecar runs, ready ones first; at least one.
func (f *explainFlags) guarded(ctx context.Context, target string) ([]corev1.Pod, error) {
	c, err := f.cluster.Client()
	if err != nil {
		return nil, err
	}
	namespace, err := f.cluster.Namespace()
	if err != nil {
		return nil, err
	}
	if namespace == "" && target != "" {
		return nil, errors.New("--all-namespaces goes with --request-id alone, and without a pod or workload")
	}
	pods, err := cluster.Pods(ctx, c, namespace, target)
	if err != nil {
		return nil, err
	}
	running := cluster.Guarded(pods)
	if len(running) == 0 {
		return nil, noSidecar(target, namespace, pods)
	}
	return running, nil
}

// noSidecar says why nobody can be asked.
func noSidecar(target, namespace string, pods []corev1.Pod) error {
	what := target
	if what == "" {
		what = "namespace " + namespace
	}
	switch {
	case len(pods) == 0:
		return fmt.Errorf("%s has no pods", what)
	case !slices.ContainsFunc(pods, func(p corev1.Pod) bool { return cluster.HasSidecar(&p) }):
		return fmt.Errorf("no pod of %s has a sidecar; docs/injection.md says when pods get one", what)
	}
	return fmt.Errorf("no sidecar of %s runs; see: kubectl describe pod -n %s %s", what, namespace, pods[0].Name)
}

// found is what sidecars remember of a request.
type found struct {
	Requests []admin.Request `json:"requests"`
	// Asked is how many sidecars were asked, Failed what kept others from answering.
	Asked  int      `json:"asked"`
	Failed []string `json:"failed,omitempty"`
}

// find asks sidecars what they remember under an id.
func (f *explainFlags) find(cmd *cobra.Command, target string, now func() time.Time) error {
	progress := output.NewProgress(cmd.ErrOrStderr(), "looking for pods")
	defer progress.Done()
	pods, err := f.guarded(cmd.Context(), target)
	if err != nil {
		return err
	}
	config, err := f.cluster.Config()
	if err != nil {
		return err
	}
	all := make([][]admin.Request, len(pods))
	errs := admin.Each(pods, func(done int) { progress.Step(fmt.Sprintf("asked %d of %d sidecars", done, len(pods))) }, func(i int) (err error) {
		all[i], err = admin.Requests(cmd.Context(), config, &pods[i], f.id)
		return err
	})
	progress.Done()
	out := found{Asked: len(pods), Requests: slices.Concat(all...)}
	for _, err := range errs {
		out.Failed = append(out.Failed, err.Error())
	}
	slices.SortStableFunc(out.Requests, func(a, b admin.Request) int { return b.Time.Compare(a.Time) })
	if err := f.output.Value(cmd.OutOrStdout(), out, func(w io.Writer, look output.Look) { out.text(w, look, f.id, now()) }); err != nil {
		return err
	}
	switch {
	case len(out.Requests) > 0:
		return nil
	case len(out.Failed) > 0:
		return fmt.Errorf("%d of %d sidecars could not be asked", len(out.Failed), len(pods))
	}
	return exit.ErrNo
}

// text writes what was found for people.
func (f *found) text(w io.Writer, look output.Look, id string, now time.Time) {
	for i := range f.Requests {
		if i > 0 {
			fmt.Fprintln(w)
		}
		writeRequest(w, look, &f.Requests[i], now)
	}
	if len(f.Requests) == 0 {
		output.Printf(w, "None of %d sidecars remembers a request %s.\n", f.Asked-len(f.Failed), id)
		fmt.Fprintln(w, "  It may be older than their memory, or they have been restarted since. Look into the decision log:")
		output.Printf(w, "  bearerguard logs --request-id %s\n", id)
	}
	for _, text := range f.Failed {
		output.Printf(w, "%s %s\n", look.Mark(output.Warn), text)
	}
}

// writeRequest writes a request that a sidecar remembers, for people.
func writeRequest(w io.Writer, look output.Look, r *admin.Request, now time.Time) {
	verdict := look.Paint(output.Good, "LET THROUGH")
	if r.Decision == "deny" {
		verdict = look.Paint(output.Bad, "REFUSED")
	}
	output.Printf(w, "%s  %s%s\n", verdict, r.Reason, check.By(r.Policy, r.Rule))
	output.Printf(w, "  %s ago, at %s, in pod %s of %s\n", age(now.Sub(r.Time)), r.Time.Format(time.RFC3339), r.Pod, r.Namespace)
	request := strings.TrimSpace(r.Method + " " + r.Path)
	for _, part := range []struct{ before, text string }{{" of ", r.Host}, {" from ", r.Remote}} {
		if part.text != "" {
			request += part.before + part.text
		}
	}
	for _, line := range []struct{ name, text string }{
		{"request", request}, {"because", r.Cause}, {"issuer entry", r.IssuerEntry}, {"audiences", strings.Join(r.Audiences, ", ")},
		{"kid", r.KeyID}, {"nearest", strings.TrimPrefix(check.By(r.NearestPolicy, r.NearestRule), ", by ")}, {"failed", r.Failed},
	} {
		if line.text != "" {
			output.Printf(w, "  %s: %s\n", line.name, line.text)
		}
	}
	for _, a := range r.Audit {
		output.Printf(w, "  audit policy %s would say: %s%s\n", a.Policy, a.Reason, check.By("", a.Rule))
	}
	advise(w, look, r.Reason)
}
