package fleet

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/cluster"
)

// State is what a sidecar tells of itself.
type State struct {
	// Namespace, Workload and Pod are whose sidecar it is.
	Namespace string `json:"-"`
	Workload  string `json:"-"`
	Pod       string `json:"-"`
	// Version is the sidecar's release, Time its clock.
	Version string    `json:"version"`
	Time    time.Time `json:"time"`
	// Unready says why requests may not come; empty if they may.
	Unready string `json:"unready"`
	// OpenPorts is how many ports of the app can be reached past the sidecar.
	OpenPorts int `json:"openPorts"`
	// Refusals are those of the last minutes. Whole is false if there may have been more.
	Refusals []Refusals `json:"refusals"`
	Whole    bool       `json:"whole"`
}

// Refusals are refusals that are alike.
type Refusals struct {
	Reason decision.Reason `json:"reason"`
	// Policy is "namespace/name" and Rule the name of the rule that decided. NearestPolicy and NearestRule are the rule that came nearest,
	// unless that is the one.
	Policy        string `json:"policy,omitempty"`
	Rule          string `json:"rule,omitempty"`
	NearestPolicy string `json:"nearestPolicy,omitempty"`
	NearestRule   string `json:"nearestRule,omitempty"`
	Count         int    `json:"count"`
	// Last is when the last of them came, RequestID and Cause are its.
	Last      time.Time `json:"last"`
	RequestID string    `json:"requestID,omitempty"`
	Cause     string    `json:"cause,omitempty"`
}

// Asked is what was asked of sidecars beside what the cluster knows.
type Asked struct {
	// Since is how far back refusals were counted.
	Since string `json:"since"`
	// Sidecars is how many answered, of how many that run.
	Sidecars int `json:"sidecars"`
	Running  int `json:"running"`
	// Failed is what kept others from answering.
	Failed []string `json:"failed,omitempty"`
}

// ToAsk chooses sidecars that run, at most so many: some of each workload, ready ones first. running is how many there are.
func ToAsk(pods []corev1.Pod, most int) (asked []corev1.Pod, running int) {
	type ranked struct {
		pod  corev1.Pod
		rank int // among those of its workload
	}
	var all []ranked
	seen := map[string]int{}
	for _, p := range cluster.Guarded(pods) {
		if p.DeletionTimestamp != nil {
			continue
		}
		key := p.Namespace + " " + owner(&p)
		all = append(all, ranked{p, seen[key]})
		seen[key]++
	}
	slices.SortStableFunc(all, func(a, b ranked) int { return cmp.Compare(a.rank, b.rank) })
	for _, r := range all[:min(len(all), most)] {
		asked = append(asked, r.pod)
	}
	return asked, len(all)
}

// StateOf is an empty state of a pod's sidecar, to be filled.
func StateOf(p *corev1.Pod) State {
	return State{Namespace: p.Namespace, Workload: owner(p), Pod: p.Name}
}

// Add adds to a report what sidecars tell.
func (r *Report) Add(states []State) {
	for i := range r.Workloads {
		w := &r.Workloads[i]
		var open, unready []string
		var versions []string
		for _, s := range states {
			if s.Namespace != w.Namespace || s.Workload != w.Name {
				continue
			}
			versions = with(versions, s.Version)
			if s.OpenPorts > 0 {
				open = append(open, fmt.Sprintf("%s (%d)", s.Pod, s.OpenPorts))
			}
			if s.Unready != "" {
				unready = append(unready, s.Pod+" ("+s.Unready+")")
			}
			w.refused(s)
		}
		w.Problems = append(w.Problems, problem(w.Pods, open, "with ports of the app that can be reached past the sidecar")...)
		w.Problems = append(w.Problems, problem(w.Pods, unready, "whose sidecar says why it is not ready")...)
		slices.Sort(versions)
		w.Versions = versions
		slices.SortStableFunc(w.Refusals, func(a, b Refusals) int { return cmp.Compare(b.Count, a.Count) })
	}
}

// refused adds the refusals of a sidecar to those of its workload.
func (w *Workload) refused(s State) {
	w.Asked++
	w.Partial = w.Partial || !s.Whole
	for _, x := range s.Refusals {
		i := slices.IndexFunc(w.Refusals, func(y Refusals) bool {
			return x.Reason == y.Reason && x.Policy == y.Policy && x.Rule == y.Rule && x.NearestPolicy == y.NearestPolicy && x.NearestRule == y.NearestRule
		})
		if i < 0 {
			w.Refusals = append(w.Refusals, x)
			continue
		}
		y := &w.Refusals[i]
		count := y.Count + x.Count
		if x.Last.After(y.Last) {
			*y = x
		}
		y.Count = count
	}
}

// problem says of how many pods something is so; nothing for none.
func problem(of int, pods []string, text string) []string {
	n := len(pods)
	if n == 0 {
		return nil
	}
	slices.Sort(pods)
	text = fmt.Sprintf("%d of %d pods %s: %s", n, of, text, pods[0])
	if n > 1 {
		text += fmt.Sprintf(" and %d more", n-1)
	}
	return []string{text}
}

// Counts sums up a report.
type Counts struct {
	Policies, Ready         int
	Pods, Sidecars, Refused int
	Workloads, Wrong        int
}

// Count sums up.
func (r *Report) Count() Counts {
	var c Counts
	for i := range r.Policies {
		c.Policies++
		if r.Policies[i].Ready == "True" {
			c.Ready++
		}
	}
	for i := range r.Workloads {
		w := &r.Workloads[i]
		c.Workloads, c.Pods, c.Sidecars = c.Workloads+1, c.Pods+w.Pods, c.Sidecars+w.Sidecars
		if len(w.Problems) > 0 {
			c.Wrong++
		}
		for _, x := range w.Refusals {
			c.Refused += x.Count
		}
	}
	return c
}
