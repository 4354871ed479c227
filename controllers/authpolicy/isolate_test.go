package authpolicy

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/controllers/compile"
	"github.com/bearerguard/bearerguard/controllers/status"
)

// askingOutcome is a policy that asks for NetworkPolicies, with a pod of these labels.
func askingOutcome(labels map[string]string) compile.Outcome {
	return compile.Outcome{
		Policy:   &compile.Policy{Name: "orders", UID: "u", Namespace: "shop", NetworkPolicy: true},
		Selected: []*compile.Group{{Workloads: []compile.Workload{{Name: "a", UID: "a", Injected: true, Labels: labels}}}},
	}
}

func TestWhyAPortIsNotClosed(t *testing.T) {
	t.Parallel()
	quiet := askingOutcome(nil)
	quiet.Policy.NetworkPolicy = false
	unmarkedPod := askingOutcome(map[string]string{"bearerguard.dev/serves": "8080"})
	unmarkedPod.Selected[0].Workloads[0].Injected = false
	for name, tc := range map[string]struct {
		outcome compile.Outcome
		none    string
		want    string
	}{
		"the installation makes none": {askingOutcome(nil), notAllowed, notAllowed},
		"the pod has no mark":         {askingOutcome(nil), "", unmarked},
		"its marks were taken off":    {unmarkedPod, "", unmarked},
		"it is being made":            {askingOutcome(map[string]string{"bearerguard.dev/serves": "8080"}), "", ""},
		"the policy does not ask":     {quiet, notAllowed, ""},
	} {
		in := status.Input{Pods: []status.Pod{{Name: "a", Open: "18080"}}}
		fences{none: tc.none}.fill(&in, tc.outcome)
		if in.Unfenced != tc.want || in.Pods[0].Closed {
			t.Errorf("%s: %q, closed %v; want %q", name, in.Unfenced, in.Pods[0].Closed, tc.want)
		}
	}
}

func TestOpenPortsThatAreNotAllNamedAreNotKnown(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]int32{
		"18080": {18080}, "1, 65535": {1, 65535}, "1, 2, 3, 4, 5, 6, 7, 8": nil, "x": nil, "": nil,
	} {
		if diff := cmp.Diff(want, openPorts(text)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

// refusing fails every creation.
type refusing struct {
	client.Client
	err error
}

func (r refusing) Create(context.Context, client.Object, ...client.CreateOption) error { return r.err }

type noNetworkPolicies struct{ client.Reader }

func (noNetworkPolicies) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return nil
}

// A NetworkPolicy that cannot be written is told of, and tried again; statuses are written all the same.
func TestANetworkPolicyThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	kind := schema.GroupResource{Group: networkingv1.GroupName, Resource: "networkpolicies"}
	for name, tc := range map[string]struct {
		err   error
		want  string
		again time.Duration
	}{
		"it is forbidden":            {apierrors.NewForbidden(kind, "orders-8080", errors.New("a quota")), "NetworkPolicy orders-8080 cannot be written: networkpolicies.networking.k8s.io \"orders-8080\" is forbidden: a quota", fenceRetry},
		"nobody answers":             {errors.New("dial tcp 10.0.0.1:443: no route"), "NetworkPolicy orders-8080 cannot be written: the API server cannot be reached", fenceRetry},
		"the cache does not have it": {apierrors.NewAlreadyExists(kind, "orders-8080"), "", fenceLag},
	} {
		now := time.Now()
		s := &scene{namespace: "shop", now: now, again: now.Add(time.Hour), result: &compile.Result{
			Outcomes: []compile.Outcome{askingOutcome(map[string]string{"bearerguard.dev/serves": "8080"})},
		}}
		w := &writer{reader: noNetworkPolicies{}, client: refusing{err: tc.err}, isolates: true, now: time.Now}
		f, err := w.fence(t.Context(), s)
		if err != nil || f.troubles["orders"] != tc.want || s.again.Sub(now) != tc.again {
			t.Errorf("%s: %v, %q, again in %s", name, err, f.troubles["orders"], s.again.Sub(now))
		}
	}
}
