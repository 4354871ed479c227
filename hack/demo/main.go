// Command demo shows in a minute what Bearerguard does: it starts a small app and the sidecar in front of it, mints
// tokens, sends requests, and prints what each of them got and why.
//
// Everything is real: the sidecar is the program that runs in pods, the tokens come from the command line tool, keys are
// made on the spot, and config/samples/standalone is the policy. It needs no cluster, no network and no root.
// The exit code is 0 only if every answer was the expected one. KEEP=1 in the environment leaves it running.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// config is what the flags say.
type config struct {
	sidecar, cli, policies string
	keep                   bool
}

func main() {
	var c config
	flag.StringVar(&c.sidecar, "sidecar", "bin/sidecar", "the sidecar `program`")
	flag.StringVar(&c.cli, "bearerguard", "bin/bearerguard", "the command line `program`")
	flag.StringVar(&c.policies, "policies", "config/samples/standalone", "the sample policy's `directory`")
	flag.BoolVar(&c.keep, "keep", os.Getenv("KEEP") == "1", "keep running afterwards, for requests of your own")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ok, err := run(ctx, c, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// run plays the demo and reports whether every answer was the expected one.
func run(ctx context.Context, c config, out io.Writer) (ok bool, err error) {
	dir, err := os.MkdirTemp("", "bearerguard-demo-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)

	app, err := startApp(ctx)
	if err != nil {
		return false, fmt.Errorf("start the sample app: %w", err)
	}
	defer app.stop()

	m := minter{program: c.cli, dir: dir}
	policies := filepath.Join(dir, "policies")
	if err := prepare(ctx, m, c.policies, policies); err != nil {
		return false, err
	}
	guard, err := startSidecar(ctx, c.sidecar, dir, policies, app.url)
	if err != nil {
		return false, err
	}
	defer guard.stop()

	fmt.Fprintf(out, intro, app.url, guard.url)
	ok, err = play(ctx, out, scene{minter: m, url: guard.url, samples: c.policies, policies: policies})
	if err != nil {
		return false, fmt.Errorf("%w\n%s", err, guard.logTail())
	}
	if !ok {
		fmt.Fprintf(out, "\nThe sidecar's log ends with:\n%s\n", guard.logTail())
	}
	if c.keep {
		err = linger(ctx, out, m, guard)
	}
	return ok, err
}

const intro = `
Bearerguard, without a cluster.

  you  --->  sidecar, checks tokens  --->  app "orders", knows nothing of tokens
             %[2]s          %[1]s

The sidecar follows config/samples/standalone/authpolicy.yaml; the keys were made a moment ago. The app answers with the
identity headers that it received; what is said of a refusal comes from the sidecar's own answer.

`

// linger leaves everything running until Ctrl-C, with commands to try.
func linger(ctx context.Context, out io.Writer, m minter, guard *sidecar) error {
	token, err := m.mint(ctx, good("--expires-in", "8h"))
	if err != nil {
		return err
	}
	fmt.Fprintf(out, keepText, guard.url, token, m.program, filepath.Join(m.dir, "signing.json"),
		filepath.Join(m.dir, "policies"), guard.admin)
	select {
	case <-ctx.Done():
		return nil
	case <-guard.done:
		return fmt.Errorf("the sidecar has ended\n%s", guard.logTail())
	}
}

const keepText = `
It keeps running; Ctrl-C ends it. Try, in another terminal:

  curl -i %[1]s/orders                 # no token
  curl -i %[1]s/healthz                # public

  TOKEN=%[2]s
  curl -i -H "Authorization: Bearer $TOKEN" %[1]s/orders/7
  curl -i -H "Authorization: Bearer $TOKEN" -X DELETE %[1]s/orders/7

  # Another token:
  %[3]s token --key %[4]s --iss https://login.example.com --aud orders \
    --sub bob --scope orders.write --claim 'realm_access={"roles":["admin"]}'

  # Edit the policy and ask again; the sidecar follows at once:
  ls %[5]s
  curl %[6]s/debug/snapshot
`

// waitFor polls until the condition holds, for at most the given time.
func waitFor(ctx context.Context, limit time.Duration, holds func() bool) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if holds() {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
