package inplace

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/upgrade"
	"github.com/bearerguard/bearerguard/controllers/inject"
)

// WantedImage is the image that a pod like this one would get its sidecar with if it were made now: admission is asked, by a pod that is
// not made.
func WantedImage(ctx context.Context, c client.Client, like *corev1.Pod) (string, error) {
	p, err := makeTrial(ctx, c, like, "bearerguard.dev/none", replicasDiffer, client.DryRunAll)
	if err != nil {
		return "", fmt.Errorf("learn which image sidecars get now, by a dry run of making a pod (or say --image): %w", err)
	}
	for i := range p.Spec.InitContainers {
		if p.Spec.InitContainers[i].Name == inject.SidecarName {
			return p.Spec.InitContainers[i].Image, nil
		}
	}
	return "", fmt.Errorf("new pods of namespace %s get no sidecar: see that the controller runs, or say --image", like.Namespace)
}

// replicasDiffer is how long replicas of the controller may take to be of one version.
const replicasDiffer = 30 * time.Second

// makeTrial makes a trial of an image. While replicas of the controller differ, as in its own upgrade, one refuses what another has put into
// the pod; that passes, and is waited for so long.
func makeTrial(
	ctx context.Context, c client.Client, like *corev1.Pod, image string, patience time.Duration, opts ...client.CreateOption,
) (*corev1.Pod, error) {
	for end := time.Now().Add(patience); ; {
		p := upgrade.Trial(like, image)
		err := c.Create(ctx, p, opts...)
		if err == nil || !disagree(err) || !time.Now().Before(end) {
			return p, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// disagree reports whether an error says that a sidecar is not the one that admission puts into pods, which it has just put there.
func disagree(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), inject.WantAdmitted)
}

// try tries the image on the node of a pod, in a pod of its own, before any other there is touched: what is learned there costs nobody a
// request. Each node is tried once.
func (r *Runner) try(ctx context.Context, p *corev1.Pod) error {
	r.trying.Lock()
	defer r.trying.Unlock()
	node := p.Spec.NodeName
	if err, tried := r.tried[node]; tried {
		return err
	}
	r.Say("trying the image on node " + node)
	err := r.trial(ctx, p)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		err = fmt.Errorf("the image does not work on node %s: %w", node, err)
	}
	if r.tried == nil {
		r.tried = map[string]error{}
	}
	r.tried[node] = err
	return err
}

func (r *Runner) trial(ctx context.Context, like *corev1.Pod) error {
	patience := replicasDiffer
	if r.Named {
		patience = 0
	}
	p, err := makeTrial(ctx, r.Client, like, r.Options.Image, patience)
	if r.Named && err != nil && disagree(err) {
		return fmt.Errorf("pods of namespace %s may not have it: leave out --image to have the one that new pods get, or run this again once the controller itself is upgraded: %w", like.Namespace, err)
	}
	if err != nil {
		return fmt.Errorf("make a pod to try it: %w", err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
		defer cancel()
		if err := client.IgnoreNotFound(r.Client.Delete(ctx, p, client.GracePeriodSeconds(1))); err != nil {
			r.Say("pod " + p.Name + ", which was a trial, is still there: " + err.Error())
		}
	}()
	waits := ""
	err = r.until(ctx, r.Timeout, func(ctx context.Context) (bool, error) {
		if err := r.read(ctx, p); err != nil {
			return false, err
		}
		outcome, why := upgrade.JudgeTrial(p)
		if outcome == upgrade.Fails {
			return false, errors.New(why)
		}
		waits = why
		return outcome == upgrade.Runs, nil
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("after %s, %s", r.Timeout, waits)
	}
	return err
}
