package authpolicy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/controllers/compile"
	"github.com/bearerguard/bearerguard/controllers/isolate"
	"github.com/bearerguard/bearerguard/controllers/push"
	"github.com/bearerguard/bearerguard/controllers/status"
)

const (
	// fenceLag is when to look again at NetworkPolicies that the cache does not show as they are.
	fenceLag = time.Second
	// fenceRetry is when to try again to write one that was refused.
	fenceRetry = 30 * time.Second

	notAllowed = "this installation makes no NetworkPolicies: rbac.networkPolicies of the chart is false"
	unmarked   = "none is made for pods that an older release injected, that lost their marks, or whose sidecars serve more ports than fit into a label"
)

// fences are what NetworkPolicies of a namespace close.
type fences struct {
	isolate.Fence
	troubles map[string]string // by policy
	none     string            // why there are none at all
}

// fence brings the NetworkPolicies of a namespace up to date, and says what is closed by those that are there. What cannot be written is a
// trouble of its policy, and keeps no status from being written.
func (w *writer) fence(ctx context.Context, s *scene) (fences, error) {
	if !w.isolates {
		return fences{none: notAllowed}, nil
	}
	var list networkingv1.NetworkPolicyList
	if err := w.reader.List(ctx, &list, client.InNamespace(s.namespace)); err != nil {
		return fences{}, fmt.Errorf("list NetworkPolicies: %w", err)
	}
	have := make([]*networkingv1.NetworkPolicy, len(list.Items))
	for i := range list.Items {
		have[i] = &list.Items[i]
	}
	plan := isolate.For(s.result.Outcomes, have)
	w.carryOut(ctx, s, plan)
	return fences{Fence: isolate.NewFence(s.result.Outcomes, have), troubles: plan.Troubles}, nil
}

// carryOut writes what is planned. The time that it waits for the API server is not the namespace's work.
func (w *writer) carryOut(ctx context.Context, s *scene, plan isolate.Plan) {
	began := w.now()
	defer func() { s.waited += w.now().Sub(began) }()
	for _, n := range plan.Create {
		w.settle(s, plan, n, w.client.Create(ctx, n))
	}
	for _, n := range plan.Update {
		w.settle(s, plan, n, w.client.Update(ctx, n))
	}
	for _, n := range plan.Delete {
		w.settle(s, plan, n, w.client.Delete(ctx, n, client.Preconditions{UID: &n.UID, ResourceVersion: &n.ResourceVersion}))
	}
}

// settle takes down what became of a write.
func (w *writer) settle(s *scene, plan isolate.Plan, n *networkingv1.NetworkPolicy, err error) {
	switch {
	case err == nil:
	case apierrors.IsAlreadyExists(err), apierrors.IsConflict(err), apierrors.IsNotFound(err): // the cache is behind
		s.by(s.now.Add(fenceLag))
	default:
		s.by(s.now.Add(fenceRetry))
		for _, owner := range n.OwnerReferences {
			var is apierrors.APIStatus
			if cause := "the API server cannot be reached"; owner.Kind == "AuthPolicy" {
				if errors.As(err, &is) {
					cause = is.Status().Message
				}
				plan.Troubles[owner.Name] = fmt.Sprintf("NetworkPolicy %s cannot be written: %s", n.Name, cause)
			}
		}
	}
}

// fill says of pods that can be reached past their sidecar whether that is closed, if the policy asks for it.
func (f fences) fill(in *status.Input, o compile.Outcome) {
	if !isolate.Asks(o.Policy) {
		return
	}
	in.Unfenced = cmp.Or(f.none, f.troubles[o.Policy.Name])
	if !slices.ContainsFunc(in.Pods, func(p status.Pod) bool { return p.Open != "" }) {
		return
	}
	pods := map[string]compile.Workload{}
	for w := range o.Pods() {
		pods[w.Name] = w
	}
	for i := range in.Pods {
		p := &in.Pods[i]
		if p.Open == "" {
			continue
		}
		w := pods[p.Name]
		p.Closed, p.Opener = f.Closes(w.Labels, openPorts(p.Open))
		if _, marked := isolate.Serves(w); !marked && !p.Closed && p.Opener == "" && in.Unfenced == "" {
			in.Unfenced = unmarked
		}
	}
}

// openPorts reads push.Sidecar.Open; nil if there may be ports that it does not name.
func openPorts(text string) (ports []int32) {
	for item := range strings.SplitSeq(text, ", ") {
		n, err := strconv.ParseUint(item, 10, 16)
		if err != nil {
			return nil
		}
		ports = append(ports, int32(n)) //nolint:gosec // 16 bits
	}
	if len(ports) >= push.MaxPorts {
		return nil
	}
	return ports
}
