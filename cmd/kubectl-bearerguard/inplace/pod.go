package inplace

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/admin"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/upgrade"
)

// leaveTimeout is how long it may take until no Service sends requests to a pod any more.
const leaveTimeout = 30 * time.Second

// errGone is that a pod has gone meanwhile: somebody else replaces it.
var errGone = errors.New("the pod is gone")

// one upgrades one pod. It stops early for ctx, but never half way: a pod whose image was changed is seen through.
func (r *Runner) one(ctx context.Context, plan upgrade.Pod, p *corev1.Pod) Result {
	through := context.WithoutCancel(ctx)
	before := upgrade.Remember(p)
	complaints := upgrade.Complain(r.events(ctx, p), p.UID)
	if plan.State == upgrade.Begun {
		before.Container = "" // it is not known which of the two images it has
	} else {
		if !r.Options.NoTrial {
			if err := r.try(ctx, p); err != nil {
				return r.untouched(err)
			}
		}
		r.say(p.Name, "sends its clients elsewhere")
		if err := r.leave(ctx, p); err != nil {
			r.back(through, p)
			return r.untouched(err)
		}
		r.say(p.Name, "gets the image %s", r.Options.Image)
		patch, err := upgrade.Swap(p, r.Options.Image)
		if err == nil {
			err = r.patch(through, p, patch)
		}
		if err != nil {
			r.back(through, p)
			return r.untouched(fmt.Errorf("change its image: %w", err))
		}
	}
	release, err := r.settle(through, p, before, complaints)
	switch {
	case errors.Is(err, errGone):
		return r.untouched(err)
	case err != nil:
		return r.goBack(through, p, err)
	}
	return r.finish(through, p, before, release)
}

// because is a result that ends the upgrade.
func because(outcome, format string, args ...any) Result {
	return Result{Outcome: outcome, Pod: upgrade.Pod{Why: fmt.Sprintf(format, args...)}, stop: true}
}

// untouched is the result of a pod that runs as before.
func (r *Runner) untouched(err error) Result {
	switch {
	case errors.Is(err, errGone):
		return Result{Outcome: Gone}
	case errors.Is(err, context.Canceled):
		return because(string(upgrade.Due), "interrupted before its image was changed")
	}
	return because(failed, "%v; it runs as before", err)
}

// finish takes the note of the former image away.
func (r *Runner) finish(ctx context.Context, p *corev1.Pod, before upgrade.Before, release string) Result {
	patch, err := upgrade.Done(p, release)
	if err == nil {
		err = r.patch(ctx, p, patch)
	}
	switch container := before.Restarted(p); {
	case err != nil && !errors.Is(err, errGone):
		return because(failed, "the new sidecar works, but this could not be noted: %v", err)
	case container != "":
		return because(upgraded, "the new sidecar works, but the container %s restarted meanwhile; see kubectl describe pod %s: "+
			"perhaps its liveness probe bears too short an absence of the sidecar", container, p.Name)
	}
	return Result{Outcome: upgraded}
}

// leave has a pod's sidecar send its clients elsewhere, and returns when no Service sends requests to it any more, and clients have had their
// time to go.
func (r *Runner) leave(ctx context.Context, p *corev1.Pod) error {
	wait := upgrade.DrainWait(p)
	if _, err := admin.StepAside(ctx, r.Config, p, leaveTimeout+wait+30*time.Second); err != nil {
		return r.orGone(ctx, p, fmt.Errorf("ask its sidecar to step aside: %w", err))
	}
	left := "the pod is still ready"
	err := r.until(ctx, leaveTimeout, func(ctx context.Context) (bool, error) {
		all, err := r.slices(ctx)
		if err != nil {
			return false, err
		}
		if err := r.read(ctx, p); err != nil {
			return false, err
		}
		left = "the pod is still ready"
		if services := upgrade.Reachable(all, p.Name); len(services) > 0 {
			left = "these Services still send requests to it: " + strings.Join(services, ", ")
			return false, nil
		}
		return !upgrade.Ready(p), nil
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New(left)
	}
	if err == nil {
		pause(ctx, wait)
		err = ctx.Err()
	}
	return err
}

// back has a sidecar that has stepped aside come back. If it does not hear, it does so by itself.
func (r *Runner) back(ctx context.Context, p *corev1.Pod) {
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
	defer cancel()
	if _, err := admin.Back(ctx, r.Config, p); err != nil {
		r.say(p.Name, "could not be told to take clients again (%v); it will in a minute or so", err)
	}
}

// settle waits until the sidecar of a pod is a new one, ready, and has the controller's newest rules in force. It returns the sidecar's
// release, empty for one that does not say. What says that it cannot start ends it, of events those beyond known ones; but known is nil
// where nothing is left to be done about that: then it is waited for.
func (r *Runner) settle(ctx context.Context, p *corev1.Pod, before upgrade.Before, known upgrade.Complaints) (release string, err error) {
	waits, said := "", ""
	err = r.until(ctx, r.Timeout, func(ctx context.Context) (bool, error) {
		if err := r.read(ctx, p); err != nil {
			return false, err
		}
		outcome, why := before.Judge(p)
		switch outcome {
		case upgrade.Fails:
			if known != nil {
				return false, errors.New(why)
			}
			waits = why // it may be from before
		case upgrade.Pending:
			waits = before.Waits(p)
			if known == nil {
				break
			}
			if why := known.New(r.events(ctx, p), p.UID); why != "" {
				return false, errors.New(why)
			}
		case upgrade.Runs:
			report, err := admin.Aside(ctx, r.Config, p)
			if errors.Is(err, admin.ErrRelease) || err == nil && report.Current {
				release = report.Release
				return true, nil
			}
			waits = "the new sidecar has no word from the controller that its rules are the newest"
		}
		if waits != said {
			r.say(p.Name, "%s", waits)
			said = waits
		}
		return false, nil
	})
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("after %s, %s", r.Timeout, waits)
	}
	return release, err
}

// goBack gives a pod the image that it had, and waits until that works.
func (r *Runner) goBack(ctx context.Context, p *corev1.Pod, cause error) Result {
	r.say(p.Name, "goes back to its former image: %v", cause)
	before := upgrade.Remember(p)
	patch, err := upgrade.GoBack(p)
	if err == nil {
		err = r.patch(ctx, p, patch)
	}
	if err != nil {
		return because(failed, "%v; and its former image could not be put back: %v", cause, err)
	}
	switch _, err := r.settle(ctx, p, before, nil); {
	case errors.Is(err, errGone):
		return Result{Outcome: Gone}
	case err != nil:
		return because(failed, "%v; it has its former image again, but does not work: %v", cause, err)
	}
	return because(wentBack, "%v", cause)
}

// patch changes a pod, and reads what came of it.
func (r *Runner) patch(ctx context.Context, p *corev1.Pod, patch []byte) error {
	err := r.Client.Patch(ctx, p, client.RawPatch(types.JSONPatchType, patch))
	if apierrors.IsNotFound(err) {
		return errGone
	}
	return err
}

// read reads a pod anew.
func (r *Runner) read(ctx context.Context, p *corev1.Pod) error {
	var now corev1.Pod
	err := r.Client.Get(ctx, client.ObjectKeyFromObject(p), &now)
	switch {
	case apierrors.IsNotFound(err) || err == nil && (now.UID != p.UID || now.DeletionTimestamp != nil):
		return errGone
	case err != nil:
		return err
	}
	*p = now
	return nil
}

// events returns those of a pod; none to one who may not read them: then only a timeout tells.
func (r *Runner) events(ctx context.Context, p *corev1.Pod) []corev1.Event {
	var list corev1.EventList
	if r.Client.List(ctx, &list, client.InNamespace(p.Namespace), client.MatchingFields{"involvedObject.uid": string(p.UID)}) != nil {
		return nil
	}
	return list.Items
}

// orGone is err, unless it is because the pod has gone.
func (r *Runner) orGone(ctx context.Context, p *corev1.Pod, err error) error {
	if errors.Is(r.read(ctx, p), errGone) {
		return errGone
	}
	return err
}

// until calls f until it is done, fails, or the time is over. What an API server refuses to say just now it is asked again.
func (r *Runner) until(ctx context.Context, most time.Duration, f func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for {
		done, err := f(ctx)
		switch {
		case done:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && !transient(err):
			return err
		}
		pause(ctx, r.every())
	}
}

// transient reports whether an error of the API server may go away by itself: the upgrade outlives the restart of one.
func transient(err error) bool {
	return apierrors.IsServerTimeout(err) || apierrors.IsTooManyRequests(err) || apierrors.IsInternalError(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsTimeout(err)
}
