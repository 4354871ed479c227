package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

func keyCases() []drillCase {
	var out []drillCase
	for _, how := range []string{"down", "slow", "500", "garbage", "empty"} {
		out = append(out, drillCase{
			name: "key server " + how, quick: how == "500",
			what: "the last good keys stay in use, status says that the source fails, and a replica of the controller that starts meanwhile changes nothing",
			run:  func(ctx context.Context, w *world) error { return brokenKeys(ctx, w, how) },
			restore: func(ctx context.Context, w *world) error {
				w.keys.publish(w.signer.get())
				w.wantKeys(ctx)
				return nil
			},
		})
	}
	return append(out,
		drillCase{
			name: "10,000 keys", what: "the first 500 are kept, the one in use among them",
			run: func(ctx context.Context, w *world) error {
				many := []*signer{w.signer.get()}
				odd := newSigner("odd")
				for i := range 9_999 {
					many = append(many, &signer{kid: fmt.Sprint("odd-", i), key: odd.key})
				}
				w.fault()
				w.keys.publish(many...)
				w.wantKeys(ctx)
				pause(ctx, 8*time.Second)
				return nil
			},
			restore: func(ctx context.Context, w *world) error { w.keys.publish(w.signer.get()); w.wantKeys(ctx); return nil },
		},
		drillCase{
			name: "wrong keys with the same kid, then right ones", quick: true,
			what:  "while the issuer publishes another key its tokens are refused; once it publishes the right one they pass within the gap of fetches",
			bound: bound{refused: unbounded, recover: 10 * time.Second},
			run: func(ctx context.Context, w *world) error {
				w.keys.publish(newSigner(w.signer.get().kid))
				w.wantKeys(ctx)
				pause(ctx, 8*time.Second)
				w.keys.publish(w.signer.get())
				w.fault()
				pause(ctx, 12*time.Second)
				return nil
			},
			restore: func(_ context.Context, w *world) error { w.keys.publish(w.signer.get()); return nil },
		},
		drillCase{
			name: "keys rotate every 5 s", quick: true,
			what: "a new key signs, the one before stays published; nobody is refused",
			run: func(ctx context.Context, w *world) error {
				w.fault()
				old := w.signer.get()
				for i := range 6 {
					next := newSigner(fmt.Sprint("rotated-", i, "-", time.Now().Unix()))
					w.keys.publish(next, old)
					w.signer.set(next)
					old = next
					if !pause(ctx, 5*time.Second) {
						break
					}
				}
				return nil
			},
			restore: func(_ context.Context, w *world) error { w.keys.publish(w.signer.get()); return nil },
		},
		drillCase{
			name: "key Secret replaced, garbage, deleted", quick: true,
			what: "another key set in the Secret is in force within seconds; garbage and deletion leave the last good keys, and status says so",
			run:  keySecret,
			restore: func(ctx context.Context, w *world) error {
				_, _ = w.kubectl(ctx, "-n", shop, "delete", "secret", "keys", "--ignore-not-found")
				w.keys.publish(w.signer.get())
				return w.apply(ctx, policy(w.keys.url))
			},
		},
	)
}

// wantKeys has the sidecars ask for keys anew, by tokens of keys that nobody knows.
func (w *world) wantKeys(ctx context.Context) {
	ghost := &signer{kid: fmt.Sprint("ghost-", time.Now().UnixNano()), key: w.signer.get().key}
	for range 3 {
		go w.askAllWith(ctx, "/orders", ghost.token(claims()))
	}
}

// brokenKeys breaks the key server, has its keys fetched, and restarts the replica of the controller that does not lead.
func brokenKeys(ctx context.Context, w *world, how string) error {
	w.fault()
	w.keys.set(broken()[how])
	before := w.keys.fetched()
	if !eventually(ctx, 30*time.Second, func() bool { w.wantKeys(ctx); pause(ctx, time.Second); return w.keys.fetched() > before }) {
		return errors.New("the keys are not fetched")
	}
	w.told(w.says(ctx, "authpolicy/orders", "ResolvedRefs", "False/", 30*time.Second))
	follower, err := w.follower(ctx)
	if err != nil {
		return err
	}
	if _, err := w.kubectl(ctx, "-n", system, "delete", "pod", follower, "--wait"); err != nil {
		return err
	}
	if _, err := w.kubectl(ctx, "-n", system, "rollout", "status", deployment, "--timeout=90s"); err != nil {
		return err
	}
	// A new pod is given the keys as well, whichever replica it asks.
	pod, err := w.kubectl(ctx, "-n", shop, "get", "pods", "-l", "app=orders", "-o", "jsonpath={.items[0].metadata.name}")
	if err != nil {
		return err
	}
	if _, err := w.kubectl(ctx, "-n", shop, "delete", "pod", pod); err != nil {
		return err
	}
	_, err = w.kubectl(ctx, "-n", shop, "rollout", "status", "deploy/orders", "--timeout=60s")
	pause(ctx, 3*time.Second)
	return err
}

// follower returns the pod of the replica that does not lead.
func (w *world) follower(ctx context.Context) (string, error) {
	leader, err := w.get(ctx, system, "lease/bearerguard-controller", ".spec.holderIdentity")
	if err != nil {
		return "", err
	}
	pods, err := w.kubectl(ctx, "-n", system, "get", "pods", "-o", "jsonpath={.items[*].metadata.name}")
	if err != nil {
		return "", err
	}
	names := slices.DeleteFunc(strings.Fields(pods), func(p string) bool { return strings.HasPrefix(leader, p) })
	if len(names) == 0 {
		return "", fmt.Errorf("no follower: the leader is %s, the pods are %s", leader, pods)
	}
	return names[0], nil
}

// keySecret has the policy read its keys from a Secret, and changes that.
func keySecret(ctx context.Context, w *world) error {
	write := func(text []byte) error { return w.apply(ctx, secret("keys", "jwks", text)) }
	if err := write(jwks(w.signer.get())); err != nil {
		return err
	}
	if _, err := w.kubectl(ctx, "-n", shop, "patch", "authpolicy", "orders", "--type=json",
		"-p", `[{"op":"replace","path":"/spec/issuers/0/keys","value":{"secretRef":{"name":"keys","key":"jwks"}}},{"op":"remove","path":"/spec/issuers/0/caSecretRef"}]`); err != nil {
		return err
	}
	w.told(w.says(ctx, "authpolicy/orders", "Ready", "True/", 30*time.Second))
	w.fault()
	next := newSigner(fmt.Sprint("secret-", time.Now().Unix()))
	if err := write(jwks(w.signer.get(), next)); err != nil {
		return err
	}
	if !eventually(ctx, 8*time.Second, func() bool { return w.askAllWith(ctx, "/orders", next.token(claims())) == 200 }) {
		return errors.New("a key that was added to the Secret is not in force after 8 s")
	}
	w.signer.set(next)
	if err := write([]byte("no keys here")); err != nil {
		return err
	}
	w.told(w.says(ctx, "authpolicy/orders", "ResolvedRefs", "False/", 20*time.Second))
	if _, err := w.kubectl(ctx, "-n", shop, "delete", "secret", "keys"); err != nil {
		return err
	}
	w.told(w.says(ctx, "authpolicy/orders", "ResolvedRefs", "False/", 20*time.Second))
	pause(ctx, 5*time.Second)
	return nil
}
