//go:build !race

package push_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	"github.com/bearerguard/bearerguard/api/bundle/pushv1"
	"github.com/bearerguard/bearerguard/controllers/compile"
	"github.com/bearerguard/bearerguard/controllers/push"
)

// streamsMeasured is the variable with the number of streams of TestMemoryOfAStream; streamsProfile that with a folder for profiles.
const (
	streamsMeasured = "BEARERGUARD_STREAMS"
	streamsProfile  = "BEARERGUARD_STREAMS_PROFILE"
)

// What a stream may cost the controller, of its own and of gRPC and TLS. Without the race detector, whose stacks are larger.
const (
	mostGoroutines = 4.2
	mostKiB        = 42
)

// others are sidecars of another process: this test binary, called anew.
type others struct {
	Address string
	Tokens  []string
}

const othersVariable = "BEARERGUARD_OTHER_SIDECARS"

// TestOtherSidecars is the process of others.
func TestOtherSidecars(t *testing.T) {
	if os.Getenv(othersVariable) == "" {
		t.Skip("is called by TestMemoryOfAStream")
	}
	var o others
	if err := json.NewDecoder(os.Stdin).Decode(&o); err != nil {
		t.Fatal(err)
	}
	for _, token := range o.Tokens {
		if err := follow(t.Context(), o.Address, token); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // until it is closed
}

// follow connects and acknowledges one bundle.
func follow(ctx context.Context, address, token string) error {
	creds := credentials.NewTLS(&tls.Config{InsecureSkipVerify: true}) //nolint:gosec // of the test's own server
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(creds))
	if err != nil {
		return err
	}
	rpc, err := pushv1.NewPushClient(conn).Stream(metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token))
	if err != nil {
		return err
	}
	if err := rpc.Send(&pushv1.ClientMessage{Kind: &pushv1.ClientMessage_Hello{Hello: &pushv1.Hello{}}}); err != nil {
		return err
	}
	m, err := rpc.Recv()
	if err != nil {
		return err
	}
	return rpc.Send(&pushv1.ClientMessage{Kind: &pushv1.ClientMessage_Ack{Ack: &pushv1.Ack{Version: m.GetVersion()}}})
}

// use is what a process uses.
type use struct{ heap, stacks, goroutines float64 }

func measure() use {
	for range 3 { // stacks shrink by half each time
		debug.FreeOSMemory()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return use{float64(m.HeapAlloc) / 1024, float64(m.StackInuse) / 1024, float64(runtime.NumGoroutine())}
}

// TestMemoryOfAStream prints what a stream costs the controller that has nothing to say on it, over TLS and with a token that
// it verifies itself.
func TestMemoryOfAStream(t *testing.T) {
	n := 200
	if text := os.Getenv(streamsMeasured); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	key := newClusterKey(t, "rs", "RS256")
	bundle := newBundle("v1", 1)
	o, bundles, alive := others{}, map[string]*compile.Bundle{}, population{"shop/account/default": "uid-default"}
	for i := range n {
		pod := fmt.Sprintf("a-%d", i)
		bound := map[string]any{"kubernetes.io": map[string]any{
			"namespace": "shop", "pod": map[string]any{"name": pod, "uid": "uid-" + pod},
			"serviceaccount": map[string]any{"name": "default", "uid": "uid-default"},
		}}
		o.Tokens = append(o.Tokens, key.sign(t, claims(bound), nil))
		bundles[pod], alive["shop/pod/"+pod] = bundle, "uid-"+pod
	}
	r := startReplica(t, newCertificate(t), func(c *push.Config) {
		c.Reviewer = &push.LocalReviewer{
			Keys: func(context.Context) (string, []byte, error) {
				return clusterIssuer, []byte(`{"keys":[` + key.jwk() + `]}`), nil
			},
			Live: maps.Clone(alive), Else: &refuser{},
		}
		c.Changed = func(string) {}
	})
	r.give(bundles)
	o.Address = r.address
	before := measure()
	defer o.start(t)()
	for acked := 0; acked < n; {
		acked = 0
		for _, c := range r.Sidecars("shop") {
			if c.Acked != nil {
				acked++
			}
		}
		runtime.Gosched()
	}
	after := measure()
	each := use{(after.heap - before.heap) / float64(n), (after.stacks - before.stacks) / float64(n), (after.goroutines - before.goroutines) / float64(n)}
	t.Logf("a stream of %d: %.1f KiB of heap, %.1f KiB of stacks, %.2f goroutines", n, each.heap, each.stacks, each.goroutines)
	profiles(t)
	if each.goroutines > mostGoroutines || each.heap+each.stacks > mostKiB {
		t.Errorf("that is more than %.1f goroutines or %d KiB", mostGoroutines, mostKiB)
	}
}

// start starts the process; what it returns ends it.
func (o others) start(t *testing.T) (stop func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestOtherSidecars$") //nolint:gosec,noctx // itself; it ends with its standard input
	cmd.Env = append(os.Environ(), othersVariable+"=1")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(in)
	if err := json.NewEncoder(w).Encode(o); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

// profiles writes profiles of heap and goroutines, if a folder is given for them.
func profiles(t *testing.T) {
	t.Helper()
	dir := os.Getenv(streamsProfile)
	if dir == "" {
		return
	}
	for _, name := range []string{"heap", "goroutine"} {
		f, err := os.Create(dir + "/" + name) //nolint:gosec // where the caller wants it
		if err != nil {
			t.Fatal(err)
		}
		if err := pprof.Lookup(name).WriteTo(f, 0); err != nil {
			t.Error(err)
		}
		_ = f.Close()
	}
}
