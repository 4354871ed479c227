package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

func guardCases() []drillCase {
	keptBound := bound{dropped: 2, recover: 60 * time.Second}
	return []drillCase{
		{
			name: "rollout undo", quick: true, bound: keptBound,
			what: "kubectl rollout undo to the revision from before the annotation; the guard stays",
			run: func(ctx context.Context, w *world) error {
				bare, err := w.bareRevision(ctx)
				if err != nil {
					return err
				}
				w.fault()
				if _, err := w.kubectl(ctx, "-n", shop, "rollout", "undo", "deploy/orders", "--to-revision="+bare); err != nil {
					return err
				}
				return w.noneBare(ctx)
			},
		},
		{
			name: "kubectl replace", quick: true, bound: keptBound,
			what: "the original manifest, which knows of no guard, replaces the Deployment; the guard stays",
			run: func(ctx context.Context, w *world) error {
				w.fault()
				_, manifest, _ := strings.Cut(app, "---\n")
				if _, err := command(ctx, manifest, "kubectl", "replace", "-f", "-"); err != nil {
					return err
				}
				return w.noneBare(ctx)
			},
		},
		{
			name: "webhook configurations deleted, a pod is replaced", quick: true,
			what: "the controller makes them again; meanwhile the API server itself refuses a pod that asks for a sidecar and has none",
			run: func(ctx context.Context, w *world) error {
				w.fault()
				if _, err := w.kubectl(ctx, "delete", "mutatingwebhookconfiguration,validatingwebhookconfiguration", "bearerguard"); err != nil {
					return err
				}
				if err := w.replacePod(ctx); err != nil {
					return err
				}
				if err := w.noneBare(ctx); err != nil {
					return err
				}
				if !eventually(ctx, 30*time.Second, func() bool {
					_, err := w.kubectl(ctx, "get", "mutatingwebhookconfiguration,validatingwebhookconfiguration", "bearerguard")
					return err == nil
				}) {
					return errors.New("the webhook configurations do not come back")
				}
				return w.editBites(ctx, 30*time.Second)
			},
			restore: func(ctx context.Context, w *world) error { return w.install(ctx) },
		},
		{
			name: "certificate Secret deleted", quick: true,
			what: "it comes back with what the controllers serve; sidecars and webhooks notice nothing",
			run: func(ctx context.Context, w *world) error {
				w.fault()
				if _, err := w.kubectl(ctx, "-n", system, "delete", "secret", "bearerguard-certs"); err != nil {
					return err
				}
				for range 5 {
					if err := w.editBites(ctx, 5*time.Second); err != nil {
						return err
					}
				}
				if !eventually(ctx, 30*time.Second, func() bool {
					_, err := w.kubectl(ctx, "-n", system, "get", "secret", "bearerguard-certs")
					return err == nil
				}) {
					return errors.New("the Secret does not come back")
				}
				return nil
			},
		},
		{
			name: "authority ConfigMap deleted",
			what: "the ConfigMap that sidecars mount comes back; a new pod starts with it",
			run: func(ctx context.Context, w *world) error {
				w.fault()
				if _, err := w.kubectl(ctx, "-n", shop, "delete", "configmap", "bearerguard-ca"); err != nil {
					return err
				}
				if err := w.replacePod(ctx); err != nil {
					return err
				}
				return w.noneBare(ctx)
			},
		},
		{
			name: "hostNetwork in a labelled namespace", quick: true,
			what: "the namespace asks for sidecars, the pod cannot have one: it is refused with the way out",
			run: func(ctx context.Context, w *world) error {
				w.fault()
				if err := w.namespace(ctx, "labelled", "bearerguard.dev/inject=enabled"); err != nil {
					return err
				}
				return refusedWith(w.runPodIn(ctx, "labelled", "host", "", `"args":["hold"]`, `"hostNetwork":true,`), "bearerguard.dev/inject")
			},
			restore: func(ctx context.Context, w *world) error { return w.noNamespace(ctx, "labelled") },
		},
		{
			name: "wrong namespace label", quick: true,
			what: "bearerguard.dev/inject=true on a namespace is refused there, with the right spelling",
			run: func(ctx context.Context, w *world) error {
				w.fault()
				if err := w.namespace(ctx, "labelled"); err != nil {
					return err
				}
				_, err := w.kubectl(ctx, "label", "namespace", "labelled", "bearerguard.dev/inject=true")
				return refusedWith(err, "enabled")
			},
			restore: func(ctx context.Context, w *world) error { return w.noNamespace(ctx, "labelled") },
		},
		{
			name: "enforced namespace", quick: true,
			what: "with bearerguard.dev/enforce=true a pod that says inject: disabled is refused, and so is one with a forged sidecar",
			run: func(ctx context.Context, w *world) error {
				w.fault()
				if err := w.namespace(ctx, "enforced", "bearerguard.dev/enforce=true"); err != nil {
					return err
				}
				disabled := w.runPodIn(ctx, "enforced", "off", `"bearerguard.dev/inject":"disabled"`, `"args":["hold"]`, "")
				forged := w.runPodIn(ctx, "enforced", "forged", `"bearerguard.dev/inject":"disabled"`, `"args":["hold"]`,
					`"initContainers":[{"name":"bearerguard","image":"bearerguard.local/e2e-app:dev","args":["hold"],"restartPolicy":"Always"}],`)
				return errors.Join(refusedWith(disabled, "enforce"), refusedWith(forged, "enforce"))
			},
			restore: func(ctx context.Context, w *world) error { return w.noNamespace(ctx, "enforced") },
		},
		{
			name: "an app on 127.0.0.1 only", quick: true,
			what: "what was not reachable from the network stays so once the pod is guarded",
			run: func(ctx context.Context, w *world) error {
				w.fault()
				if err := w.runPod(ctx, "private", `"bearerguard.dev/inject":"enabled"`, `"args":["serve","127.0.0.1:8080"]`); err != nil {
					return err
				}
				if err := w.apply(ctx, strings.NewReplacer("name: orders,", "name: private,", "{app: orders}", "{app: private}").Replace(policy(w.keys.url))); err != nil {
					return err
				}
				ip := ""
				if !eventually(ctx, 30*time.Second, func() bool {
					ip, _ = w.get(ctx, shop, "pod/private", ".status.podIP")
					return ip != "" && askOnce(ctx, "http://"+ip+":8080/orders", "") == 401
				}) {
					return errors.New("the pod's sidecar does not answer")
				}
				if code := askOnce(ctx, "http://"+ip+":8080/orders", w.signer.get().token(claims())); code == 200 {
					return errors.New("the app on 127.0.0.1 answers the network")
				}
				return nil
			},
			restore: func(ctx context.Context, w *world) error {
				return errors.Join(w.deletePods(ctx, "private"), w.gone(ctx, "authpolicy", "private"))
			},
		},
		{
			name: "a selected pod runs bare", quick: true,
			what: "a pod that the policy selects says inject: disabled; the policy says Guarded=False and names it",
			run: func(ctx context.Context, w *world) error {
				w.fault()
				manifest := `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"naked","namespace":"shop","labels":{"app":"orders","naked":"yes"},"annotations":{"bearerguard.dev/inject":"disabled"}},
"spec":{"terminationGracePeriodSeconds":1,"containers":[{"name":"app","image":"bearerguard.local/e2e-app:dev","args":["hold"],"readinessProbe":{"exec":{"command":["/never"]}}}]}}`
				if err := w.apply(ctx, manifest); err != nil {
					return err
				}
				w.told(w.says(ctx, "authpolicy/orders", "Guarded", "False/", 10*time.Second))
				if c := w.condition(ctx, "authpolicy/orders", "Guarded"); !strings.Contains(c, "naked") {
					w.told(fmt.Errorf("the message does not name the pod: %s", c))
				}
				w.told(w.says(ctx, "authpolicy/orders", "Ready", "False/", 10*time.Second))
				return nil
			},
			restore: func(ctx context.Context, w *world) error { return w.deletePods(ctx, "naked") },
		},
	}
}

// bareRevision returns the revision of the Deployment from before it was annotated.
func (w *world) bareRevision(ctx context.Context) (string, error) {
	out, err := w.kubectl(ctx, "-n", shop, "get", "replicasets", "-l", "app=orders", "-o",
		`jsonpath={range .items[*]}{.metadata.annotations.deployment\.kubernetes\.io/revision} {.spec.template.metadata.annotations}{'\n'}{end}`)
	for _, line := range strings.Split(out, "\n") {
		revision, annotations, _ := strings.Cut(line, " ")
		if revision != "" && !strings.Contains(annotations, "bearerguard.dev/inject") {
			return revision, err
		}
	}
	return "", errors.Join(err, errors.New("no revision of deploy/orders is from before the annotation"))
}

// noneBare waits for the rollout and returns an error if a pod of the app came up without a sidecar.
func (w *world) noneBare(ctx context.Context) error {
	pause(ctx, 2*time.Second)
	if _, err := w.kubectl(ctx, "-n", shop, "rollout", "status", "deploy/orders", "--timeout=110s"); err != nil {
		return err
	}
	names, err := w.bare(ctx)
	if names != "" {
		return fmt.Errorf("pods without a sidecar: %s", names)
	}
	return err
}

// replacePod deletes a pod of the app, so that another comes in its place.
func (w *world) replacePod(ctx context.Context) error {
	pod, err := w.kubectl(ctx, "-n", shop, "get", "pods", "-l", "app=orders", "-o", "jsonpath={.items[0].metadata.name}")
	if err != nil {
		return err
	}
	_, err = w.kubectl(ctx, "-n", shop, "delete", "pod", pod)
	return err
}

func (w *world) namespace(ctx context.Context, name string, labels ...string) error {
	if _, err := w.kubectl(ctx, "create", "namespace", name); err != nil {
		return err
	}
	if len(labels) > 0 {
		if _, err := w.kubectl(ctx, append([]string{"label", "namespace", name}, labels...)...); err != nil {
			return err
		}
	}
	if !eventually(ctx, 20*time.Second, func() bool { _, err := w.kubectl(ctx, "-n", name, "get", "sa", "default"); return err == nil }) {
		return fmt.Errorf("namespace %s has no service account", name)
	}
	return nil
}

func (w *world) noNamespace(ctx context.Context, name string) error {
	_, err := w.kubectl(ctx, "delete", "namespace", name, "--ignore-not-found")
	return err
}
