package preflight_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/bearerguard/bearerguard/controllers/preflight"
)

// cluster is what an API server says of itself.
func cluster(kubernetes string, resources ...string) *fake.FakeDiscovery {
	f := &fake.FakeDiscovery{Fake: &clienttesting.Fake{}, FakedServerVersion: &version.Info{GitVersion: kubernetes}}
	f.Resources = []*metav1.APIResourceList{{GroupVersion: "v1"}}
	if len(resources) > 0 {
		list := &metav1.APIResourceList{GroupVersion: "bearerguard.dev/v1alpha1"}
		for _, r := range resources {
			list.APIResources = append(list.APIResources, metav1.APIResource{Name: r})
		}
		f.Resources = append(f.Resources, list)
	}
	return f
}

var all = []string{"authpolicies", "authpolicies/status", "tokenrevocations", "revocationsources", "revocationchunks"}

func TestWhatAClusterLacksIsSaid(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		kubernetes string
		resources  []string
		want       string
	}{
		"a cluster that has everything":         {"v1.33.0", all, ""},
		"a provider's version":                  {"v1.34.2-gke.1200+5", all, ""},
		"a release candidate of the oldest":     {"v1.33.0-rc.1", all, ""},
		"a Kubernetes that is too old":          {"v1.32.9-eks-1", all, "Kubernetes is v1.32.9-eks-1; want at least 1.33, which has native sidecar containers"},
		"no CustomResourceDefinitions":          {"v1.33.0", nil, "the cluster has no CustomResourceDefinitions of Bearerguard; the release without a revision makes them"},
		"CustomResourceDefinitions of long ago": {"v1.33.0", all[:3], "older than this controller: it serves no revocationchunks, no revocationsources; upgrade them first"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				err := preflight.Check(t.Context(), preflight.Config{Discovery: cluster(tc.kubernetes, tc.resources...)})
				if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
					t.Errorf("got %v, want %q", err, tc.want)
				}
			})
		})
	}
}

// later is a cluster that has everything from some time on.
type later struct {
	*fake.FakeDiscovery
	then *fake.FakeDiscovery
	at   time.Time
}

func (l later) ServerResourcesForGroupVersion(group string) (*metav1.APIResourceList, error) {
	if time.Now().Before(l.at) {
		return l.FakeDiscovery.ServerResourcesForGroupVersion(group)
	}
	return l.then.ServerResourcesForGroupVersion(group)
}

func TestWhatComesAMomentLaterIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		c := later{cluster("v1.33.0"), cluster("v1.33.0", all...), began.Add(30 * time.Second)}
		if err := preflight.Check(t.Context(), preflight.Config{Discovery: c}); err != nil || time.Since(began) > 31*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}

func TestAControllerThatIsToldToStopDoesNotWait(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := preflight.Check(ctx, preflight.Config{Discovery: cluster("v1.33.0")}); err == nil {
		t.Error("it goes on without CustomResourceDefinitions")
	}
}
