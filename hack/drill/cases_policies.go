package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

func policyCases() []drillCase {
	return []drillCase{
		{
			name: "a policy flaps 20 times a second", quick: true,
			what: "a deny rule moves between two paths for 10 s; what the last edit says is in force",
			run: func(ctx context.Context, w *world) error {
				w.fault()
				tick := time.NewTicker(50 * time.Millisecond)
				defer tick.Stop()
				for i := range 200 {
					<-tick.C
					if err := w.put(ctx, authPolicies, strings.ReplaceAll(denyPolicy("flap"), "/flap", []string{"/flap", "/flop"}[i%2])); err != nil {
						return err
					}
				}
				if !eventually(ctx, 2*time.Second, func() bool { return w.askAll(ctx, "/flop") == 403 && w.askAll(ctx, "/flap") == 200 }) {
					return errors.New("the last of the edits is not what is in force")
				}
				return w.editBites(ctx, 15*time.Second)
			},
			restore: func(ctx context.Context, w *world) error {
				_, err := w.kubectl(ctx, "-n", shop, "delete", "authpolicy", "flap", "--ignore-not-found")
				return err
			},
		},
		{
			name: "500 policies on a pod",
			what: "each denies a path of its own; all are in force, and an edit still bites",
			run: func(ctx context.Context, w *world) error {
				w.fault()
				var all strings.Builder
				for i := range 500 {
					all.WriteString(strings.Replace(denyPolicy(fmt.Sprint("many-", i)), "namespace: shop}", "namespace: shop, labels: {drill: many}}", 1))
				}
				if err := w.apply(ctx, all.String()); err != nil {
					return err
				}
				w.told(w.says(ctx, "authpolicy/many-499", "Programmed", "True/", 60*time.Second))
				if code := w.askAll(ctx, "/many-250"); code != 403 {
					return fmt.Errorf("the 251st policy: %d, want 403", code)
				}
				return w.editBites(ctx, 15*time.Second)
			},
			restore: func(ctx context.Context, w *world) error {
				_, err := w.kubectl(ctx, "-n", shop, "delete", "authpolicy", "-l", "drill=many", "--wait=false")
				return err
			},
		},
		{
			name: "an empty allow rule", quick: true,
			what: "allow: {subjects: null} reaches the API server as allow: {} and is refused with the way to say it",
			run: func(ctx context.Context, w *world) error {
				w.fault()
				err := w.apply(ctx, strings.Replace(denyPolicy("vague"), "deny: {}", "allow: {subjects: null}", 1))
				return refusedWith(err, "authenticated: true")
			},
			restore: func(ctx context.Context, w *world) error { return w.gone(ctx, "authpolicy", "vague") },
		},
		{
			name: "clocks off", quick: true,
			what: "tokens of an issuer whose clock is 20 s off pass; of one that is 5 minutes ahead or behind they do not",
			run: func(ctx context.Context, w *world) error {
				w.fault()
				for _, t := range []struct {
					ahead time.Duration
					want  int
				}{{20 * time.Second, 200}, {-20 * time.Second, 200}, {5 * time.Minute, 401}, {-5 * time.Minute, 401}} {
					now := time.Now().Add(t.ahead)
					c := with(with(with(claims(), "iat", now.Unix()), "nbf", now.Unix()), "exp", now.Add(time.Minute).Unix())
					if t.ahead == -20*time.Second {
						c["exp"] = time.Now().Add(-20 * time.Second).Unix()
					}
					if code := w.askAllWith(ctx, "/orders", w.signer.get().token(c)); code != t.want {
						return fmt.Errorf("an issuer's clock %s off: %d, want %d", t.ahead, code, t.want)
					}
				}
				return nil
			},
		},
		{
			name: "a million revocations in one namespace",
			what: "990,000, 10,000 an object, and 10,000 more, which are refused; apps go on, a revoked token is refused, an edit bites",
			run:  manyRevocations,
			restore: func(ctx context.Context, w *world) error {
				_, err := w.kubectl(ctx, "-n", shop, "delete", "tokenrevocation", "-l", "drill=many", "--wait=false")
				return err
			},
		},
	}
}

// manyRevocations fills the app's namespace with revocations, 10,000 an object.
func manyRevocations(ctx context.Context, w *world) error {
	w.fault()
	const objects, each = 99, 10_000
	for o := range objects {
		if _, err := command(ctx, revocationsOf(o, each), "kubectl", "create", "-f", "-"); err != nil {
			return err
		}
	}
	_, err := command(ctx, revocationsOf(objects, each), "kubectl", "create", "-f", "-")
	if err := refusedWith(err, "a sidecar holds 1000000"); err != nil {
		return fmt.Errorf("more than a million: %w", err)
	}
	last := w.signer.get().token(with(claims(), "jti", fmt.Sprintf("many-%d-%d", objects-1, each-1)))
	code := 0
	if !eventually(ctx, 30*time.Second, func() bool { code = w.askAllWith(ctx, "/orders", last); return code == 401 }) {
		return fmt.Errorf("a token of the last revocations: %d after 30 s, want 401", code)
	}
	w.told(w.says(ctx, fmt.Sprintf("tokenrevocation/many-%d", objects-1), "Programmed", "True/", 30*time.Second))
	one := w.signer.get().token(with(claims(), "jti", "one-more"))
	if err := w.apply(ctx, strings.Replace(revocation("one-more", "one-more"), "namespace: shop}", "namespace: shop, labels: {drill: many}}", 1)); err != nil {
		return err
	}
	if !eventually(ctx, 2*time.Second, func() bool { code = w.askAllWith(ctx, "/orders", one); return code == 401 }) {
		return fmt.Errorf("one more revocation is not in force after 2 s: %d", code)
	}
	ended, err := w.kubectl(ctx, "get", "pods", "-A", "-o", "jsonpath={.items[*].status['containerStatuses','initContainerStatuses'][*].lastState.terminated.reason}")
	if err != nil || strings.Contains(ended, "OOM") {
		return errors.Join(fmt.Errorf("sidecars or controllers ended for want of memory: %s", ended), err)
	}
	return w.editBites(ctx, 15*time.Second)
}

// revocationsOf is an object with so many entries, all of them its own.
func revocationsOf(o, entries int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: bearerguard.dev/v1alpha1\nkind: TokenRevocation\nmetadata: {name: many-%d, namespace: shop, labels: {drill: many}}\nspec:\n  issuer: %s\n  entries:\n", o, issuer)
	for i := range entries {
		fmt.Fprintf(&b, "  - {jti: many-%d-%d}\n", o, i)
	}
	return b.String()
}

// refusedWith returns an error unless err is one that says want.
func refusedWith(err error, want string) error {
	switch {
	case err == nil:
		return errors.New("it was admitted")
	case !strings.Contains(err.Error(), want):
		return fmt.Errorf("the refusal does not say %q: %w", want, err)
	}
	return nil
}

// gone deletes an object of the app's namespace if it is there.
func (w *world) gone(ctx context.Context, kind, name string) error {
	_, err := w.kubectl(ctx, "-n", shop, "delete", kind, name, "--ignore-not-found")
	return err
}
