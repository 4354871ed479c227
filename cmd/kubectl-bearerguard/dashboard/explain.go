package dashboard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/decision/advice"
	"github.com/bearerguard/bearerguard/api/printable"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/admin"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/check"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/cluster"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/fleet"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/page"
	"github.com/bearerguard/bearerguard/sidecar/explain"
)

// Question is a request to be explained by a pod's sidecar or, with claims in place of a token, by the policies that select the pod.
type Question struct {
	Namespace string `json:"namespace"`
	Pod       string `json:"pod"`
	// Method, Target, Headers, Body, Token and Claims are as in the playground.
	Method  string `json:"method"`
	Target  string `json:"target"`
	Headers string `json:"headers"`
	Body    string `json:"body"`
	Token   string `json:"token"`
	Claims  string `json:"claims"`
}

// Answer is the playground's, and who gave it.
type Answer struct {
	page.Answer
	// By says whose verdict it is: "sidecar", or "policies" for claims.
	By string `json:"by"`
	// Snapshot and Built are of the rules that a sidecar has in force.
	Snapshot string    `json:"snapshot,omitempty"`
	Built    time.Time `json:"built,omitzero"`
	Do       string    `json:"do,omitempty"`
}

// Explain answers a question.
func (w *Watcher) Explain(ctx context.Context, q *Question) Answer {
	policies, pods := w.lists()
	at := slices.IndexFunc(pods, func(p corev1.Pod) bool { return p.Namespace == q.Namespace && p.Name == q.Pod })
	if at < 0 {
		return wrong(fmt.Errorf("there is no pod %s in namespace %s", printable.Text(q.Pod, 256), printable.Text(q.Namespace, 256)))
	}
	pod := &pods[at]
	asked := page.Question{
		Method: q.Method, Target: q.Target, Headers: q.Headers, Body: q.Body, Token: q.Token, Claims: q.Claims,
		Remote: check.DefaultRemote, Port: cmp.Or(cluster.AppPort(pod), check.DefaultPort),
	}
	var a Answer
	if strings.TrimSpace(q.Claims) != "" {
		a = byPolicies(&asked, policies, pod, w.now())
	} else {
		a = w.bySidecar(ctx, &asked, pod)
	}
	if a.Report != nil && !a.Report.Allowed && !a.Report.Answered {
		a.Do = advice.Of(a.Report.Reason).Do
	}
	return a
}

// wrong says why the pod cannot be asked.
func wrong(err error) Answer {
	return Answer{Answer: page.Answer{Problem: printable.Text(err.Error(), longestTrouble), Field: "pod"}}
}

// bySidecar has the pod's sidecar answer.
func (w *Watcher) bySidecar(ctx context.Context, q *page.Question, pod *corev1.Pod) Answer {
	if running, _ := cluster.SidecarOf(pod); !running {
		return wrong(fmt.Errorf("pod %s has no sidecar that runs: nobody can be asked", pod.Name))
	}
	in, mistake := q.Request(w.now())
	if mistake != nil {
		return Answer{Answer: *mistake}
	}
	e, err := w.source.Explain(ctx, pod, &explain.Question{
		Method: in.Method, Target: in.Target, Host: in.Host, Header: in.Header, Body: in.Body, Port: in.Port, Remote: in.Remote,
	})
	if err != nil {
		t := newTrouble("sidecars", err)
		a := wrong(errors.New(t.Text))
		a.Do = t.Do
		return a
	}
	return Answer{Answer: page.Reported(e.Report), By: "sidecar", Snapshot: e.Snapshot, Built: e.Built}
}

// byPolicies judges claims by the policies that select the pod.
func byPolicies(q *page.Question, policies []v1alpha1.AuthPolicy, pod *corev1.Pod, now time.Time) Answer {
	var texts []string
	for i := range policies {
		if p := &policies[i]; p.Namespace == pod.Namespace && p.Spec.Selector.Matches(pod.Labels) {
			text, err := PolicyYAML(p)
			if err != nil {
				return wrong(err)
			}
			texts = append(texts, text)
		}
	}
	if len(texts) == 0 {
		return wrong(fmt.Errorf("no policy selects pod %s: every request is refused (%s)", pod.Name, decision.NoPolicy))
	}
	q.Policy = strings.Join(texts, "---\n")
	a := page.Decide(*q, now)
	if a.Report != nil {
		a.Report.Warnings, a.Report.Notes = nil, nil // they are about the policies and their keys, not about the request
	}
	return Answer{Answer: a, By: "policies"}
}

// PolicyYAML writes a policy as a user would, without what the cluster adds.
func PolicyYAML(p *v1alpha1.AuthPolicy) (string, error) {
	text, err := output.MarshalYAML(map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": "AuthPolicy",
		"metadata": map[string]string{"name": p.Name, "namespace": p.Namespace}, "spec": p.Spec,
	})
	return string(text), err
}

// Example returns a question for the playground about a policy, "namespace/name"; false if there is none.
func (w *Watcher) Example(id string) (page.Example, bool) {
	policies, _ := w.lists()
	for i := range policies {
		p := &policies[i]
		if p.Namespace+"/"+p.Name != id {
			continue
		}
		text, err := PolicyYAML(p)
		if err != nil {
			return page.Example{}, false
		}
		e := page.Example{Title: id + " of the cluster", Question: page.Question{
			Policy: text, Method: "GET", Target: "/", Remote: check.DefaultRemote, Port: check.DefaultPort,
		}}
		if len(p.Spec.Issuers) > 0 {
			e.Claims = claimsOf(p)
		}
		return e, true
	}
	return page.Example{}, false
}

// claimsOf begins claims as the first issuer of a policy would make them.
func claimsOf(p *v1alpha1.AuthPolicy) string {
	is := &p.Spec.Issuers[0]
	text := "{"
	if is.Issuer != "" {
		text += fmt.Sprintf("\n  \"iss\": %q,", is.Issuer)
	}
	if len(is.Audiences) > 0 {
		text += fmt.Sprintf("\n  \"aud\": %q,", is.Audiences[0])
	}
	return text + "\n  \"sub\": \"alice\"\n}"
}

// Found is what sidecars remember of a request.
type Found struct {
	Requests []FoundRequest `json:"requests"`
	// Asked is how many sidecars were asked, Failed how many could not be, and Left how many were not for want of time.
	Asked  int `json:"asked"`
	Failed int `json:"failed"`
	Left   int `json:"left,omitempty"`
	// Trouble is what kept the first from being asked.
	Trouble *Trouble `json:"trouble,omitempty"`
}

// FoundRequest is a request, its workload, and what to do about it.
type FoundRequest struct {
	admin.Request
	Workload string `json:"workload"`
	Do       string `json:"do,omitempty"`
}

// findTime is how long sidecars are asked about one id, longestID how long one may be, in bytes.
const (
	findTime  = 40 * time.Second
	longestID = 256
)

// Find asks all sidecars what they remember under an id.
func (w *Watcher) Find(ctx context.Context, id string) Found {
	ctx, cancel := context.WithTimeout(ctx, findTime)
	defer cancel()
	_, all := w.lists()
	pods := cluster.Guarded(slices.DeleteFunc(slices.Clone(all), func(p corev1.Pod) bool { return !fleet.Lives(&p) }))
	requests, errs := make([][]admin.Request, len(pods)), make([]error, len(pods))
	inParallel(len(pods), func(i int) {
		if errs[i] = ctx.Err(); errs[i] == nil {
			one, cancel := context.WithTimeout(ctx, askTime)
			defer cancel()
			requests[i], errs[i] = w.source.Requests(one, &pods[i], id)
		}
	})
	f := Found{Requests: []FoundRequest{}}
	for i, err := range errs {
		switch {
		case err == nil:
			f.Asked++
		case ctx.Err() != nil && errors.Is(err, ctx.Err()):
			f.Left++
		default:
			f.Failed++
			if f.Trouble == nil {
				f.Trouble = newTrouble("sidecars", err)
			}
		}
		for _, r := range requests[i] {
			found := FoundRequest{Request: r, Workload: fleet.Owner(&pods[i])}
			if r.Decision == "deny" {
				found.Do = advice.Of(r.Reason).Do
			}
			f.Requests = append(f.Requests, found)
		}
	}
	slices.SortStableFunc(f.Requests, func(a, b FoundRequest) int { return b.Time.Compare(a.Time) })
	f.Requests = f.Requests[:min(len(f.Requests), mostListed)]
	return f
}
