package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/cluster"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/exit"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/suggest"
	"github.com/bearerguard/bearerguard/sidecar/source/manifest"
)

const suggestLong = `Suggest rules for an AuthPolicy in mode Audit, from the decision log of its sidecars: the least rules that let in what was seen.

The policy, with the rules that it has and those that are suggested, goes to standard output, still in mode Audit. It and the log come
from a workload in the cluster, or from files: the policy with --filename, and the log with --log (- is standard input).

A rule is for the methods and paths that were seen, and asks for the scopes that all tokens there had; the log tells these if the
pods have the annotation bearerguard.dev/log-scopes: "true". What looks like an identifier in a path (a number, a UUID, a hash)
becomes {id}; what is broader than what was seen is told. Requests without a token, or with one that is not taken, are listed, and
never let in.

The exit code is 0 if everything that was seen would be let in, 2 if some would not, and 1 if nothing could be suggested.`

const suggestExample = `  # What was seen by the pods of a workload, whose policy is in mode Audit
  bearerguard suggest deploy/orders -n shop > authpolicy.yaml

  # The same from files
  bearerguard suggest -f authpolicy.yaml --log sidecar.log > suggested.yaml
  kubectl logs -n shop -l app=orders -c bearerguard --tail=-1 | bearerguard suggest -f authpolicy.yaml --log -

  # Only what was seen ten times or more within a day; paths as they are, unless a segment is a UUID or a hash
  bearerguard suggest deploy/orders -n shop --since 24h --least 10 --numbers -1 --words -1`

type suggestFlags struct {
	cluster     *cluster.Flags
	files, logs []string
	policy      string
	since       time.Duration
	options     suggest.Options
	format      output.Format
}

func newSuggest() *cobra.Command {
	var f suggestFlags
	cmd := &cobra.Command{
		Use:     "suggest [" + cluster.Target + "]",
		Short:   "Suggest rules from what an Audit policy has seen",
		Long:    suggestLong,
		Example: suggestExample,
		Args:    oneTarget,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd, strings.Join(args, ""))
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	o := &f.options
	flags.StringArrayVarP(&f.files, "filename", "f", nil, "`file` or directory with the policy, in place of a workload's; repeatable")
	flags.StringArrayVar(&f.logs, "log", nil, "`file` with lines of sidecars' logs, others among them are passed over; repeatable (- reads standard input)")
	flags.StringVar(&f.policy, "policy", "", "`name` of the policy, also as namespace/name, if there are several in mode Audit")
	flags.DurationVar(&f.since, "since", 0, "only what a workload's pods have logged within this time, such as 1h")
	flags.IntVar(&o.Least, "least", 1, "leave out what was seen fewer `times`: a method at a path")
	flags.IntVar(&o.Identifiers, "identifiers", 1, "so many different UUIDs, hashes or long random `texts` make a segment of a path variable; -1: none do")
	flags.IntVar(&o.Numbers, "numbers", 2, "so many different `numbers`, or texts with a number, make a segment variable; -1: none do")
	flags.IntVar(&o.Words, "words", 50, "so many different other `texts` that are followed by the same make a segment variable; -1: none do")
	flags.StringSliceVar(&o.IgnoredScopes, "ignore-scopes", []string{"openid", "profile", "email", "address", "phone", "offline_access"}, "`scopes` that no rule asks for, separated by commas")
	flags.IntVar(&o.Alternatives, "alternatives", 4, "so many different `lists` of scopes with nothing in common become a rule each; of more, the rule asks for none")
	output.AddFlag(cmd, &f.format, output.FormatYAML, output.FormatJSON)
	f.cluster = cluster.AddFlags(cmd, cluster.OneNamespace)
	return cmd
}

func (f *suggestFlags) run(cmd *cobra.Command, target string) error {
	find := f.fromFiles
	switch {
	case target != "" && len(f.files)+len(f.logs) > 0:
		return errors.New("--filename and --log go without a workload: its policy and its log are in the cluster")
	case target != "":
		find = func(cmd *cobra.Command) (suggest.Subject, *suggest.Seen, error) { return f.fromCluster(cmd, target) }
	case len(f.files) == 0 || len(f.logs) == 0:
		return errors.New("want a workload, such as deploy/orders, or --filename with the policy and --log with its log")
	}
	o, seen, err := find(cmd)
	if err != nil {
		return err
	}
	if seen.Lines == seen.Others {
		return fmt.Errorf("none of %d lines is about %s: the log of a sidecar has lines with \"msg\":\"request decided\" and x-bearerguard-audit, in the format json, for requests that the policy would refuse",
			seen.Lines, o.ID())
	}
	result := suggest.Suggest(seen, &o.Spec, f.options)
	return f.write(cmd, suggest.NewReport(&o, seen, &result))
}

func (f *suggestFlags) write(cmd *cobra.Command, r suggest.Report) error {
	out := cmd.OutOrStdout()
	if f.format.String() == output.FormatJSON {
		if err := output.JSON(out, r); err != nil {
			return err
		}
	} else if err := r.Write(out); err != nil {
		return err
	}
	for _, line := range r.Text() {
		output.Printf(cmd.ErrOrStderr(), "%s\n", line)
	}
	if !r.Complete() {
		return exit.ErrNo
	}
	return nil
}

func (f *suggestFlags) fromFiles(cmd *cobra.Command) (o suggest.Subject, seen *suggest.Seen, err error) {
	namespace, err := f.cluster.Namespace()
	if err != nil {
		return o, nil, err
	}
	manifests, err := readManifests(f.files, cmd.InOrStdin())
	if err != nil {
		return o, nil, fmt.Errorf("--filename: %w", err)
	}
	set, err := manifest.ParseForCluster(manifests, namespace)
	if err != nil {
		return o, nil, fmt.Errorf("--filename: %w", err)
	}
	var all []suggest.Subject
	for _, p := range set.Policies {
		all = append(all, suggest.Subject{Object: p, NetworkPolicy: asksNetworkPolicy(manifests, p, namespace)})
	}
	if o, err = f.choose(all); err != nil {
		return o, nil, fmt.Errorf("--filename: %w", err)
	}
	seen = suggest.NewSeen(o.ID())
	for _, name := range f.logs {
		if err := readLog(name, cmd.InOrStdin(), seen); err != nil {
			return o, nil, fmt.Errorf("--log: %w", err)
		}
	}
	return o, seen, nil
}

// named is what tells an object of a file apart, and what a sidecar does not read of it.
type named struct {
	Metadata struct {
		Name      string `yaml:"name"`
		Namespace string `yaml:"namespace"`
	} `yaml:"metadata"`
	Spec struct {
		NetworkPolicy bool `yaml:"networkPolicy"`
	} `yaml:"spec"`
	Items []named `yaml:"items"`
}

// asksNetworkPolicy reports whether a policy of some files, which are known to be good, has networkPolicy: true.
func asksNetworkPolicy(files []manifest.File, p bundle.Object, namespace string) bool {
	for _, file := range files {
		for d := yaml.NewDecoder(bytes.NewReader(file.Data)); ; {
			var o named
			if d.Decode(&o) != nil {
				break
			}
			for _, o := range append(o.Items, o) {
				if o.Spec.NetworkPolicy && o.Metadata.Name == p.Name && cmp.Or(o.Metadata.Namespace, namespace) == p.Namespace {
					return true
				}
			}
		}
	}
	return false
}

func readLog(name string, stdin io.Reader, seen *suggest.Seen) error {
	if name == "-" {
		return seen.Read(stdin)
	}
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	return seen.Read(file)
}

// choose returns the policy that is meant: the one of the name, or the only one in mode Audit.
func (f *suggestFlags) choose(all []suggest.Subject) (suggest.Subject, error) {
	var names []string
	var found []suggest.Subject
	for _, o := range all {
		switch {
		case f.policy != "" && f.policy != o.Name && f.policy != o.ID():
		case f.policy == "" && o.Spec.Mode != policy.Audit && len(all) > 1:
		default:
			found = append(found, o)
		}
		names = append(names, o.ID())
	}
	switch {
	case len(all) == 0:
		return suggest.Subject{}, errors.New("there is no AuthPolicy")
	case len(found) == 0 && f.policy != "":
		return suggest.Subject{}, fmt.Errorf("there is no AuthPolicy %s; there are %s", f.policy, strings.Join(names, ", "))
	case len(found) == 0:
		return suggest.Subject{}, fmt.Errorf("none of the AuthPolicies %s is in mode Audit", strings.Join(names, ", "))
	case len(found) > 1:
		return suggest.Subject{}, fmt.Errorf("there are several AuthPolicies; give --policy with one of %s", strings.Join(names, ", "))
	}
	return found[0], suggest.Check(&found[0])
}

func (f *suggestFlags) fromCluster(cmd *cobra.Command, target string) (o suggest.Subject, seen *suggest.Seen, err error) {
	progress := output.NewProgress(cmd.ErrOrStderr(), "looking for pods")
	defer progress.Done()
	c, err := f.cluster.Client()
	if err != nil {
		return o, nil, err
	}
	namespace, err := f.cluster.Namespace()
	if err != nil {
		return o, nil, err
	}
	pods, err := cluster.Pods(cmd.Context(), c, namespace, target)
	if err != nil {
		return o, nil, err
	}
	with := slices.DeleteFunc(slices.Clone(pods), func(p corev1.Pod) bool { return !cluster.HasSidecar(&p) })
	if len(with) == 0 {
		return o, nil, noSidecar(target, namespace, pods)
	}
	policies, err := policiesThatSelect(cmd.Context(), c, namespace, with[0].Labels)
	if err != nil {
		return o, nil, err
	}
	if o, err = f.choose(policies); err != nil {
		return o, nil, fmt.Errorf("namespace %s: %w", namespace, err)
	}
	clients, err := f.cluster.Kubernetes()
	if err != nil {
		return o, nil, err
	}
	progress.Step(fmt.Sprintf("reading the logs of %d pods", len(with)))
	seen = suggest.NewSeen(o.ID())
	var mu sync.Mutex
	logs := logsFlags{since: f.since, tail: -1}
	err = logs.stream(cmd.Context(), clients, with, func(r record) error {
		mu.Lock()
		defer mu.Unlock()
		seen.Lines++
		if !seen.Add(bytes.TrimSpace(r.line)) {
			seen.Others++
		}
		return nil
	})
	return o, seen, err
}

// policiesThatSelect returns the policies that select pods with these labels.
func policiesThatSelect(ctx context.Context, c client.Client, namespace string, labels map[string]string) (out []suggest.Subject, err error) {
	var list v1alpha1.AuthPolicyList
	if err := c.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("list AuthPolicies: %w", err)
	}
	for i := range list.Items {
		p := &list.Items[i]
		if p.Spec.Selector.Matches(labels) {
			o := bundle.Object{Namespace: p.Namespace, Name: p.Name, Selector: p.Spec.Selector, Spec: p.Spec.Spec}
			out = append(out, suggest.Subject{Object: o, NetworkPolicy: p.Spec.NetworkPolicy})
		}
	}
	return out, nil
}
