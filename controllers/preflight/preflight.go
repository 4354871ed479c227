package preflight

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/client-go/discovery"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// Kubernetes is the oldest version of Kubernetes that the controller works with: it has native sidecar containers.
const Kubernetes = "1.33"

// resources are those of the group that the controller cannot do without.
var resources = []string{"authpolicies", "revocationchunks", "revocationsources", "tokenrevocations"}

// Config is what to look for, and where.
type Config struct {
	// Discovery is of the API server; required.
	Discovery discovery.DiscoveryInterface
	// Patience is how long to wait for CustomResourceDefinitions. Default 45s, which is less than the startup probe of the chart gives.
	Patience time.Duration
	// Every is the time between two looks. Default 1s.
	Every time.Duration
	// Log defaults to none.
	Log logr.Logger
}

// Check returns an error that says what is missing and what to do about it, or nil. It waits for what may still come.
func Check(ctx context.Context, c Config) error {
	if c.Patience == 0 {
		c.Patience = 45 * time.Second
	}
	if c.Every == 0 {
		c.Every = time.Second
	}
	if err := checkVersion(c.Discovery); err != nil {
		return err
	}
	return waitForResources(ctx, c)
}

func checkVersion(d discovery.ServerVersionInterface) error {
	info, err := d.ServerVersion()
	if err != nil {
		return fmt.Errorf("ask the API server for its version: %w", err)
	}
	got, err := version.ParseGeneric(info.GitVersion)
	if err != nil {
		return fmt.Errorf("the API server's version %q: %w", info.GitVersion, err)
	}
	if got.LessThan(version.MustParseGeneric(Kubernetes)) {
		return fmt.Errorf("Kubernetes is %s; want at least %s, which has native sidecar containers", info.GitVersion, Kubernetes) //nolint:staticcheck // a name
	}
	return nil
}

// waitForResources returns once the API server serves everything that is needed, or when patience or ctx is at its end.
func waitForResources(ctx context.Context, c Config) error {
	deadline := time.Now().Add(c.Patience)
	told := ""
	for {
		missing, err := missingResources(c.Discovery)
		switch {
		case err != nil:
			return err
		case len(missing) == 0:
			return nil
		case !time.Now().Before(deadline):
			return absent(missing)
		}
		if what := strings.Join(missing, ", "); what != told {
			c.Log.Info("waiting for CustomResourceDefinitions", "missing", what)
			told = what
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(c.Every):
		}
	}
}

// missingResources returns those that the API server does not serve, sorted.
func missingResources(d discovery.ServerResourcesInterface) ([]string, error) {
	list, err := d.ServerResourcesForGroupVersion(v1alpha1.GroupVersion.String())
	if apierrors.IsNotFound(err) {
		return resources, nil
	}
	if err != nil {
		return nil, fmt.Errorf("ask the API server what it serves of %s: %w", v1alpha1.GroupVersion, err)
	}
	served := map[string]bool{}
	for i := range list.APIResources {
		served[list.APIResources[i].Name] = true
	}
	var missing []string
	for _, name := range resources {
		if !served[name] {
			missing = append(missing, name)
		}
	}
	return missing, nil
}

func absent(missing []string) error {
	if slices.Equal(missing, resources) {
		return errors.New("the cluster has no CustomResourceDefinitions of Bearerguard; the release without a revision makes them, or one with shared.create=true, " +
			"unless crds.install is false: then the chart bearerguard-crds does")
	}
	return fmt.Errorf("the cluster's CustomResourceDefinitions of Bearerguard are older than this controller: it serves no %s; upgrade them first, by the chart that made them",
		strings.Join(missing, ", no "))
}
