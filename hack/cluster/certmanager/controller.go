package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	logsapi "k8s.io/component-base/logs/api/v1"

	"github.com/cert-manager/cert-manager/pkg/controller"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/approver" // this and the others register themselves
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/ca"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/selfsigned"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/issuing"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/keymanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/readiness"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/requestmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/revisionmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/trigger"
	_ "github.com/cert-manager/cert-manager/pkg/controller/clusterissuers"
	_ "github.com/cert-manager/cert-manager/pkg/controller/issuers"
	"github.com/cert-manager/cert-manager/pkg/healthz"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/ca"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/selfsigned"
	"github.com/cert-manager/cert-manager/pkg/logs"
	"github.com/cert-manager/cert-manager/pkg/server"
)

// controllerFlags are those that the chart sets, and those that a process outside of a cluster needs.
type controllerFlags struct {
	issuers, lease     string // namespaces: of ClusterIssuers' Secrets, and of the Lease
	kubeconfig, health string
}

// runController issues certificates, by authorities of the cluster's own (CA, SelfSigned) alone: ACME, Vault and Venafi are not linked in.
func runController(ctx context.Context, fs *pflag.FlagSet, args []string) error {
	var f controllerFlags
	fs.StringVar(&f.issuers, "cluster-resource-namespace", "kube-system", "namespace of ClusterIssuers' Secrets")
	fs.StringVar(&f.lease, "leader-election-namespace", "kube-system", "namespace of the Lease")
	fs.StringVar(&f.kubeconfig, "kubeconfig", "", "how to reach the API server; empty: as a pod does")
	fs.StringVar(&f.health, "internal-healthz-listen-address", "0.0.0.0:9403", "where probes ask")
	fs.String("acme-http01-solver-image", "", "not used: there is no ACME issuer here")
	fs.Int("max-concurrent-challenges", 60, "not used: there is no ACME issuer here")
	if err := parse(fs, args); err != nil {
		return err
	}
	factory, err := controller.NewContextFactory(ctx, controllerOptions(f))
	if err != nil {
		return fmt.Errorf("make the controllers' context: %w", err)
	}
	base, err := factory.Build()
	if err != nil {
		return fmt.Errorf("make the controllers' context: %w", err)
	}
	live, err := server.Listen(ctx, "tcp", f.health)
	if err != nil {
		return fmt.Errorf("listen for probes: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	health := healthz.NewServer(20 * time.Second)
	g.Go(func() error { return health.Start(ctx, live) })
	leads, err := elect(ctx, g, f, base, health.LeaderHealthzAdaptor)
	if err != nil {
		return err
	}
	select {
	case <-leads:
	case <-ctx.Done():
		return g.Wait()
	}
	if err := startControllers(ctx, g, factory); err != nil {
		return err
	}
	base.SharedInformerFactory.Start(ctx.Done())
	base.KubeSharedInformerFactory.Start(ctx.Done())
	base.HTTP01ResourceMetadataInformersFactory.Start(ctx.Done())
	return g.Wait()
}

// parse reads a command's flags, and sets logging up by those that every command has.
func parse(fs *pflag.FlagSet, args []string) error {
	c := logsapi.NewLoggingConfiguration()
	logs.AddFlags(c, fs)
	if err := fs.Parse(args); err != nil {
		return err
	}
	return logs.ValidateAndApply(c)
}

// controllerOptions are the release's defaults.
func controllerOptions(f controllerFlags) controller.ContextOptions {
	return controller.ContextOptions{
		Kubeconfig: f.kubeconfig, KubernetesAPIQPS: 20, KubernetesAPIBurst: 50,
		IssuerOptions: controller.IssuerOptions{ClusterResourceNamespace: f.issuers},
		CertificateOptions: controller.CertificateOptions{
			CopiedAnnotationPrefixes:                 []string{"*", "-kubectl.kubernetes.io/", "-fluxcd.io/", "-argocd.argoproj.io/"},
			CertificateRequestMinimumBackoffDuration: time.Hour,
			CertificateRequestMaximumBackoffDuration: 32 * time.Hour,
		},
	}
}

// elect returns a channel that is closed when this process leads. g ends when it leads no more.
func elect(ctx context.Context, g *errgroup.Group, f controllerFlags, base *controller.Context, health *leaderelection.HealthzAdaptor) (<-chan struct{}, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("name this process: %w", err)
	}
	lock, err := resourcelock.New(resourcelock.LeasesResourceLock, f.lease, "cert-manager-controller",
		base.Client.CoreV1(), base.Client.CoordinationV1(), resourcelock.ResourceLockConfig{Identity: host, EventRecorder: base.Recorder})
	if err != nil {
		return nil, fmt.Errorf("make the Lease: %w", err)
	}
	leads := make(chan struct{})
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: lock, LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod,
		ReleaseOnCancel: true, WatchDog: health,
		Callbacks: leaderelection.LeaderCallbacks{OnStartedLeading: func(context.Context) { close(leads) }, OnStoppedLeading: func() {}},
	})
	if err != nil {
		return nil, fmt.Errorf("elect a leader: %w", err)
	}
	g.Go(func() error {
		elector.Run(ctx)
		return errors.New("this process leads no more")
	})
	return leads, nil
}

// startControllers starts all that are linked in.
func startControllers(ctx context.Context, g *errgroup.Group, factory *controller.ContextFactory) error {
	const workers = 5
	for name, build := range controller.Known() {
		one, err := build(factory)
		if err != nil {
			return fmt.Errorf("make controller %s: %w", name, err)
		}
		g.Go(func() error { return one.Run(workers, ctx) })
	}
	return nil
}
