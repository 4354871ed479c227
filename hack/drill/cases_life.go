package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

func lifeCases() []drillCase {
	return []drillCase{
		{
			name: "helm upgrade and rollback",
			what: "both controllers are replaced, twice; requests and edits go on",
			run: func(ctx context.Context, w *world) error {
				w.fault()
				if err := w.install(ctx, "--set", "podAnnotations.drill=again"); err != nil {
					return err
				}
				if err := w.editBites(ctx, 15*time.Second); err != nil {
					return err
				}
				if _, err := command(ctx, "", "helm", "rollback", "bearerguard", "-n", system, "--wait", "--timeout", "100s"); err != nil {
					return err
				}
				return w.editBites(ctx, 15*time.Second)
			},
		},
		{
			name: "namespace deleted",
			what: "a namespace with a guarded app and a policy goes; the others notice nothing",
			run: func(ctx context.Context, w *world) error {
				if err := w.namespace(ctx, "doomed", "bearerguard.dev/inject=enabled"); err != nil {
					return err
				}
				if err := w.runPodIn(ctx, "doomed", "app", "", `"args":["serve",":8080"]`, ""); err != nil {
					return err
				}
				if _, err := w.kubectl(ctx, "-n", "doomed", "wait", "--for=condition=Ready=False", "pod/app", "--timeout=20s"); err != nil {
					return err
				}
				w.fault()
				if err := w.noNamespace(ctx, "doomed"); err != nil {
					return err
				}
				return w.editBites(ctx, 15*time.Second)
			},
			restore: func(ctx context.Context, w *world) error { return w.noNamespace(ctx, "doomed") },
		},
		{
			name: "helm uninstall, a pod is replaced, reinstall", quick: true,
			what: "sidecars go on; no pod that asks comes up bare: the API server refuses it; after the reinstall all is as before",
			run: func(ctx context.Context, w *world) error {
				w.fault()
				if _, err := command(ctx, "", "helm", "uninstall", "bearerguard", "-n", system, "--wait"); err != nil {
					return err
				}
				if err := w.replacePod(ctx); err != nil {
					return err
				}
				pause(ctx, 8*time.Second)
				if names, err := w.bare(ctx); err != nil || names != "" {
					return fmt.Errorf("pods without a sidecar: %s (%w)", names, errors.Join(err, errors.New("want none")))
				}
				if err := w.install(ctx); err != nil {
					return err
				}
				if err := w.retryPods(ctx); err != nil {
					return err
				}
				if err := w.noneBare(ctx); err != nil {
					return err
				}
				return w.editBites(ctx, 60*time.Second)
			},
			restore: func(ctx context.Context, w *world) error { return w.install(ctx) },
		},
	}
}

// retryPods has ReplicaSets make the pods again that were refused. They try with growing pauses, unless they change; and a try may come before the API
// server knows the webhook's new certificate.
func (w *world) retryPods(ctx context.Context) error {
	for range 10 {
		if _, err := w.kubectl(ctx, "-n", shop, "annotate", "replicasets", "--all", "--overwrite", fmt.Sprintf("retry=%d", time.Now().UnixNano())); err != nil {
			return err
		}
		if _, err := w.kubectl(ctx, "-n", shop, "rollout", "status", "deploy/orders", "--timeout=10s"); err == nil {
			return nil
		}
	}
	return nil // what is wrong is told by who waits for them
}
