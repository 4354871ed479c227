package preflight

import (
	"context"
	"time"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Shared is the ValidatingAdmissionPolicy that one release makes for all: it refuses pods that ask for a sidecar and have none.
const Shared = "bearerguard-asked"

// ReasonUnguarded is the reason of the event on the controller's Deployment.
const ReasonUnguarded = "AdmissionPolicyMissing"

const unguarded = "the cluster has no ValidatingAdmissionPolicy " + Shared + ", without which pods of a revision that nobody has installed run bare; " +
	"want shared.create=true in one release, or the release without a revision"

// Guard tells, in the log and by an event on the controller's Deployment, while the rules are missing that another release is to make.
type Guard struct {
	// Reader reads the API server; Events tells of what is missing. Both are required.
	Reader client.Reader
	Events events.EventRecorder
	// Deployment is the controller's.
	Deployment client.ObjectKey
	// Every is the time between two looks. Default 10m.
	Every time.Duration
	Log   logr.Logger
}

// Start looks until ctx is done; on the replica that leads.
func (g *Guard) Start(ctx context.Context) error {
	if g.Every == 0 {
		g.Every = 10 * time.Minute
	}
	ticker := time.NewTicker(g.Every)
	defer ticker.Stop()
	for {
		g.look(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (g *Guard) look(ctx context.Context) {
	var p admissionv1.ValidatingAdmissionPolicy
	err := g.Reader.Get(ctx, client.ObjectKey{Name: Shared}, &p)
	switch {
	case err == nil || ctx.Err() != nil:
		return
	case !apierrors.IsNotFound(err):
		g.Log.Info("it is not known whether pods without a sidecar are refused", "cause", err.Error())
		return
	}
	g.Log.Info("pods that ask for a sidecar may run without one", "cause", unguarded)
	d := &appsv1.Deployment{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}}
	d.Namespace, d.Name = g.Deployment.Namespace, g.Deployment.Name
	if err := g.Reader.Get(ctx, g.Deployment, d); err == nil {
		g.Events.Eventf(d, nil, corev1.EventTypeWarning, ReasonUnguarded, "Guard", "%s", unguarded)
	}
}
