package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	ctrlwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/bearerguard/bearerguard/api/logqueue"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/authpolicy"
	"github.com/bearerguard/bearerguard/controllers/certs"
	"github.com/bearerguard/bearerguard/controllers/keys"
	"github.com/bearerguard/bearerguard/controllers/preflight"
	"github.com/bearerguard/bearerguard/controllers/push"
	"github.com/bearerguard/bearerguard/controllers/registration"
	"github.com/bearerguard/bearerguard/controllers/revsource"
	"github.com/bearerguard/bearerguard/controllers/webhook"
)

// run puts the control plane together and runs it until ctx is done.
func run(ctx context.Context, c config, lines *logqueue.Queue) error {
	log, err := newLogger(c, lines)
	if err != nil {
		return err
	}
	setMemory(log)
	kube, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	if err := look(ctx, kube, log); err != nil {
		return err
	}
	lead, err := newLeader(kube, c)
	if err != nil {
		return err
	}
	hooks, health := newAdmission(c.webhookPort), newProbes()
	mgr, err := ctrl.NewManager(kube, managerOptions(c, lead, hooks, log))
	if err != nil {
		return err
	}
	tracer, err := addTraces(mgr, c, log)
	if err != nil {
		return err
	}
	serving, err := certs.Setup(mgr, certs.Config{Mode: c.certs, Dir: c.certDir, Namespace: c.namespace, Cell: c.cell, Tracer: tracer})
	if err != nil {
		return err
	}
	hooks.serving = serving
	neighbours, revocations, reached := &authpolicy.Neighbours{}, &authpolicy.Counted{}, &authpolicy.Reached{}
	sources := revsource.Options{Held: revocations.Held, Reached: reached.Of, Metrics: revsource.NewMetrics(), Tracer: tracer, AddReadyz: health.addReady}
	server, err := addRules(ctx, mgr, c, neighbours, revocations, reached, &sources)
	if err != nil {
		return err
	}
	if err := addSources(mgr, c, serving, sources); err != nil {
		return err
	}
	if err := addPush(mgr, c, server, serving, lead); err != nil {
		return err
	}
	mayRead, err := secretsReader(kube)
	if err != nil {
		return err
	}
	err = webhook.Register(mgr.GetWebhookServer(), webhook.Config{
		Inject: c.inject, Namespaces: mgr.GetAPIReader(), PublishCA: serving.PublishCA, KeyAllowHTTP: c.fetch.AllowHTTP,
		Company: neighbours.Warnings, Budget: neighbours.Room, Room: revocations.Check, MayRead: mayRead, Scheme: mgr.GetScheme(), Metrics: metrics.Registry, Tracer: tracer,
		Log: mgr.GetLogger().WithName("webhook"),
	})
	if err != nil {
		return err
	}
	if err := errors.Join(addRegistration(mgr, c, serving), addGuard(mgr, c), addPorts(ctx, mgr, c, serving, hooks, health)); err != nil {
		return err
	}
	log.Info("controller runs", "version", version, "namespace", c.namespace, "release", c.cell.String())
	return mgr.Start(ctx)
}

// newLogger makes the log of all libraries, too.
func newLogger(c config, lines *logqueue.Queue) (logr.Logger, error) {
	log, err := lines.OfProgram(c.logFormat, c.logLevel)
	if err != nil {
		return logr.Logger{}, err
	}
	ctrl.SetLogger(log)
	klog.SetLogger(log.WithName("client-go")) // in the same format, with the same time
	return log, lines.Register(metrics.Registry)
}

// look returns an error that says what the cluster lacks.
func look(ctx context.Context, kube *rest.Config, log logr.Logger) error {
	asked, err := discovery.NewDiscoveryClientForConfig(kube)
	if err != nil {
		return err
	}
	return preflight.Check(ctx, preflight.Config{Discovery: asked, Log: log.WithName("preflight")})
}

func managerOptions(c config, lead *leader, hooks ctrlwebhook.Server, log logr.Logger) manager.Options {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	none := "0" // the ports are ours: addMetrics, probes
	o := manager.Options{
		Scheme:                  scheme,
		Logger:                  log,
		Metrics:                 metricsserver.Options{BindAddress: none},
		HealthProbeBindAddress:  none,
		WebhookServer:           hooks,
		GracefulShutdownTimeout: &farewell,
	}
	if c.leaderElect {
		o.LeaderElection, o.LeaderElectionID, o.LeaderElectionNamespace = true, leaseName, c.namespace
		o.LeaderElectionResourceLockInterface = lead.lock()
		o.LeaderElectionReleaseOnCancel = true
	}
	return o
}

// addRules adds what turns policies into bundles and bundles into status.
func addRules(
	ctx context.Context, mgr manager.Manager, c config, neighbours *authpolicy.Neighbours, revocations *authpolicy.Counted, reached *authpolicy.Reached, sources *revsource.Options,
) (*push.Server, error) {
	clients, err := kubernetes.NewForConfig(mgr.GetConfig())
	if err != nil {
		return nil, err
	}
	watcher, err := client.NewWithWatch(mgr.GetConfig(), client.Options{Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(), HTTPClient: mgr.GetHTTPClient()})
	if err != nil {
		return nil, err
	}
	cluster, live, members := keys.Cluster(clients.Discovery().RESTClient()), &authpolicy.Live{}, &authpolicy.Members{Cell: c.cell}
	triggers := authpolicy.NewTriggers()
	counted, pushed := keys.NewMetrics(), push.NewMetrics()
	sources.Owns, sources.Keys = members.Owns, keys.Options{Reader: mgr.GetAPIReader(), Cluster: cluster, Fetch: c.fetch, Namespace: c.namespace, Watcher: watcher}
	var server *push.Server
	resolver, err := keys.New(keys.Options{
		Reader: mgr.GetAPIReader(), Cluster: cluster, Fetch: c.fetch,
		Namespace: c.namespace, Watcher: watcher, Creator: watcher,
		Changed: triggers.Keys.Add, Metrics: counted,
		Checked: func(k keys.Checked) {
			server.KeysChecked(push.Checked{KeySet: k.ID, Began: k.Began, JWKS: k.JWKS, Next: k.Next})
		},
	})
	if err != nil {
		return nil, err
	}
	server, err = push.New(push.Config{
		Reviewer: &push.LocalReviewer{
			Keys: cluster, Live: live, Else: push.NewTokenReviewer(clients.AuthenticationV1().TokenReviews()),
		},
		Metrics: pushed,
		Log:     mgr.GetLogger().WithName("push"), Changed: triggers.Sidecars.Add, UnknownKey: resolver.Refetch,
		Failing: resolver.Failing, Serves: members.Serves,
	})
	if err != nil {
		return nil, err
	}
	if err := counted.Register(metrics.Registry, resolver); err != nil {
		return nil, err
	}
	if err := pushed.Register(metrics.Registry); err != nil {
		return nil, err
	}
	told := authpolicy.NewMetrics()
	if err := metrics.Registry.Register(told); err != nil {
		return nil, err
	}
	if err := addKeys(ctx, mgr, c, resolver); err != nil {
		return nil, err
	}
	return server, authpolicy.Setup(mgr, authpolicy.Options{
		Keys: resolver, Push: server, Triggers: triggers, Neighbours: neighbours, Live: live, Metrics: told, Counted: revocations, Reached: reached, Members: members,
		Tracer: sources.Tracer, NetworkPolicies: c.networkPolicies, Lend: func(objects cache.Cache) { sources.Chunks = objects },
	})
}

// addSources adds the port for events of identity providers, on every replica, and what becomes of them.
func addSources(mgr manager.Manager, c config, serving *certs.Certs, o revsource.Options) error {
	direct, err := client.New(mgr.GetConfig(), client.Options{Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(), HTTPClient: mgr.GetHTTPClient()})
	if err != nil {
		return err
	}
	o.Client = direct
	if c.eventsPort != 0 {
		conf := &tls.Config{MinVersion: tls.VersionTLS12}
		serving.TLS(conf)
		if c.eventsCertDir != "" {
			mounted := certs.NewMounted(c.eventsCertDir, mgr.GetLogger().WithName("certs"))
			mounted.Beside(conf)
			if err := mgr.Add(everywhere(mounted.Run)); err != nil {
				return err
			}
		}
		o.TLS, o.Ready = conf, serving.Ready()
		o.Listen = func(ctx context.Context) (net.Listener, error) {
			return (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("", strconv.Itoa(c.eventsPort)))
		}
	}
	if err := metrics.Registry.Register(o.Metrics); err != nil {
		return err
	}
	return revsource.Setup(mgr, o)
}

// addKeys adds the reading of keys, on every replica, and the sharing of them on the one that leads.
func addKeys(ctx context.Context, mgr manager.Manager, c config, resolver *keys.Resolver) error {
	log := mgr.GetLogger().WithName("keys")
	direct, err := client.New(mgr.GetConfig(), client.Options{Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(), HTTPClient: mgr.GetHTTPClient()})
	if err != nil {
		return err
	}
	if err := resolver.Recall(ctx); err != nil {
		log.Info("the last good keys of other replicas cannot be read; going on without", "cause", err.Error())
	}
	keeper := &keys.Keeper{Resolver: resolver, Client: direct, Namespace: c.namespace, Log: log}
	problems := []error{mgr.Add(everywhere(resolver.Run)), mgr.Add(manager.RunnableFunc(keeper.Run))}
	if c.debug != "0" {
		problems = append(problems, mgr.Add(everywhere(func(ctx context.Context) error { return serveDebug(ctx, c.debug, resolver, log) })))
	}
	return errors.Join(problems...)
}

// addPush adds the service for sidecars, on every replica, and the reports to the one that leads.
func addPush(mgr manager.Manager, c config, server *push.Server, serving *certs.Certs, lead *leader) error {
	conf := &tls.Config{MinVersion: tls.VersionTLS13}
	serving.TLS(conf)
	peers := push.Peers{Own: serving.Certificate, Known: serving.Replica}
	log := mgr.GetLogger().WithName("push")
	err := mgr.Add(everywhere(func(ctx context.Context) error {
		select {
		case <-serving.Ready():
		case <-ctx.Done():
			return nil
		}
		lis, err := push.Listen(ctx, net.JoinHostPort("", strconv.Itoa(c.pushPort)))
		if err != nil {
			return fmt.Errorf("--push-port: %w", err)
		}
		return server.Serve(ctx, lis, conf, peers)
	}))
	if err != nil || !c.leaderElect {
		return err
	}
	reporter := &push.Reporter{Server: server, Leader: lead, Replica: lead.identity, Peers: peers, Log: log}
	return mgr.Add(everywhere(reporter.Run))
}

// addRegistration adds what makes the webhook configurations again when they are gone.
func addRegistration(mgr manager.Manager, c config, serving *certs.Certs) error {
	if c.configurations == "" {
		return nil
	}
	r := registration.Config{File: c.configurations, Namespace: c.namespace, Cell: c.cell, Log: mgr.GetLogger().WithName("registration")}
	if c.certs == certs.Self {
		r.CA = serving.CA
	}
	return registration.Setup(mgr, r)
}

// addGuard adds what tells of rules that another release is to make.
func addGuard(mgr manager.Manager, c config) error {
	if !c.expectPolicies {
		return nil
	}
	return mgr.Add(&preflight.Guard{
		Reader: mgr.GetAPIReader(), Events: mgr.GetEventRecorder("bearerguard-controller"), Log: mgr.GetLogger().WithName("preflight"),
		Deployment: client.ObjectKey{Namespace: c.namespace, Name: registration.Name},
	})
}

// everywhere runs on every replica, whether it leads or not.
type everywhere func(ctx context.Context) error

var _ manager.LeaderElectionRunnable = everywhere(nil)

// Start implements manager.Runnable.
func (f everywhere) Start(ctx context.Context) error { return f(ctx) }

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (everywhere) NeedLeaderElection() bool { return false }
