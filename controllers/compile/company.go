package compile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/lint"
	"github.com/bearerguard/bearerguard/api/policy"
)

// Neighbour is what matters of a policy to the others of its namespace.
type Neighbour struct {
	Name     string
	Created  time.Time // zero: it is not there yet
	Selector policy.Selector
	Issuers  int // how many it has
	Cost     Cost
	// Metadata is where the metadata of its resource are, by decision.MetadataPath.
	Metadata string
}

// Bounds of Company, which somebody waits for.
const (
	crowdedShapes = 16 // shapes of pods that are looked at
	crowdedNames  = 3  // policies that are named
)

// Company returns sentences for the user about a policy among the others of its namespace and their pods' labels: that it
// selects no pod, that a pod has more issuers with it than count, or that of two resources of a pod one is never told of. The first shapes of pods are looked at, not all.
func Company(p Neighbour, others []Neighbour, pods []map[string]string) []string {
	if !slices.ContainsFunc(pods, p.selects) {
		if len(pods) == 0 && len(p.Selector.MatchLabels) == 0 && len(p.Selector.MatchExpressions) == 0 {
			return nil // every pod, once there is one
		}
		return []string{fmt.Sprintf("spec.selector: selects none of the %d pods in the namespace: the policy guards nothing yet", len(pods))}
	}
	all := slices.DeleteFunc(slices.Clone(others), func(o Neighbour) bool { return o.Name == p.Name })
	all = append(all, p)
	return append(tooMany(p, all, pods), hidden(p, others, pods)...)
}

// tooMany warns of too many issuers on a pod that a policy selects, which is one of all.
func tooMany(p Neighbour, all []Neighbour, pods []map[string]string) []string {
	total := 0
	for _, o := range all {
		total += o.Issuers
	}
	if total <= decision.MaxIssuers {
		return nil
	}
	slices.SortFunc(all, func(a, b Neighbour) int {
		return cmp.Or(cmp.Compare(unborn(a), unborn(b)), a.Created.Compare(b.Created), strings.Compare(a.Name, b.Name))
	})
	for _, labels := range shapes(p, pods) {
		if n, out := crowd(all, labels); len(out) > 0 {
			return []string{crowdWarning(n, out)}
		}
	}
	return nil
}

// hidden warns where a policy and another one for some of the same pods have metadata at one path.
func hidden(p Neighbour, others []Neighbour, pods []map[string]string) []string {
	if p.Metadata == "" || p.Name == "" {
		return nil
	}
	for _, o := range others {
		shared := o.Name != p.Name && o.Metadata == p.Metadata &&
			slices.ContainsFunc(pods, func(labels map[string]string) bool { return p.selects(labels) && o.selects(labels) })
		switch {
		case shared && o.Name < p.Name:
			f := lint.HiddenResource(p.Metadata, o.Name)
			return []string{f.Error()}
		case shared:
			return []string{fmt.Sprintf("spec.resource.url: policy %s of the same pods has metadata at %s too: clients get those of this policy now, the first by name", o.Name, p.Metadata)}
		}
	}
	return nil
}

// unborn is 1 for a policy that is not there yet, which makes it the youngest.
func unborn(p Neighbour) int {
	if p.Created.IsZero() {
		return 1
	}
	return 0
}

// selects reports whether a policy selects pods with these labels; one that cannot be told selects all.
func (p Neighbour) selects(labels map[string]string) bool {
	return !p.Selector.Decidable() || p.Selector.Matches(labels)
}

// shapes returns the labels of pods that a policy selects, once for those that differ by their ReplicaSet alone.
func shapes(p Neighbour, pods []map[string]string) (out []map[string]string) {
	seen := map[string]bool{}
	for _, labels := range pods {
		if len(out) == crowdedShapes {
			return out
		}
		if !p.selects(labels) {
			continue
		}
		if shape := shapeOf(labels); !seen[shape] {
			seen[shape] = true
			out = append(out, labels)
		}
	}
	return out
}

// shapeOf is equal for pods that no sensible selector tells apart.
func shapeOf(labels map[string]string) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		switch k {
		case "pod-template-hash", "controller-revision-hash", "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index",
			"batch.kubernetes.io/job-name", "batch.kubernetes.io/controller-uid", "job-name", "controller-uid":
			continue
		}
		fmt.Fprintf(&b, "%q=%q,", k, labels[k])
	}
	return b.String()
}

// crowd returns how many issuers the policies of a pod have, and the names of those policies that do not fit any more.
func crowd(oldestFirst []Neighbour, labels map[string]string) (issuers int, out []string) {
	taken := 0
	for _, p := range oldestFirst {
		if !p.selects(labels) {
			continue
		}
		issuers += p.Issuers
		if taken+p.Issuers > decision.MaxIssuers {
			out = append(out, cmp.Or(p.Name, "this policy"))
			continue
		}
		taken += p.Issuers
	}
	return issuers, out
}

func crowdWarning(issuers int, out []string) string {
	names := strings.Join(out[:min(len(out), crowdedNames)], ", ")
	if n := len(out) - crowdedNames; n > 0 {
		names += fmt.Sprintf(" and %d more", n)
	}
	return fmt.Sprintf("spec.issuers: with this policy, %d issuers come together on a pod that it selects; want at most %d. "+
		"Older policies come first, so these allow nothing there: %s", issuers, decision.MaxIssuers, names)
}
