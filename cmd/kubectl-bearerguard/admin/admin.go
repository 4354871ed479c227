// Package admin asks sidecars at their admin port.
package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/check"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/fleet"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/tunnel"
	"github.com/bearerguard/bearerguard/controllers/inject"
	"github.com/bearerguard/bearerguard/sidecar/aside"
	"github.com/bearerguard/bearerguard/sidecar/explain"
)

// mostRead is how much of an answer is read, in bytes.
const mostRead = 16 << 20

// Explanation is what a sidecar says of a request.
type Explanation struct {
	// Namespace and Pod are whose sidecar it is.
	Namespace string `json:"namespace"`
	Pod       string `json:"pod"`
	// Snapshot is the version of its rules, Built when it loaded them.
	Snapshot string       `json:"snapshot,omitempty"`
	Built    time.Time    `json:"built,omitzero"`
	Report   check.Report `json:"report"`
}

// Request is a request that a sidecar remembers.
type Request struct {
	// Namespace and Pod are whose sidecar it is.
	Namespace string          `json:"namespace"`
	Pod       string          `json:"pod"`
	Decision  string          `json:"decision"`
	Time      time.Time       `json:"time"`
	RequestID string          `json:"requestID,omitempty"`
	Reason    decision.Reason `json:"reason"`
	Cause     string          `json:"cause,omitempty"`
	Policy    string          `json:"policy,omitempty"`
	Rule      string          `json:"rule,omitempty"`
	decision.Details
	Method    string  `json:"method,omitempty"`
	Host      string  `json:"host,omitempty"`
	Path      string  `json:"path,omitempty"`
	Remote    string  `json:"remote,omitempty"`
	KeyID     string  `json:"keyID,omitempty"`
	Protocol  string  `json:"protocol,omitempty"`
	Port      int     `json:"port,omitempty"`
	OwnMicros int64   `json:"ownMicros"`
	Audit     []Audit `json:"audit,omitempty"`
}

// Audit is what an Audit policy would have said of a request.
type Audit struct {
	Policy   string          `json:"policy"`
	Rule     string          `json:"rule,omitempty"`
	Decision string          `json:"decision"`
	Reason   decision.Reason `json:"reason"`
	Cause    string          `json:"cause,omitempty"`
}

// Explain has the sidecar of a pod explain a request.
func Explain(ctx context.Context, config *rest.Config, pod *corev1.Pod, q *explain.Question) (Explanation, error) {
	out := Explanation{Namespace: pod.Namespace, Pod: pod.Name}
	body, err := json.Marshal(q)
	if err != nil {
		return out, err
	}
	err = ask(ctx, config, pod, http.MethodPost, explain.Path, body, &out)
	return out, err
}

// Requests returns the requests that the sidecar of a pod remembers under an id, the newest first.
func Requests(ctx context.Context, config *rest.Config, pod *corev1.Pod, id string) ([]Request, error) {
	return requests(ctx, config, pod, "id="+url.QueryEscape(id))
}

// Refusals returns the last refusals that the sidecar of a pod remembers, at most so many, the newest first.
func Refusals(ctx context.Context, config *rest.Config, pod *corev1.Pod, most int) ([]Request, error) {
	return requests(ctx, config, pod, "decision=deny&limit="+strconv.Itoa(most))
}

func requests(ctx context.Context, config *rest.Config, pod *corev1.Pod, query string) ([]Request, error) {
	var out struct {
		Requests []Request `json:"requests"`
	}
	err := ask(ctx, config, pod, http.MethodGet, "/debug/requests?"+query, nil, &out)
	for i := range out.Requests {
		out.Requests[i].Namespace, out.Requests[i].Pod = pod.Namespace, pod.Name
	}
	return out.Requests, err
}

// Keys returns the keys that the sidecar of a pod has in force.
func Keys(ctx context.Context, config *rest.Config, pod *corev1.Pod) (fleet.HeldKeys, error) {
	out := fleet.HeldKeys{Pod: pod.Name}
	err := ask(ctx, config, pod, http.MethodGet, "/debug/keys", nil, &out)
	return out, err
}

// State has the sidecar of a pod tell how it is, and what it has refused for so long.
func State(ctx context.Context, config *rest.Config, pod *corev1.Pod, since time.Duration) (fleet.State, error) {
	out := fleet.StateOf(pod)
	err := ask(ctx, config, pod, http.MethodGet, "/debug/state?since="+url.QueryEscape(since.String()), nil, &out)
	return out, err
}

// Aside asks the sidecar of a pod whether it has stepped aside, and whether it is ready with the newest rules.
func Aside(ctx context.Context, config *rest.Config, pod *corev1.Pod) (aside.Report, error) {
	return asideOf(ctx, config, pod, http.MethodGet, aside.Path)
}

// StepAside has the sidecar of a pod send its clients elsewhere, for so long, or until Back.
func StepAside(ctx context.Context, config *rest.Config, pod *corev1.Pod, d time.Duration) (aside.Report, error) {
	return asideOf(ctx, config, pod, http.MethodPost, aside.Path+"?for="+d.String())
}

// Back has it come back.
func Back(ctx context.Context, config *rest.Config, pod *corev1.Pod) (aside.Report, error) {
	return asideOf(ctx, config, pod, http.MethodDelete, aside.Path)
}

func asideOf(ctx context.Context, config *rest.Config, pod *corev1.Pod, method, path string) (out aside.Report, err error) {
	return out, ask(ctx, config, pod, method, path, nil, &out)
}

// ErrRelease is that who is asked is of a release that does not know what it is asked.
var ErrRelease = errors.New("it is of a release that cannot tell; restart the pod to have the present one")

// ask asks the admin port of a pod's sidecar.
func ask(ctx context.Context, config *rest.Config, pod *corev1.Pod, method, path string, body []byte, out any) error {
	return askAt(ctx, config, pod, Port(pod), method, path, body, out)
}

// askAt asks a port of a pod.
func askAt(ctx context.Context, config *rest.Config, pod *corev1.Pod, port int, method, path string, body []byte, out any) error {
	c, err := tunnel.Client(config, types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}, port)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set(explain.Header, "1")
	r.Header.Set(aside.Header, "1")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	response, err := c.Do(r)
	if err != nil {
		return reworded(pod, err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, mostRead))
	if err != nil {
		return reworded(pod, err)
	}
	switch {
	case response.StatusCode == http.StatusNotFound || response.StatusCode == http.StatusMethodNotAllowed:
		return fmt.Errorf("pod %s: %w", pod.Name, ErrRelease)
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("pod %s: it says: %s", pod.Name, strings.TrimSpace(string(text[:min(len(text), 256)])))
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("pod %s: read its answer: %w", pod.Name, err)
	}
	return nil
}

// ErrMayNot is of a pod that the user has no right to reach.
var ErrMayNot = errors.New("you may not reach it")

// reworded says what an error means for those who have no right, and names the pod.
func reworded(pod *corev1.Pod, err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if apierrors.IsForbidden(err) || strings.Contains(err.Error(), "forbidden") {
		return fmt.Errorf("pod %s: %w; want the right to create pods/portforward in namespace %s: %w", pod.Name, ErrMayNot, pod.Namespace, err)
	}
	return fmt.Errorf("pod %s: %w", pod.Name, err)
}

// Port is the admin port of a pod's sidecar.
func Port(pod *corev1.Pod) int {
	for _, all := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range all {
			for _, p := range all[i].Ports {
				if all[i].Name == inject.SidecarName && p.Name == inject.AdminPortName {
					return int(p.ContainerPort)
				}
			}
		}
	}
	return inject.AdminPort
}

// parallel is how many sidecars are asked at a time.
const parallel = 8

// Each calls f for each pod, by its index, eight at a time. The errors are in the order of the pods. step is told how many are done.
func Each(pods []corev1.Pod, step func(done int), f func(i int) error) []error {
	var wait sync.WaitGroup
	var mu sync.Mutex
	turns := make(chan struct{}, parallel)
	errs, done := make([]error, len(pods)), 0
	for i := range pods {
		turns <- struct{}{}
		wait.Go(func() {
			defer func() { <-turns }()
			errs[i] = f(i)
			mu.Lock()
			defer mu.Unlock()
			done++
			step(done)
		})
	}
	wait.Wait()
	return slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}
