package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/exit"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/preview"
	"github.com/bearerguard/bearerguard/controllers/inject"
)

const injectLong = `Show what admission would make of manifests, by the webhooks' own functions, without a cluster.

A workload is shown with its pods' sidecar in its template. In the cluster the template stays as it is, and each pod gets
the sidecar when it is made; so this is to be read, not to be applied. A namespace counts as the files have it, or with the
labels of --namespace-label.

How sidecars are is the controller's to say; the defaults are the chart's.

The exit code is 2 if something would be refused. Files without a pod or a workload are an error.`

const injectExample = `  bearerguard inject -f deployment.yaml --namespace-label bearerguard.dev/inject=enabled
  kubectl -n shop get deployments -o yaml | bearerguard inject -f - --diff

  # Would anything be refused?
  bearerguard inject -f manifests/ --check`

type injectFlags struct {
	files, labels, sidecarFlags           []string
	namespace, release, domain            string
	image, cpu, cpuLimit, memory, memoryL string
	user, group                           string
	diff, check                           bool
}

// chartImage is where the chart takes images from.
const chartImage = "ghcr.io/bearerguard/bearerguard"

func newInject() *cobra.Command {
	var f injectFlags
	var format output.Format
	cmd := &cobra.Command{
		Use:     "inject",
		Short:   "Show what admission would make of manifests",
		Long:    injectLong,
		Example: injectExample,
		Args:    noArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.run(cmd, &format) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVarP(&f.files, "filename", "f", nil, "`file` or directory with manifests; repeatable (- reads standard input)")
	flags.BoolVar(&f.diff, "diff", false, "show what is changed instead")
	flags.BoolVar(&f.check, "check", false, "say what would be injected, skipped and refused instead")
	flags.StringVarP(&f.namespace, "namespace", "n", "default", "namespace of objects that name none")
	flags.StringArrayVar(&f.labels, "namespace-label", nil, "label `name=value` of namespaces that are not among the files; repeatable")
	flags.StringVar(&f.image, "image", "", "image of the sidecar (default: "+chartImage+", of this version)")
	flags.StringVar(&f.cpu, "cpu", "20m", "CPU that the sidecar requests")
	flags.StringVar(&f.cpuLimit, "cpu-limit", "", "its CPU limit (default: none)")
	flags.StringVar(&f.memory, "memory", "32Mi", "memory that it requests")
	flags.StringVar(&f.memoryL, "memory-limit", "128Mi", "its memory limit")
	flags.StringVar(&f.user, "run-as-user", "65532", "user id of its process; empty: the platform gives it")
	flags.StringVar(&f.group, "run-as-group", "65532", "group id of its process")
	flags.StringArrayVar(&f.sidecarFlags, "sidecar-flag", nil, "flag `name=value` of sidecars where neither pod nor namespace says; repeatable")
	flags.StringVar(&f.release, "release-namespace", "bearerguard-system", "namespace of the controller")
	flags.StringVar(&f.domain, "cluster-domain", "", "the cluster's DNS domain, where the chart has one")
	cmd.MarkFlagsMutuallyExclusive("diff", "check")
	output.AddFlag(cmd, &format, output.FormatYAML, output.FormatJSON)
	return cmd
}

func (f *injectFlags) run(cmd *cobra.Command, format *output.Format) error {
	if len(f.files) == 0 {
		return fmt.Errorf("--filename: is missing; want a file or directory with manifests")
	}
	o, err := f.options()
	if err != nil {
		return err
	}
	files, err := readManifests(f.files, cmd.InOrStdin())
	if err != nil {
		return fmt.Errorf("--filename: %w", err)
	}
	outcomes, err := preview.Run(files, o)
	if err != nil {
		return err
	}
	if preview.Count(outcomes, preview.Unconcerned) == len(outcomes) {
		return errors.New("--filename: the files hold nothing that has pods; want a Pod, or a workload such as a Deployment")
	}
	w := cmd.OutOrStdout()
	look := output.LookOf(w, os.Getenv)
	switch {
	case format.String() == output.FormatJSON:
		err = output.JSON(w, outcomes)
	case f.check:
		preview.Table(w, look, outcomes)
	case f.diff:
		err = preview.Diff(w, look, outcomes)
	default:
		preview.YAML(w, outcomes)
	}
	if err == nil && preview.Count(outcomes, preview.Refused) > 0 {
		return exit.ErrNo
	}
	return err
}

// options reads the flags as the controller does.
func (f *injectFlags) options() (o preview.Options, err error) {
	o.Namespace = f.namespace
	if o.NamespaceLabels, err = pairs("--namespace-label", f.labels); err != nil {
		return o, err
	}
	c := &o.Inject
	if f.image == "" {
		f.image = chartImage + ":" + versionText()
	}
	c.Image, c.Version, c.LogLevel = f.image, versionText(), "info"
	c.PushAddress, c.PushServerName = inject.PushService(f.release, f.domain)
	c.ExcludedNamespaces = []string{f.release, "kube-system", "kube-public", "kube-node-lease"}
	if c.Flags, err = pairs("--sidecar-flag", f.sidecarFlags); err != nil {
		return o, err
	}
	for _, q := range []struct {
		flag, text string
		into       *resource.Quantity
	}{{"--cpu", f.cpu, &c.CPU}, {"--cpu-limit", f.cpuLimit, &c.CPULimit}, {"--memory", f.memory, &c.Memory}, {"--memory-limit", f.memoryL, &c.MemoryLimit}} {
		if q.text == "" {
			continue
		}
		if *q.into, err = resource.ParseQuantity(q.text); err != nil {
			return o, fmt.Errorf("%s: %q is no quantity; want such as 50m or 64Mi", q.flag, q.text)
		}
	}
	for _, id := range []struct {
		flag, text string
		into       **int64
	}{{"--run-as-user", f.user, &c.RunAsUser}, {"--run-as-group", f.group, &c.RunAsGroup}} {
		if id.text == "" || f.user == "" {
			continue
		}
		n, err := strconv.ParseInt(id.text, 10, 64)
		if err != nil {
			return o, fmt.Errorf("%s: %q is no id; want a number, or nothing", id.flag, id.text)
		}
		*id.into = &n
	}
	return o, c.Validate()
}

// pairs reads name=value entries of a flag.
func pairs(flag string, entries []string) (map[string]string, error) {
	out := map[string]string{}
	for _, e := range entries {
		name, value, ok := strings.Cut(e, "=")
		if _, twice := out[name]; !ok || twice {
			return nil, fmt.Errorf("%s: %q is no name=value, or its name comes twice", flag, e)
		}
		out[name] = value
	}
	return out, nil
}
