package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/convert"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/exit"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
)

const convertLong = `Turn the policies of another system into AuthPolicies, which go to standard output.

Reads, and tells apart by what is in the files:
- Istio: RequestAuthentication and AuthorizationPolicy. Give all of them that hold for an app at once, those of the mesh's
  root namespace too: what one allows, another may deny.
- Envoy Gateway: SecurityPolicy, with the routes that it is attached to and their Services, by which the pods are found; or
  say the pods with --selector.
- Kubernetes: AuthenticationConfiguration of the API server, for the pods of --selector. It says who users are, not what they
  may do, so nobody is let in until you add rules, or by --allow-authenticated.
- oauth2-proxy: containers of workloads, with the ConfigMap of their --config; a configuration file; or a command line. Tokens
  come over, logging in with a browser does not.
- kube-rbac-proxy: containers of workloads, with the ConfigMap of their --config-file, or a command line. Static rules come
  over, what the API server is asked about does not.
Files of two systems are refused: where both stood before an app, a request had to pass both.

Nothing is widened. What an AuthPolicy cannot say makes an allow rule fit less, or be left out, and a deny rule fit more;
where that is not possible, nothing is converted. Each line that did not come over as it was is named on standard error,
with the reason, and in a comment above the policies. Read these, and try the policies with "check", before they are used.

The exit code is 0 if everything came over, 2 if something was left out or is stricter, and 1 if nothing was converted.`

const convertExample = `  # The policies of an app, and those of the mesh that hold for it
  kubectl get requestauthentications,authorizationpolicies -n shop -o yaml > istio.yaml
  kubectl get requestauthentications,authorizationpolicies -n istio-system -o yaml > mesh.yaml
  bearerguard convert -f istio.yaml -f mesh.yaml > authpolicies.yaml

  # Envoy Gateway: with the route and its Service, which say which pods are meant; or with their labels
  kubectl get securitypolicies,httproutes,services -n shop -o yaml | bearerguard convert -f -
  bearerguard convert -f securitypolicy.yaml --selector app=orders

  # Kubernetes: the app of these pods takes the users that the API server knows
  bearerguard convert -f authentication.yaml --selector app=portal --allow-authenticated

  # oauth2-proxy: a sidecar with its ConfigMap; a configuration file; a command line
  kubectl get deployment/orders configmap/oauth2-proxy -n shop -o yaml | bearerguard convert -f -
  bearerguard convert -f oauth2-proxy.cfg --selector app=orders --client-id orders

  # kube-rbac-proxy, whose callers are service accounts of this cluster
  kubectl get deployment/exporter configmap/exporter-proxy -n monitoring -o yaml > exporter.yaml
  bearerguard convert -f exporter.yaml --cluster-issuer https://kubernetes.default.svc.cluster.local

  # What would not come over, for a program
  bearerguard convert -f istio.yaml -o json | jq '.notes[] | select(.effect != "Differs")'`

type convertFlags struct {
	files   []string
	options convert.Options
	output  output.Format
}

func newConvert() *cobra.Command {
	var f convertFlags
	cmd := &cobra.Command{
		Use:     "convert",
		Short:   "Turn policies of other systems into AuthPolicies",
		Long:    convertLong,
		Example: convertExample,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(f.files) == 0 {
				return fmt.Errorf("--filename: is missing; want a file or directory to convert")
			}
			manifests, err := readManifests(f.files, cmd.InOrStdin())
			if err != nil {
				return fmt.Errorf("--filename: %w", err)
			}
			var files []convert.File
			for _, m := range manifests {
				files = append(files, convert.File{Name: m.Name, Data: m.Data})
			}
			result, err := convert.Run(files, f.options)
			if err != nil {
				return fmt.Errorf("nothing is converted: %w", err)
			}
			return f.write(cmd, result)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVarP(&f.files, "filename", "f", nil, "`file` or directory to convert; repeatable (- reads standard input)")
	o := &f.options
	flags.StringVarP(&o.Namespace, "namespace", "n", "default", "namespace of objects that name none")
	flags.StringToStringVarP(&o.Selector, "selector", "l", nil, "`labels` of the app's pods, as key=value,..., where the files do not say which pods are meant")
	flags.StringVar(&o.RootNamespace, "root-namespace", "istio-system", "`namespace` of Istio whose policies hold in all others")
	flags.StringVar(&o.From, "from", "", "`program` that a command line of flags alone is for: oauth2-proxy or kube-rbac-proxy")
	flags.StringVar(&o.ClientID, "client-id", "", "`audience` of an OpenID provider's tokens, where oauth2-proxy has it from a Secret")
	flags.StringVar(&o.ClusterIssuer, "cluster-issuer", "", "`URL` of the cluster's service-account issuer, which kube-rbac-proxy asks the API server about")
	flags.BoolVar(&o.AllowAuthenticated, "allow-authenticated", false, "add a rule that lets in every user of an AuthenticationConfiguration")
	output.AddFlag(cmd, &f.output, output.FormatYAML, output.FormatJSON)
	return cmd
}

func (f *convertFlags) write(cmd *cobra.Command, r convert.Result) error {
	out := cmd.OutOrStdout()
	if f.output.String() == output.FormatJSON {
		if err := output.JSON(out, r); err != nil {
			return err
		}
	} else if err := convert.Write(out, r); err != nil {
		return err
	}
	lost := false
	for _, n := range r.Notes {
		lost = lost || n.Effect != convert.Differs
		output.Printf(cmd.ErrOrStderr(), "%s\n", n.String())
	}
	if len(r.Policies) == 0 {
		return errors.New("nothing is converted: the files hold no policy of a system that is known; want those that \"convert --help\" names")
	}
	if lost {
		return exit.ErrNo
	}
	return nil
}
