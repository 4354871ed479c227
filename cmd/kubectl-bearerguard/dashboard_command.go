package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/cluster"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/dashboard"
)

const dashboardLong = `Serve a page of this machine that shows what guards the cluster: what is not as it should be and what to do about it, each
policy with its sidecars, keys and refusals, what is refused now and why, and the explanation of a request. The playground
is one of its pages.

It shows what you may read, by your kubeconfig, and changes nothing. Without the right to create pods/portforward there are
no refusals, and no sidecar explains anything. Sidecars are asked only while somebody looks, some at a time.

It is served to this machine alone, at an address that nobody else can guess, until Ctrl-C. Nothing is fetched from
elsewhere.`

const dashboardExample = `  # The namespace of the context. Open the address that is printed.
  kubectl bearerguard dashboard

  # All namespaces of another cluster.
  kubectl bearerguard dashboard -A --context prod

  # From a machine without a browser: have ssh -L 8089:127.0.0.1:8089 lead to it.
  kubectl bearerguard dashboard -n shop --address 127.0.0.1:8089`

func newDashboard(now func() time.Time) *cobra.Command {
	var address string
	var f *cluster.Flags
	cmd := &cobra.Command{
		Use:     "dashboard",
		Short:   "Serve a page that shows what is guarded, what is refused, and why",
		Long:    dashboardLong,
		Example: dashboardExample,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			source, about, err := clusterOf(f)
			if err != nil {
				return err
			}
			w := dashboard.NewWatcher(source, about, now)
			go w.Run(cmd.Context())
			secret := dashboard.NewSecret()
			return servePage(cmd, address, "/"+secret+"/", w.Handler(secret))
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&address, "address", "127.0.0.1:8089", "`address` of this machine's loopback to serve at; port 0 takes any that is free")
	f = cluster.AddFlags(cmd, cluster.AnyNamespaces)
	return cmd
}

// clusterOf is the cluster that flags name. Nothing is asked of it yet.
func clusterOf(f *cluster.Flags) (*dashboard.Cluster, dashboard.About, error) {
	var about dashboard.About
	config, err := f.Config()
	if err != nil {
		return nil, about, err
	}
	c, err := f.Client()
	if err != nil {
		return nil, about, err
	}
	if about.Namespace, err = f.Namespace(); err != nil {
		return nil, about, err
	}
	about.Context = f.Context()
	return &dashboard.Cluster{Client: c, Config: config, Namespace: about.Namespace}, about, nil
}
