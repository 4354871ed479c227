package compile

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

// Snapshot is all that the bundles of one namespace are made from.
type Snapshot struct {
	Namespace string
	// Policies are known by where they lie, and never changed: one that has not changed is to come as it did the last time.
	Policies []*Policy
	// Keys are the key sets resolved so far, by their ids in api/bundle. The map is not to be changed any more.
	Keys      map[string]bundle.KeySet
	Workloads []Workload
	// Check says whether a policy compiles; it must be a pure function of its argument. Default: Check of this package.
	Check func([]Policy) error
}

// Policy is an AuthPolicy as it stands in the cluster.
type Policy struct {
	Name, UID  string
	Namespace  string
	Generation int64
	Created    time.Time
	Selector   policy.Selector
	Spec       policy.Spec
	// NetworkPolicy says that NetworkPolicies are asked for.
	NetworkPolicy bool
	// Unreadable says why the object could not be decoded. Selector and Spec are then what could be.
	Unreadable error
	// Vague are the indexes of rules that said nothing of whom they allow and count as authenticated: true, since they
	// were stored before that had to be said.
	Vague []int
}

// Workload is a live pod.
type Workload struct {
	Name, UID string
	Labels    map[string]string
	Created   time.Time
	// Injected says that the pod was given a sidecar.
	Injected bool
}

// Ref names the content of a bundle without holding it.
type Ref struct {
	// Version is the hash of the encoded bundle.
	Version string
	// Policies are those in the bundle, or with a stand-in in it, sorted by name.
	Policies []PolicyRef
}

// PolicyRef is one generation of one policy.
type PolicyRef struct {
	Name, UID  string
	Generation int64
}

// Has reports whether the bundle holds this very generation of a policy. A nil Ref holds nothing.
func (r *Ref) Has(p PolicyRef) bool {
	if r == nil {
		return false
	}
	i, ok := slices.BinarySearchFunc(r.Policies, p, func(a, b PolicyRef) int { return cmp.Compare(a.Name, b.Name) })
	return ok && r.Policies[i] == p
}

// Bundle is an encoded bundle, shared by all workloads that get the same.
type Bundle struct {
	Ref     *Ref
	Encoded []byte

	// Accounts says that a policy trusts this cluster's service accounts, so that who has it must hear of those that are
	// gone.
	Accounts bool

	keySets map[string]bool
}

// Names reports whether the bundle names a key set, be it resolved or not.
func (b *Bundle) Names(keySet string) bool { return b.keySets[keySet] }

// Result is what a snapshot compiles to.
type Result struct {
	// Bundles has a bundle for every workload, by its UID; also for workloads that no policy selects.
	Bundles map[string]*Bundle
	// Outcomes has one entry for each policy, sorted by name.
	Outcomes []Outcome
	// Workloads are the live pods, sorted by name.
	Workloads []Workload
	// Anew says that something was new: a policy, a key set, labels of a pod. Else every pod has been given a bundle that was known.
	Anew bool
}

// Group is live pods that all policies select alike.
type Group struct {
	Workloads []Workload // sorted by name
}

// Outcome is what has become of one policy.
type Outcome struct {
	Policy *Policy
	// Problem says why the policy was replaced by a stand-in; nil if it is in force as written.
	Problem error
	// Selected are the live pods that the policy selects.
	Selected []*Group
}

// Pods are the live pods that the policy selects, in no order.
func (o Outcome) Pods() iter.Seq[Workload] {
	return func(yield func(Workload) bool) {
		for _, g := range o.Selected {
			for _, w := range g.Workloads {
				if !yield(w) {
					return
				}
			}
		}
	}
}

// Ref names the generation that the outcome is about.
func (o Outcome) Ref() PolicyRef { return o.Policy.ref() }

func (p Policy) ref() PolicyRef {
	return PolicyRef{Name: p.Name, UID: p.UID, Generation: p.Generation}
}

// Check returns an error that says, field by field, why policies do not compile together; nil if they do.
func Check(policies []Policy) error {
	in := make([]decision.Policy, len(policies))
	for i, p := range policies {
		in[i] = decision.Policy{Namespace: p.Namespace, Name: p.Name, Spec: p.Spec}
	}
	_, err := decision.Compile(in)
	return err
}

// byAge orders policies for conflicts: the oldest first, then by name.
func byAge(a, b *Policy) int {
	return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Name, b.Name))
}
