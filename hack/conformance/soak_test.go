package conformance

import (
	"context"
	"crypto/tls"
	"os"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/grpclog"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

// TestGRPCSoak runs gRPC's rpc_soak (one channel) and channel_soak (a new one for each call) with eight workers each, and its
// tests of streaming in both directions beside them, for as long as SOAK says (two seconds): every call succeeds.
func TestGRPCSoak(t *testing.T) {
	t.Parallel()
	grpclog.SetLoggerV2(panicking{})
	length := 2 * time.Second
	if asked := os.Getenv("SOAK"); asked != "" {
		var err error
		if length, err = time.ParseDuration(asked); err != nil {
			t.Fatalf("SOAK: %v", err)
		}
	}
	s := grpc.NewServer()
	testgrpc.RegisterTestServiceServer(s, interop.NewTestServer())
	l := listen(t)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	app := "http://" + l.Addr().String()
	plain, safe := guard(t, app), guard(t, app, secure)
	until := time.Now().Add(length)

	var all sync.WaitGroup
	defer all.Wait()
	for name, to := range map[string]channel{
		"plain": {plain, insecure.NewCredentials()},
		"TLS":   {safe, credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})}, //nolint:gosec // a test
	} {
		for kind, run := range map[string]func(*testing.T, time.Time, channel){"rpc_soak": rpcSoak, "channel_soak": channelSoak, "streams": streams} {
			all.Go(func() { t.Run(name+"/"+kind, func(t *testing.T) { run(t, until, to) }) }) // however few tests run at a time
		}
	}
}

func rpcSoak(t *testing.T, until time.Time, to channel) {
	cc, closed := to.open()
	defer closed()
	repeat(t, until, 80, func(ctx context.Context) {
		interop.DoSoakTest(ctx, soak(to.addr, func() (*grpc.ClientConn, func()) { return cc, func() {} }))
	})
}

func channelSoak(t *testing.T, until time.Time, to channel) {
	repeat(t, until, 80, func(ctx context.Context) {
		interop.DoSoakTest(ctx, soak(to.addr, to.open))
	})
}

func streams(t *testing.T, until time.Time, to channel) {
	cc, closed := to.open()
	defer closed()
	c := testgrpc.NewTestServiceClient(cc)
	repeat(t, until, 5, func(ctx context.Context) {
		interop.DoClientStreaming(ctx, c)
		interop.DoServerStreaming(ctx, c)
		interop.DoPingPong(ctx, c)
		cancelAfterBegin(t, ctx, c)
		interop.DoCancelAfterFirstResponse(ctx, c)
	})
}

// cancelAfterBegin is gRPC's test of that name, but the client does not end its part of the call after it has cancelled it, as
// interop.DoCancelAfterBegin does: on a busy machine its end and the answer to it now and then overtake its own cancellation.
func cancelAfterBegin(t *testing.T, ctx context.Context, c testgrpc.TestServiceClient) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.StreamingInputCall(ctx)
	if err != nil {
		t.Error(err)
		return
	}
	cancel()
	if err := stream.RecvMsg(&testgrpc.StreamingInputCallResponse{}); status.Code(err) != codes.Canceled {
		t.Errorf("a cancelled call ends with %v", err)
	}
}

// channel is where a client's connections lead, and how.
type channel struct {
	addr  string
	creds credentials.TransportCredentials
}

// open may be called by any goroutine. It does not connect yet.
func (c channel) open() (*grpc.ClientConn, func()) {
	cc, err := grpc.NewClient(c.addr, grpc.WithTransportCredentials(c.creds), withToken(token()))
	if err != nil {
		panic(err) // it is an address
	}
	return cc, func() { _ = cc.Close() }
}

// soak is a soak test of 80 calls, of the sizes that gRPC's program has.
func soak(addr string, open func() (*grpc.ClientConn, func())) interop.SoakTestConfig {
	return interop.SoakTestConfig{
		RequestSize: 271828, ResponseSize: 314159, PerIterationMaxAcceptableLatency: patience, OverallTimeout: time.Hour,
		ServerAddr: addr, NumWorkers: 8, Iterations: 80, ChannelForTest: open,
	}
}

// repeat calls f, which makes so many calls, at least once, and until that time has come. What panicking makes of a failure
// fails the test.
func repeat(t *testing.T, until time.Time, calls int, f func(context.Context)) {
	defer func() {
		if failed := recover(); failed != nil {
			t.Error(failed)
		}
	}()
	n := 0
	for n == 0 || time.Now().Before(until) {
		f(t.Context())
		n += calls
	}
	t.Logf("%d calls", n)
}
