package dashboard

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bearerguard/bearerguard/api/fetch"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/cluster"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/fleet"
)

// The bounds of what is asked, for all who look together.
const (
	// every is how long nothing is asked after facts have been gathered; ten times as long as the lists took, if that is more.
	every = 4 * time.Second
	// listTime is how long a list may take, askTime one sidecar, and roundTime all that are asked in one round.
	listTime  = 10 * time.Second
	askTime   = 5 * time.Second
	roundTime = 20 * time.Second
	// mostAsked is how many sidecars are asked in a round, parallel of them at once, for mostRefusals each.
	mostAsked    = 64
	parallel     = 8
	mostRefusals = 300
	// mostHolders is how many sidecars are asked for their keys, one for each policy or fewer, and keysEvery how often.
	mostHolders = 32
	keysEvery   = time.Minute
	// restAfterFailure is how long a sidecar is left alone that could not be asked.
	restAfterFailure = 30 * time.Second
)

// facts are what has been gathered.
type facts struct {
	at       time.Time
	policies []v1alpha1.AuthPolicy
	pods     []corev1.Pod
	// Whether the lists have ever been read, and what keeps them from being read now.
	policiesKnown, podsKnown     bool
	policiesTrouble, podsTrouble *Trouble
	answers                      map[types.UID]answer
	// held is what sidecars said of their keys, fetches how the controller's fetches go, as of keysAt.
	held    []fleet.HeldKeys
	fetches map[string]fetch.Report
	keysAt  time.Time
}

// answer is what a sidecar said, or what kept it from being asked.
type answer struct {
	at  time.Time
	err error
	tally
}

// Watcher gathers facts while somebody looks. It is safe for concurrent use.
type Watcher struct {
	source Source
	now    func() time.Time
	about  About
	wake   chan struct{} // of size 1

	mu    sync.Mutex
	state State // guarded by mu
	facts facts // of the goroutine of Run; mu guards its slices, which are not changed once they are there
}

// About says what a dashboard is about.
type About struct {
	// Context is that of the kubeconfig, Namespace the one that is shown; "": all.
	Context   string `json:"context"`
	Namespace string `json:"namespace"`
}

// NewWatcher returns a Watcher, which does nothing before Run.
func NewWatcher(source Source, about About, now func() time.Time) *Watcher {
	w := &Watcher{source: source, now: now, about: about, wake: make(chan struct{}, 1)}
	w.facts.answers = map[types.UID]answer{}
	w.state = View(&w.facts, about, now())
	return w
}

// State returns what is known, and has it looked at again if that is due.
func (w *Watcher) State() State {
	select {
	case w.wake <- struct{}{}:
	default:
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state
}

// Run gathers facts when State is called, until ctx is done.
func (w *Watcher) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		}
		rest := time.NewTimer(max(every, 10*w.gather(ctx)))
		select {
		case <-ctx.Done():
			rest.Stop()
			return
		case <-rest.C:
		}
	}
}

// gather reads the lists, shows them, and asks sidecars. It returns how long the lists took.
func (w *Watcher) gather(ctx context.Context) time.Duration {
	began := w.now()
	w.list(ctx)
	took := w.now().Sub(began)
	w.publish()
	w.ask(ctx)
	w.publish()
	if w.now().Sub(w.facts.keysAt) >= keysEvery {
		w.askKeys(ctx)
		w.publish()
	}
	return took
}

func (w *Watcher) publish() {
	s := View(&w.facts, w.about, w.now())
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state = s
}

// list reads policies and pods. What cannot be read stays as it was.
func (w *Watcher) list(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	var wait sync.WaitGroup
	var policies []v1alpha1.AuthPolicy
	var pods []corev1.Pod
	var policiesErr, podsErr error
	wait.Go(func() { policies, policiesErr = w.source.Policies(ctx) })
	wait.Go(func() { pods, podsErr = w.source.Pods(ctx) })
	wait.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	f := &w.facts
	f.at, f.policiesTrouble, f.podsTrouble = w.now(), nil, nil
	if policiesErr != nil {
		f.policiesTrouble = newTrouble("policies", policiesErr)
	} else {
		f.policies, f.policiesKnown = policies, true
	}
	if podsErr != nil {
		f.podsTrouble = newTrouble("pods", podsErr)
		return
	}
	f.pods, f.podsKnown = pods, true
	live := map[types.UID]bool{}
	for i := range pods {
		live[pods[i].UID] = true
	}
	for uid := range f.answers {
		if !live[uid] {
			delete(f.answers, uid)
		}
	}
}

// lists returns what has been read last. The elements are not to be changed.
func (w *Watcher) lists() ([]v1alpha1.AuthPolicy, []corev1.Pod) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.facts.policies, w.facts.pods
}

// ask asks some of the sidecars what they refused.
func (w *Watcher) ask(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, roundTime)
	defer cancel()
	turn := turns(w.facts.pods, w.facts.answers, w.now())
	answers := make([]answer, len(turn))
	inParallel(len(turn), func(i int) {
		one, cancel := context.WithTimeout(ctx, askTime)
		defer cancel()
		requests, err := w.source.Refusals(one, turn[i], mostRefusals)
		answers[i] = answer{at: w.now(), err: err}
		if err == nil {
			answers[i].tally = newTally(requests, mostRefusals, w.now())
		}
	})
	for i, a := range answers {
		if a.err != nil && ctx.Err() != nil {
			continue // it had no time
		}
		w.facts.answers[turn[i].UID] = a
	}
}

// askKeys asks a sidecar of each policy which keys it has, and the controller how its fetches go. Who cannot be asked is left out: the
// policies' statuses have what matters.
func (w *Watcher) askKeys(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, roundTime)
	defer cancel()
	f := &w.facts
	pods, _ := fleet.Holders(f.policies, f.pods, mostHolders)
	answers, errs := make([]fleet.HeldKeys, len(pods)), make([]error, len(pods))
	inParallel(len(pods)+1, func(i int) {
		one, cancel := context.WithTimeout(ctx, askTime)
		defer cancel()
		if i == len(pods) {
			f.fetches = w.source.Fetches(one)
			return
		}
		answers[i], errs[i] = w.source.Keys(one, &pods[i])
	})
	f.held = nil
	for i := range answers {
		if errs[i] == nil {
			f.held = append(f.held, answers[i])
		}
	}
	f.keysAt = w.now()
}

// inParallel calls f with 0 to n-1, some at a time.
func inParallel(n int, f func(i int)) {
	var wait sync.WaitGroup
	places := make(chan struct{}, parallel)
	for i := range n {
		places <- struct{}{}
		wait.Go(func() {
			defer func() { <-places }()
			f(i)
		})
	}
	wait.Wait()
}

// turns returns the pods whose sidecars are to be asked now: those that have waited longest, and of those that were never asked one of
// each workload first, so that each is soon heard.
func turns(pods []corev1.Pod, answers map[types.UID]answer, now time.Time) []*corev1.Pod {
	type waiting struct {
		pod  *corev1.Pod
		at   time.Time
		nth  int
		name string
	}
	var all []waiting
	nth := map[string]int{}
	for i := range pods {
		p := &pods[i]
		if running, _ := cluster.SidecarOf(p); !running || !fleet.Lives(p) {
			continue
		}
		key := p.Namespace + " " + fleet.Owner(p)
		nth[key]++
		a, asked := answers[p.UID]
		if asked && a.err != nil && now.Sub(a.at) < restAfterFailure {
			continue
		}
		all = append(all, waiting{p, a.at, nth[key], p.Namespace + "/" + p.Name})
	}
	slices.SortFunc(all, func(a, b waiting) int {
		return cmp.Or(a.at.Truncate(every).Compare(b.at.Truncate(every)), a.nth-b.nth, cmp.Compare(a.name, b.name))
	})
	var out []*corev1.Pod
	for _, a := range all[:min(len(all), mostAsked)] {
		out = append(out, a.pod)
	}
	return out
}
