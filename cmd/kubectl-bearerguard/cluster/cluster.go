// Package cluster gives commands kubectl's flags that say which cluster and namespace they are about, and clients for it.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // how kubeconfig files log in
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// Flags are kubectl's flags for which cluster, namespace and user. They are read when a method is called, and nothing is
// asked of a cluster before that.
type Flags struct {
	config *genericclioptions.ConfigFlags
	// AllNamespaces is -A; false where AddFlags was called without AllNamespaces.
	AllNamespaces bool
}

// Scope says whether a command can be about all namespaces.
type Scope bool

const (
	// OneNamespace gives a command --namespace alone.
	OneNamespace Scope = false
	// AnyNamespaces gives it --all-namespaces, too.
	AnyNamespaces Scope = true
)

// AddFlags gives a command the flags, with completion for --context and --namespace.
func AddFlags(cmd *cobra.Command, s Scope) *Flags {
	c := genericclioptions.NewConfigFlags(true)
	// --token would be taken for the one that a command is about; and what is seldom used is in the kubeconfig file.
	c.BearerToken, c.CertFile, c.KeyFile, c.CAFile, c.TLSServerName, c.CacheDir = nil, nil, nil, nil, nil, nil
	c.DisableCompression, c.Insecure, c.ImpersonateUID, c.ImpersonateUserExtra, c.Username, c.Password = nil, nil, nil, nil, nil, nil
	f := &Flags{config: c}
	c.AddFlags(cmd.Flags())
	if s == AnyNamespaces {
		cmd.Flags().BoolVarP(&f.AllNamespaces, "all-namespaces", "A", false, "all namespaces, not only one")
		cmd.MarkFlagsMutuallyExclusive("namespace", "all-namespaces")
	}
	_ = cmd.RegisterFlagCompletionFunc("context", f.completeContexts)
	_ = cmd.RegisterFlagCompletionFunc("namespace", f.completeNamespaces)
	return f
}

// Namespace is the one that the command is about: the flag's, or that of the context, or "default"; "" for all of them.
func (f *Flags) Namespace() (string, error) {
	if f.AllNamespaces {
		return "", nil
	}
	namespace, _, err := f.config.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return "", fmt.Errorf("read the kubeconfig: %w", err)
	}
	return namespace, nil
}

// Context names the kubeconfig's context that is used; "" if there is none.
func (f *Flags) Context() string {
	if name := f.config.Context; name != nil && *name != "" {
		return *name
	}
	raw, err := f.config.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return ""
	}
	return raw.CurrentContext
}

// nowhere is what kubectl's flags come to where nothing names a cluster.
const nowhere = "http://localhost:8080"

var errNone = errors.New("no cluster is named, and none is around: want a kubeconfig, by --kubeconfig, KUBECONFIG or as ~/.kube/config, or --server")

// namesNone says whether neither a flag nor a kubeconfig names a cluster.
func (f *Flags) namesNone() bool {
	raw, err := f.config.ToRawKubeConfigLoader().RawConfig()
	return err == nil && len(raw.Clusters) == 0 && (f.config.APIServer == nil || *f.config.APIServer == "")
}

// Config says how to reach the API server.
func (f *Flags) Config() (*rest.Config, error) {
	config, err := f.config.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	if config.Host == nowhere && f.namesNone() {
		return nil, errNone
	}
	config.UserAgent = "bearerguard"
	return config, nil
}

// Scheme knows Bearerguard's objects and those of Kubernetes.
func Scheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(s); err != nil {
		return nil, err
	}
	return s, v1alpha1.AddToScheme(s)
}

// Client reads and writes objects, also Bearerguard's, without a cache. It can watch.
func (f *Flags) Client() (client.WithWatch, error) {
	config, err := f.Config()
	if err != nil {
		return nil, err
	}
	s, err := Scheme()
	if err != nil {
		return nil, err
	}
	log.SetLogger(logr.Discard()) // what goes wrong is returned; without a logger, a stack is printed after 30 s
	return client.NewWithWatch(config, client.Options{Scheme: s})
}

// Kubernetes is the client for what Client cannot do: logs, proxies and port-forwards.
func (f *Flags) Kubernetes() (kubernetes.Interface, error) {
	config, err := f.Config()
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(config)
}

func (f *Flags) completeContexts(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	raw, err := f.config.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for name := range raw.Contexts {
		names = append(names, name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completionTimeout is how long a shell waits for a cluster.
const completionTimeout = 2 * time.Second

func (f *Flags) completeNamespaces(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	c, err := f.Client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	var list corev1.NamespaceList
	if err := c.List(ctx, &list); err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
