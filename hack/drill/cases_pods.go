package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func podCases() []drillCase {
	return []drillCase{
		{
			name: "one sidecar of four killed", quick: true,
			what:  "SIGKILL; the others take over once the pod is not Ready, and the kubelet starts it again",
			bound: bound{dropped: 150, recover: 8 * time.Second},
			run: func(ctx context.Context, w *world) error {
				pids, err := command(ctx, "", "pgrep", "-f", "^/sidecar run")
				if err != nil {
					return err
				}
				w.fault()
				_, err = command(ctx, "", "kill", "-9", strings.Fields(pids)[0])
				pause(ctx, 10*time.Second)
				return err
			},
		},
		{
			name: "a liveness probe kills the app", quick: true,
			what:    "an app that ends when told to is back within 5 s: it is not held as in a pod that leaves",
			run:     liveness,
			restore: func(ctx context.Context, w *world) error { return w.deletePods(ctx, "sick") },
		},
		{
			name: "a pod cut off from the controllers", quick: true,
			what: "its packets to them are dropped; a token is revoked meanwhile: the status does not say Programmed until the pod is back and refuses it",
			run:  cutOff,
		},
		{
			name: "every sidecar crash-loops",
			what: "all are killed again and again; the status does not say Programmed=True", bound: bound{refused: unbounded, dropped: unbounded, recover: 4 * time.Minute},
			run: func(ctx context.Context, w *world) error {
				w.fault()
				for range 12 {
					_, _ = command(ctx, "", "pkill", "-9", "-f", "^/sidecar run")
					pause(ctx, 2*time.Second)
				}
				if c := w.condition(ctx, "authpolicy/orders", "Programmed"); strings.HasPrefix(c, "True/") {
					w.told(fmt.Errorf("condition Programmed is %s while every sidecar is down", c))
				}
				w.told(nil)
				_, err := w.kubectl(ctx, "-n", shop, "delete", "pod", "-l", "app=orders", "--now")
				if err != nil {
					return err
				}
				return w.noneBare(ctx)
			},
		},
		{
			name: "the state volume is full", quick: true,
			what: "edits are in force all the same, though no last good copy can be saved",
			run: func(ctx context.Context, w *world) error {
				return w.stateVolume(ctx, func(dir string) error {
					_, _ = command(ctx, "", "dd", "if=/dev/zero", "of="+filepath.Join(dir, "fill"), "bs=1M", "count=64")
					return nil
				})
			},
			restore: func(ctx context.Context, w *world) error {
				dirs, err := stateDirs()
				for _, d := range dirs {
					err = errors.Join(err, os.RemoveAll(filepath.Join(d, "fill")))
				}
				return err
			},
		},
		{
			name: "the state volume is read-only",
			what: "edits are in force all the same",
			run: func(ctx context.Context, w *world) error {
				return w.stateVolume(ctx, func(dir string) error { _, err := command(ctx, "", "mount", "-o", "remount,ro", dir); return err })
			},
			restore: func(ctx context.Context, w *world) error {
				dirs, err := stateDirs()
				for _, d := range dirs {
					_, problem := command(ctx, "", "mount", "-o", "remount,rw", d)
					err = errors.Join(err, problem)
				}
				return err
			},
		},
	}
}

// stateDirs are the volumes of the sidecars' last good copies, as the node sees them.
func stateDirs() ([]string, error) {
	return filepath.Glob("/var/lib/kubelet/pods/*/volumes/kubernetes.io~empty-dir/bearerguard-state")
}

// stateVolume spoils the state volume of every pod, and has an edit bite all the same.
func (w *world) stateVolume(ctx context.Context, spoil func(dir string) error) error {
	dirs, err := stateDirs()
	if err != nil || len(dirs) < replicas {
		return errors.Join(fmt.Errorf("%d state volumes; want %d", len(dirs), replicas), err)
	}
	w.fault()
	for _, d := range dirs {
		if err := spoil(d); err != nil {
			return err
		}
	}
	if err := w.editBites(ctx, 15*time.Second); err != nil {
		return err
	}
	w.told(w.says(ctx, "authpolicy/orders", "Saved", "False/NotSaved", 10*time.Second))
	return nil
}

// cutOff drops all that a pod sends but answers to what it was asked, and revokes a token meanwhile.
func cutOff(ctx context.Context, w *world) error {
	pid, ip, err := w.aSidecar(ctx)
	if err != nil {
		return err
	}
	inPod := func(args ...string) error {
		_, err := command(ctx, "", "nsenter", append([]string{"-t", pid, "-n"}, args...)...)
		return err
	}
	if err := errors.Join(inPod("nft", "add", "table", "inet", "cut"),
		inPod("nft", "add chain inet cut out { type filter hook output priority 0; }"),
		inPod("nft", "add", "rule", "inet", "cut", "out", "ip", "daddr", "10.96.0.0/16", "drop")); err != nil {
		return err
	}
	defer func() { _ = inPod("nft", "delete", "table", "inet", "cut") }()
	token := w.signer.get().token(with(claims(), "jti", "cut-off"))
	if code := askOnce(ctx, "http://"+ip+":8080/orders", token); code != 200 {
		return fmt.Errorf("before it is revoked the token gets %d from the pod", code)
	}
	w.fault()
	if err := w.apply(ctx, revocation("cut-off", "cut-off")); err != nil {
		return err
	}
	w.told(w.says(ctx, "tokenrevocation/cut-off", "Programmed", "Unknown/", 20*time.Second))
	w.told(w.says(ctx, "authpolicy/orders", "Programmed", "Unknown/Disconnected", 20*time.Second))
	if err := inPod("nft", "delete", "table", "inet", "cut"); err != nil {
		return err
	}
	w.told(w.says(ctx, "tokenrevocation/cut-off", "Programmed", "True/", 60*time.Second))
	if code := askOnce(ctx, "http://"+ip+":8080/orders", token); code != 401 {
		return fmt.Errorf("the status says Programmed, and the pod that was cut off answers %d to the revoked token", code)
	}
	return w.gone(ctx, "tokenrevocation", "cut-off")
}

// aSidecar returns the process of a sidecar of the app, and its pod's address.
func (w *world) aSidecar(ctx context.Context) (pid, ip string, err error) {
	pids, err := command(ctx, "", "pgrep", "-f", "^/sidecar run")
	if err != nil {
		return "", "", err
	}
	ips, err := w.addresses(ctx)
	if err != nil {
		return "", "", err
	}
	for _, pid := range strings.Fields(pids) {
		out, err := command(ctx, "", "nsenter", "-t", pid, "-n", "ip", "-4", "-o", "addr", "show")
		if err != nil {
			continue
		}
		for _, ip := range ips {
			if strings.Contains(out, " "+ip+"/") {
				return pid, ip, nil
			}
		}
	}
	return "", "", errors.New("no sidecar of the app's pods is found")
}

// sick is a pod whose liveness probe fails 5 s after the app starts.
const sick = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"sick","namespace":"shop","annotations":{"bearerguard.dev/inject":"enabled"}},
"spec":{"containers":[{"name":"app","image":"bearerguard.local/e2e-app:dev","args":["serve",":8080"],
"livenessProbe":{"tcpSocket":{"port":9},"initialDelaySeconds":5,"periodSeconds":1,"failureThreshold":1}}]}}`

// liveness measures how long an app lives whose liveness probe fails.
func liveness(ctx context.Context, w *world) error {
	w.fault()
	if err := w.apply(ctx, sick); err != nil {
		return err
	}
	const ended = "{.status.containerStatuses[0].lastState.terminated.finishedAt}"
	if _, err := w.kubectl(ctx, "-n", shop, "wait", "pod/sick", "--for=jsonpath="+ended, "--timeout=90s"); err != nil {
		return err
	}
	out, err := w.kubectl(ctx, "-n", shop, "get", "pod", "sick", "-o", "jsonpath={.status.containerStatuses[0].lastState.terminated.startedAt} "+ended)
	if err != nil {
		return err
	}
	from, to, _ := strings.Cut(strings.TrimSpace(out), " ")
	began, err := time.Parse(time.RFC3339, from)
	if err != nil {
		return err
	}
	end, err := time.Parse(time.RFC3339, to)
	if err != nil {
		return err
	}
	fmt.Printf("     the app ended %s after its liveness probe began to fail\n", end.Sub(began)-5*time.Second)
	if end.Sub(began) > 10*time.Second {
		return fmt.Errorf("the app lived for %s; want at most 10s", end.Sub(began))
	}
	return nil
}
