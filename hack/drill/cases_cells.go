package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// blueRelease is a second release, of revision blue, and its namespace; azure is a namespace that it serves.
const (
	blueRelease = "bearerguard-blue"
	azure       = "azure"
	revision    = "bearerguard.dev/revision"
)

func cellCases() []drillCase {
	return []drillCase{
		{
			name: "two cells side by side",
			what: "a second release serves a namespace of its own; edits go on in each while the other is away, and when one is uninstalled",
			run:  sideBySide,
			restore: func(ctx context.Context, w *world) error {
				return errors.Join(w.scale(ctx, 2), w.noNamespace(ctx, azure), w.noBlue(ctx))
			},
		},
		{
			name: "a namespace goes to another cell and back", bound: bound{dropped: 2, recover: 4 * time.Minute},
			what: "its label changes while requests go on: pods stay with their release, which tells them of edits and revocations, until they are restarted",
			run:  goAndComeBack,
			restore: func(ctx context.Context, w *world) error {
				_, err := w.kubectl(ctx, "label", "namespace", shop, revision+"-")
				return errors.Join(err, w.gone(ctx, "tokenrevocation", "on-the-way"), w.restartApp(ctx), w.noBlue(ctx))
			},
		},
		{
			name: "a revision that nobody has installed", quick: true,
			what: "the namespace asks for sidecars, and no release serves it: the API server refuses the pod and says whose it is",
			run: func(ctx context.Context, w *world) error {
				w.fault()
				if err := w.namespace(ctx, "nobodys", "bearerguard.dev/inject=enabled", revision+"=red"); err != nil {
					return err
				}
				return refusedWith(w.runPodIn(ctx, "nobodys", "app", "", `"args":["hold"]`, ""), "the release of revision red")
			},
			restore: func(ctx context.Context, w *world) error { return w.noNamespace(ctx, "nobodys") },
		},
	}
}

// sideBySide has each of two releases go on without the other.
func sideBySide(ctx context.Context, w *world) error {
	w.fault()
	if err := w.installBlue(ctx); err != nil {
		return err
	}
	if err := w.namespace(ctx, azure, "bearerguard.dev/inject=enabled", revision+"=blue"); err != nil {
		return err
	}
	if err := w.apply(ctx, inAzure(secret("corp-ca", "ca.crt", w.keys.ca)+policy(w.keys.url))); err != nil {
		return err
	}
	if err := w.runPodIn(ctx, azure, "orders", "", `"args":["serve",":8080"]`, ""); err != nil {
		return err
	}
	if err := w.marked(ctx, azure, "blue"); err != nil {
		return err
	}
	if _, err := w.kubectl(ctx, "-n", azure, "wait", "--for=condition=Ready", "pod/orders", "authpolicy/orders", "--timeout=90s"); err != nil {
		return err
	}
	if err := w.editBites(ctx, 15*time.Second); err != nil {
		return fmt.Errorf("with both releases there: %w", err)
	}
	if err := w.scale(ctx, 0); err != nil {
		return err
	}
	if err := w.azureDenies(ctx); err != nil {
		return fmt.Errorf("with the default release away: %w", err)
	}
	if err := w.scale(ctx, 2); err != nil {
		return err
	}
	if _, err := command(ctx, "", "helm", "uninstall", blueRelease, "-n", blueRelease, "--wait"); err != nil {
		return err
	}
	if err := w.editBites(ctx, 60*time.Second); err != nil {
		return fmt.Errorf("with the other release uninstalled: %w", err)
	}
	if code := w.askAzure(ctx, "/orders"); code != 200 {
		return fmt.Errorf("a sidecar whose release was uninstalled answers %d to a valid token, want 200", code)
	}
	return w.azureStillDenies(ctx)
}

// goAndComeBack moves the app's namespace, under load, to the other release and back.
func goAndComeBack(ctx context.Context, w *world) error {
	if err := w.installBlue(ctx); err != nil {
		return err
	}
	w.fault()
	if _, err := w.kubectl(ctx, "label", "namespace", shop, revision+"=blue"); err != nil {
		return err
	}
	if _, err := w.editTakes(ctx); err != nil {
		return fmt.Errorf("between label and restart: %w", err)
	}
	token := w.signer.get().token(with(claims(), "jti", "on-the-way"))
	if err := w.apply(ctx, revocation("on-the-way", "on-the-way")); err != nil {
		return err
	}
	code := 0
	if !eventually(ctx, 5*time.Second, func() bool { code = w.askAllWith(ctx, "/orders", token); return code == 401 }) {
		return fmt.Errorf("a token that is revoked between label and restart: %d after 5 s, want 401", code)
	}
	if err := w.restartApp(ctx); err != nil {
		return err
	}
	if err := w.marked(ctx, shop, "blue"); err != nil {
		return err
	}
	w.told(w.says(ctx, "authpolicy/orders", "Ready", "True/", 30*time.Second))
	if err := w.editBites(ctx, 15*time.Second); err != nil {
		return fmt.Errorf("with the other release: %w", err)
	}
	if code := w.askAllWith(ctx, "/orders", token); code != 401 {
		return fmt.Errorf("the revoked token after the restart: %d, want 401", code)
	}
	if _, err := w.kubectl(ctx, "label", "namespace", shop, revision+"-"); err != nil {
		return err
	}
	if err := w.restartApp(ctx); err != nil {
		return err
	}
	if err := w.marked(ctx, shop, ""); err != nil {
		return err
	}
	w.told(w.says(ctx, "authpolicy/orders", "Ready", "True/", 30*time.Second))
	return w.editBites(ctx, 15*time.Second)
}

func (w *world) installBlue(ctx context.Context) error {
	return w.installAs(ctx, blueRelease, blueRelease, "--set", "revision=blue", "--set", "replicas=1")
}

// noBlue takes away the second release and what it leaves.
func (w *world) noBlue(ctx context.Context) error {
	_, uninstalled := command(ctx, "", "helm", "uninstall", blueRelease, "-n", blueRelease, "--wait", "--ignore-not-found")
	_, rules := w.kubectl(ctx, "delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", "bearerguard-enforced-in-blue", "--ignore-not-found")
	return errors.Join(uninstalled, rules, w.noNamespace(ctx, blueRelease))
}

// restartApp restarts the app's pods; none comes up without a sidecar.
func (w *world) restartApp(ctx context.Context) error {
	if _, err := w.kubectl(ctx, "-n", shop, "rollout", "restart", "deploy/orders"); err != nil {
		return err
	}
	return w.noneBare(ctx)
}

// marked waits until the marks of all pods of the app in a namespace say the revision of their release; "": none.
func (w *world) marked(ctx context.Context, namespace, want string) error {
	marks := ""
	ok := eventually(ctx, 60*time.Second, func() bool {
		marks, _ = w.kubectl(ctx, "-n", namespace, "get", "pods", "-l", "app=orders", "-o", `jsonpath={.items[*].metadata.annotations.bearerguard\.dev/injected}`)
		return marks != "" && !slices.ContainsFunc(strings.Fields(marks), func(m string) bool {
			_, is, _ := strings.Cut(m, "@")
			return is != want
		})
	})
	if !ok {
		return fmt.Errorf("pods of namespace %s are marked %q; want all to be of revision %q", namespace, marks, want)
	}
	return nil
}

// azureDenies denies a path in the namespace of the second release, and waits until its sidecar does.
func (w *world) azureDenies(ctx context.Context) error {
	if err := w.apply(ctx, inAzure(denyPolicy("alone"))); err != nil {
		return err
	}
	return w.azureStillDenies(ctx)
}

func (w *world) azureStillDenies(ctx context.Context) error {
	code := 0
	if !eventually(ctx, 10*time.Second, func() bool { code = w.askAzure(ctx, "/alone"); return code == 403 }) {
		return fmt.Errorf("the sidecar answers %d to what an edit denies, want 403", code)
	}
	return nil
}

// askAzure asks the pod of the second release's namespace with a valid token.
func (w *world) askAzure(ctx context.Context, path string) int {
	ip, err := w.get(ctx, azure, "pod/orders", ".status.podIP")
	if err != nil || ip == "" {
		return 0
	}
	return askOnce(ctx, "http://"+ip+":8080"+path, w.signer.get().token(claims()))
}

func inAzure(manifest string) string {
	return strings.ReplaceAll(manifest, "namespace: "+shop, "namespace: "+azure)
}
