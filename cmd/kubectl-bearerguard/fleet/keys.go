package fleet

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/fetch"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/cluster"
)

// Keys is one issuer of a policy and its keys.
type Keys struct {
	Namespace string `json:"namespace"`
	Policy    string `json:"policy"`
	Issuer    string `json:"issuer"`
	URL       string `json:"url,omitempty"`
	// Source is where the keys are from: a URL, "secret NAME/KEY" and so on.
	Source string            `json:"source"`
	State  v1alpha1.KeyState `json:"state,omitempty"`
	Keys   int32             `json:"keys"`
	// LastFetched is when they were last read with success, as the status has it: to the hour.
	LastFetched *metav1.Time `json:"lastFetched,omitempty"`
	// PodsWithout is how many sidecars have none.
	PodsWithout int32  `json:"podsWithout,omitempty"`
	Message     string `json:"message,omitempty"`
	// Held are the keys that a sidecar has in force, and HeldBy is its pod; empty if none was asked. HeldMore is how many it has
	// besides.
	Held     []keyset.Description `json:"held,omitempty"`
	HeldMore int                  `json:"heldMore,omitempty"`
	HeldBy   string               `json:"heldBy,omitempty"`
	// Fetch is how fetches go, as who fetches has it; nil if nobody was asked, or nothing is fetched.
	Fetch *fetch.Report `json:"fetch,omitempty"`
}

// KeysOf returns the issuers of a policy.
func KeysOf(p *v1alpha1.AuthPolicy) []Keys {
	var out []Keys
	for i := range p.Spec.Issuers {
		is := &p.Spec.Issuers[i]
		k := Keys{Namespace: p.Namespace, Policy: p.Name, Issuer: is.Name, URL: is.Issuer, Source: source(is)}
		for _, s := range p.Status.Issuers {
			if s.Name == is.Name {
				k.State, k.Keys, k.LastFetched, k.PodsWithout, k.Message = s.State, s.Keys, s.LastFetched, s.PodsWithoutKeys, s.Message
			}
		}
		out = append(out, k)
	}
	return out
}

// source tells where an issuer's keys are from.
func source(is *policy.Issuer) string {
	k := is.Keys
	switch {
	case is.Introspection != nil:
		return "introspection"
	case k.URL() != "":
		return k.URL()
	case k.JWKS != "":
		return "in the policy"
	case k.SecretRef != nil:
		return "secret " + k.SecretRef.Name
	case k.ConfigMapRef != nil:
		return "configmap " + k.ConfigMapRef.Name
	case k.Kubernetes != nil:
		return "this cluster"
	case k.SPIFFE != nil:
		return "SPIFFE bundle"
	}
	return "discovery of " + is.Issuer
}

// Read is when the keys were last read with success, as exactly as is known; zero if it is not.
func (k *Keys) Read() time.Time {
	var at time.Time
	if k.LastFetched != nil {
		at = k.LastFetched.Time
	}
	if k.Fetch != nil && k.Fetch.Fetched.After(at) {
		at = k.Fetch.Fetched
	}
	return at
}

// Age is how long ago keys were read; 0 if that is not known.
func (k *Keys) Age(now time.Time) time.Duration {
	if at := k.Read(); !at.IsZero() {
		return now.Sub(at)
	}
	return 0
}

// AddFetches adds how the controller's fetches go, by the ids of sources. All are those of the policies, in their order.
func AddFetches(all []Keys, policies []v1alpha1.AuthPolicy, sources map[string]fetch.Report) {
	n := 0
	for i := range policies {
		for _, is := range policies[i].Spec.Issuers {
			if r, ok := sources[bundle.SourceID(policies[i].Namespace, is)]; ok && all[n].Fetch == nil {
				all[n].Fetch = &r
			}
			n++
		}
	}
}

// Holders returns for each policy a pod whose sidecar can be asked about its keys: as few pods as it takes, ready ones if there
// are any, and at most so many. left counts the policies whose pods are beyond that.
func Holders(policies []v1alpha1.AuthPolicy, pods []corev1.Pod, most int) (asked []corev1.Pod, left int) {
	guarded := cluster.Guarded(pods)
	for i := range policies {
		p := &policies[i]
		selects := func(pod *corev1.Pod) bool {
			return pod.Namespace == p.Namespace && pod.DeletionTimestamp == nil && p.Spec.Selector.Matches(pod.Labels)
		}
		if first(asked, selects) != nil {
			continue
		}
		switch pod := first(guarded, selects); {
		case pod == nil:
		case len(asked) == most:
			left++
		default:
			asked = append(asked, *pod)
		}
	}
	return asked, left
}

func first(pods []corev1.Pod, f func(*corev1.Pod) bool) *corev1.Pod {
	for i := range pods {
		if f(&pods[i]) {
			return &pods[i]
		}
	}
	return nil
}

// HeldKeys is what one sidecar says of its keys.
type HeldKeys struct {
	// Pod is the sidecar's.
	Pod string `json:"-"`
	// Snapshot is the version of its rules.
	Snapshot string       `json:"snapshot"`
	Issuers  []HeldIssuer `json:"issuers"`
}

// HeldIssuer is an issuer's keys in a sidecar.
type HeldIssuer struct {
	// Policy is "namespace/name".
	Policy string               `json:"policy"`
	Issuer string               `json:"issuer"`
	Keys   []keyset.Description `json:"keys"`
	More   int                  `json:"more,omitempty"`
	// Fetch is there if the sidecar itself fetches them.
	Fetch *fetch.Report `json:"fetch,omitempty"`
}

// Add adds what sidecars say. Of several that hold the keys of an issuer, the first one's are shown.
func (h *HeldKeys) Add(all []Keys) {
	for i := range all {
		k := &all[i]
		for _, is := range h.Issuers {
			if k.HeldBy == "" && is.Policy == k.Namespace+"/"+k.Policy && is.Issuer == k.Issuer {
				k.Held, k.HeldMore, k.HeldBy = is.Keys, is.More, h.Pod
				if is.Fetch != nil {
					k.Fetch = is.Fetch
				}
			}
		}
	}
}
