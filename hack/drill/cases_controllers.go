package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

const deployment = "deploy/bearerguard-controller"

func controllerCases() []drillCase {
	return []drillCase{
		{
			name: "both controllers killed", quick: true,
			what: "SIGKILL to both at once; sidecars go on, and an edit bites once they are back",
			run: func(ctx context.Context, w *world) error {
				w.fault()
				if _, err := command(ctx, "", "pkill", "-9", "-f", "^/controller"); err != nil {
					return err
				}
				return w.editBites(ctx, 60*time.Second)
			},
		},
		{
			name: "the leader killed", quick: true,
			what: "SIGKILL to the pod that leads; the other takes over and writes status",
			run: func(ctx context.Context, w *world) error {
				leader, err := w.get(ctx, system, "lease/bearerguard-controller", ".spec.holderIdentity")
				if err != nil {
					return err
				}
				w.fault()
				pod, _, _ := strings.Cut(leader, "_")
				if _, err := w.kubectl(ctx, "-n", system, "delete", "pod", pod, "--grace-period=0", "--force"); err != nil {
					return err
				}
				return w.editBites(ctx, 60*time.Second)
			},
		},
		{
			name: "controllers away, sidecars and apps restart", quick: true,
			what:  "no controller for 10 minutes (1 in the quick half); every sidecar and app is killed meanwhile; sidecars decide from their last good copy",
			bound: bound{refused: unbounded, dropped: unbounded, recover: 30 * time.Second},
			run: func(ctx context.Context, w *world) error {
				if err := w.scale(ctx, 0); err != nil {
					return err
				}
				pause(ctx, w.patience(5*time.Minute, 20*time.Second))
				if t := w.load.sofar(); t.refused+t.dropped > 0 {
					return fmt.Errorf("%d requests failed while only the controllers were away", t.refused+t.dropped)
				}
				w.fault()
				if _, err := command(ctx, "", "pkill", "-9", "-f", "^/(sidecar run|e2e-app serve)"); err != nil {
					return err
				}
				pause(ctx, w.patience(5*time.Minute, 40*time.Second))
				return nil
			},
			restore: func(ctx context.Context, w *world) error { return w.scale(ctx, 2) },
		},
		{
			name: "controllers away, a pod is replaced", quick: true,
			what: "a pod that asks for a sidecar waits for the webhook instead of coming up bare; one that does not ask starts",
			run: func(ctx context.Context, w *world) error {
				if err := w.scale(ctx, 0); err != nil {
					return err
				}
				w.fault()
				if err := w.runPod(ctx, "bystander", "", `"args":["hold"]`); err != nil {
					return fmt.Errorf("a pod that did not ask: %w", err)
				}
				if err := w.runPod(ctx, "asked", `"bearerguard.dev/inject":"enabled"`, `"args":["hold"]`); err == nil {
					return errors.New("a pod that asked for a sidecar came up bare")
				}
				return nil
			},
			restore: func(ctx context.Context, w *world) error {
				return errors.Join(w.scale(ctx, 2), w.deletePods(ctx, "bystander", "asked"))
			},
		},
	}
}

// scale sets the number of controllers, and waits until they are there, or gone.
func (w *world) scale(ctx context.Context, n int) error {
	if _, err := w.kubectl(ctx, "-n", system, "scale", deployment, fmt.Sprintf("--replicas=%d", n)); err != nil {
		return err
	}
	if n > 0 {
		_, err := w.kubectl(ctx, "-n", system, "rollout", "status", deployment, "--timeout=90s")
		return err
	}
	if !eventually(ctx, 60*time.Second, func() bool {
		out, err := w.kubectl(ctx, "-n", system, "get", "pods", "-o", "name")
		return err == nil && out == ""
	}) {
		return errors.New("the controllers do not go")
	}
	return nil
}

// editBites denies a path by an edit, and waits until sidecars refuse it and the status says so.
func (w *world) editBites(ctx context.Context, limit time.Duration) error {
	name := fmt.Sprintf("deny-%d", time.Now().UnixNano())
	err := errors.New("never")
	if !eventually(ctx, limit, func() bool { err = w.apply(ctx, denyPolicy(name)); return err == nil }) {
		return fmt.Errorf("an edit is not taken within %s: %w", limit, err)
	}
	defer func() { _, _ = w.kubectl(ctx, "-n", shop, "delete", "authpolicy", name, "--wait=false") }()
	w.told(w.says(ctx, "authpolicy/"+name, "Programmed", "True/", limit))
	code := 0
	if !eventually(ctx, 2*time.Second, func() bool { code = w.askAll(ctx, "/"+name); return code == 403 }) {
		return fmt.Errorf("the status says Programmed, but a sidecar answers %d to what the edit denies", code)
	}
	return nil
}

// denyPolicy denies one path to everybody.
func denyPolicy(name string) string {
	return fmt.Sprintf(`
apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: %[1]s, namespace: shop}
spec:
  selector: {matchLabels: {app: orders}}
  rules: [{name: never, match: [{paths: ["/%[1]s"]}], deny: {}}]
---
`, name)
}
