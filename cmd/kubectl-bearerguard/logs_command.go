package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/cluster"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
	"github.com/bearerguard/bearerguard/controllers/inject"
)

const logsLong = `Show the decision log of a pod, of a workload's pods, or of all guarded pods of the namespace, in the order of time.

Refusals are logged, up to 10 a second for each reason, and what is let through if log-allow-every says so. No line has a
token, or the value of a claim.`

const logsExample = `  # Who is refused just now?
  bearerguard logs deploy/orders -n shop --decision deny --follow

  # What failed a rule within the last hour?
  bearerguard logs -n shop --reason NoRule --reason InsufficientScope --since 1h

  # One request.
  bearerguard logs -n shop --request-id 0b9d1f0a6c1e4a539d3e1b6a0c8f7e21 -o json`

type logsFlags struct {
	cluster                       *cluster.Flags
	reasons, rules, policies, ids []string
	decision                      string
	since                         time.Duration
	tail                          int64
	follow                        bool
	format                        output.Format
}

func newLogs() *cobra.Command {
	var f logsFlags
	cmd := &cobra.Command{
		Use:     "logs [" + cluster.Target + "]",
		Short:   "Show the decision log of a workload, across its pods",
		Long:    logsLong,
		Example: logsExample,
		Args:    oneTarget,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd, strings.Join(args, ""))
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.decision, "decision", "", "allow or deny")
	flags.StringArrayVar(&f.reasons, "reason", nil, "`reason`, such as NoRule; repeatable")
	flags.StringArrayVar(&f.policies, "policy", nil, "`name` of the policy that decided, or came nearest, also as namespace/name; repeatable")
	flags.StringArrayVar(&f.rules, "rule", nil, "`name` of the rule that decided, or came nearest; repeatable")
	flags.StringArrayVar(&f.ids, "request-id", nil, "`id` of a request; repeatable")
	flags.DurationVar(&f.since, "since", 0, "only what is newer than this, such as 1h")
	flags.Int64Var(&f.tail, "tail", -1, "so many `lines` of each pod are looked at, from the end; -1: all")
	flags.BoolVarP(&f.follow, "follow", "f", false, "go on with what comes")
	_ = cmd.RegisterFlagCompletionFunc("decision", cobra.FixedCompletions([]string{"allow", "deny"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("reason", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var all []string
		for _, r := range decision.Reasons() {
			all = append(all, string(r))
		}
		return all, cobra.ShellCompDirectiveNoFileComp
	})
	output.AddFlag(cmd, &f.format, output.FormatText, output.FormatJSON)
	f.cluster = cluster.AddFlags(cmd, cluster.AnyNamespaces)
	return cmd
}

// record is a line of the decision log.
type record struct {
	Time      time.Time `json:"time"`
	Message   string    `json:"msg"`
	RequestID string    `json:"requestID"`
	Decision  string    `json:"decision"`
	Reason    string    `json:"reason"`
	Cause     string    `json:"cause"`
	Policy    string    `json:"policy"`
	Rule      string    `json:"rule"`
	Method    string    `json:"method"`
	Host      string    `json:"host"`
	Path      string    `json:"path"`
	Remote    string    `json:"remote"`
	Failed    string    `json:"failed"`

	NearestPolicy string `json:"nearestPolicy"`
	NearestRule   string `json:"nearestRule"`

	namespace, pod string
	line           []byte
}

func (f *logsFlags) run(cmd *cobra.Command, target string) error {
	if err := f.check(); err != nil {
		return err
	}
	progress := output.NewProgress(cmd.ErrOrStderr(), "looking for pods")
	defer progress.Done()
	c, err := f.cluster.Client()
	if err != nil {
		return err
	}
	namespace, err := f.cluster.Namespace()
	if err != nil {
		return err
	}
	if namespace == "" && target != "" {
		return errors.New("--all-namespaces goes without a pod or workload")
	}
	pods, err := cluster.Pods(cmd.Context(), c, namespace, target)
	if err != nil {
		return err
	}
	with := slices.DeleteFunc(slices.Clone(pods), func(p corev1.Pod) bool { return !cluster.HasSidecar(&p) })
	if len(with) == 0 {
		return noSidecar(target, namespace, pods)
	}
	clients, err := f.cluster.Kubernetes()
	if err != nil {
		return err
	}
	progress.Step(fmt.Sprintf("reading the logs of %d pods", len(with)))
	w := cmd.OutOrStdout()
	show := func(r record) error { return f.write(w, output.LookOf(w, os.Getenv), r) }
	if f.follow {
		progress.Done()
		return f.stream(cmd.Context(), clients, with, show)
	}
	var all []record
	var mu sync.Mutex
	err = f.stream(cmd.Context(), clients, with, func(r record) error {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, r)
		return nil
	})
	progress.Done()
	slices.SortStableFunc(all, func(a, b record) int { return a.Time.Compare(b.Time) })
	for _, r := range all {
		if err := show(r); err != nil {
			return err
		}
	}
	return err
}

// check holds the flags to what there is: a reason with a slip of the pen would just find nothing.
func (f *logsFlags) check() error {
	if f.decision != "" && f.decision != "allow" && f.decision != "deny" {
		return fmt.Errorf("--decision: %q is neither allow nor deny", f.decision)
	}
	for _, reason := range f.reasons {
		if !slices.Contains(decision.Reasons(), decision.Reason(reason)) {
			return fmt.Errorf("--reason: %q is none; docs/reasons.md lists them", reason)
		}
	}
	return nil
}

// stream reads the logs of pods at once and calls show for each line that is wanted, one at a time.
func (f *logsFlags) stream(ctx context.Context, clients kubernetes.Interface, pods []corev1.Pod, show func(record) error) error {
	var wait sync.WaitGroup
	var mu sync.Mutex
	errs := make([]error, len(pods))
	for i := range pods {
		wait.Go(func() {
			errs[i] = f.read(ctx, clients, &pods[i], func(r record) error {
				mu.Lock()
				defer mu.Unlock()
				return show(r)
			})
		})
	}
	wait.Wait()
	if ctx.Err() == nil {
		return errors.Join(errs...)
	}
	return nil // the user has seen enough
}

// mostLine is how long a line may be, in bytes; a decision has some 4 KiB at most.
const mostLine = 64 << 10

func (f *logsFlags) read(ctx context.Context, clients kubernetes.Interface, pod *corev1.Pod, show func(record) error) error {
	options := &corev1.PodLogOptions{Container: inject.SidecarName, Follow: f.follow}
	if f.since > 0 {
		seconds := max(1, int64(f.since/time.Second))
		options.SinceSeconds = &seconds
	}
	if f.tail >= 0 {
		options.TailLines = &f.tail
	}
	body, err := clients.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, options).Stream(ctx)
	if err != nil {
		return fmt.Errorf("pod %s: %w", pod.Name, err)
	}
	defer func() { _ = body.Close() }()
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, mostLine)
	for lines.Scan() {
		r := record{namespace: pod.Namespace, pod: pod.Name}
		if json.Unmarshal(lines.Bytes(), &r) != nil || r.Message != "request decided" || !f.wants(&r) {
			continue
		}
		r.line = slices.Clone(lines.Bytes())
		if err := show(r); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("pod %s: %w", pod.Name, err)
	}
	return nil
}

// wants reports whether a line is one that was asked for.
func (f *logsFlags) wants(r *record) bool {
	among := func(wanted []string, has ...string) bool {
		return len(wanted) == 0 || slices.ContainsFunc(has, func(s string) bool { return s != "" && slices.Contains(wanted, s) })
	}
	_, policy, _ := strings.Cut(r.Policy, "/")
	_, nearest, _ := strings.Cut(r.NearestPolicy, "/")
	return (f.decision == "" || r.Decision == f.decision) && among(f.reasons, r.Reason) && among(f.ids, r.RequestID) &&
		among(f.rules, r.Rule, r.NearestRule) && among(f.policies, r.Policy, policy, r.NearestPolicy, nearest)
}

// write writes a line: for people, or as it is in the log with the pod's name.
func (f *logsFlags) write(w io.Writer, look output.Look, r record) error {
	if f.format.String() == output.FormatJSON {
		names, err := json.Marshal(map[string]string{"namespace": r.namespace, "pod": r.pod})
		if err != nil {
			return err
		}
		var line bytes.Buffer
		if err := json.Compact(&line, r.line); err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "%s,%s\n", output.EscapeJSON(names[:len(names)-1]), output.EscapeJSON(line.Bytes()[1:]))
		return err
	}
	verdict := look.Paint(output.Good, "allow")
	if r.Decision == "deny" {
		verdict = look.Paint(output.Bad, "deny ")
	}
	rule := r.Rule
	if rule == "" && r.NearestRule != "" {
		rule = "near " + r.NearestRule
	}
	why := r.Cause
	if why == "" {
		why = r.Failed
	}
	text := fmt.Sprintf("%-18s %s %s from %s", r.Reason, r.Method, r.Path, r.Remote)
	if rule != "" {
		text += " (" + rule + ")"
	}
	if why != "" {
		text += ": " + why
	}
	output.Printf(w, "%s %s %s %s %s\n", r.Time.Local().Format("15:04:05.000"), look.Paint(output.Faint, r.pod), verdict, text, look.Paint(output.Faint, r.RequestID))
	return nil
}
