package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/bearerguard/bearerguard/hack/freeport"
)

// raw carries messages as they are.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}
func (raw) Name() string { return "proto" }

// startOurApp serves calls with the app until the test ends.
func startOurApp(t *testing.T) int {
	t.Helper()
	port, err := freeport.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a, err := newApp(port)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for t.Context().Err() == nil {
			if err := a.loop.wait(20, a.event); err != nil {
				t.Errorf("the app: %v", err)
				return
			}
		}
	}()
	t.Cleanup(func() { <-done })
	return port
}

// startGRPC serves calls with grpc-go, by the same rules; it refuses who has no token.
func startGRPC(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed with the server
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpc.ForceServerCodec(raw{}), grpc.UnknownServiceHandler(answer))
	go func() { _ = s.Serve(listener) }()
	t.Cleanup(s.Stop)
	return listener.Addr().(*net.TCPAddr).Port
}

func answer(_ any, stream grpc.ServerStream) error {
	if md, _ := metadata.FromIncomingContext(stream.Context()); len(md["authorization"]) != 1 {
		return status.Error(codes.Unauthenticated, "no token")
	}
	for {
		var m []byte
		if err := stream.RecvMsg(&m); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		answers, size, err := parse(m)
		if err != nil {
			return status.Error(codes.InvalidArgument, err.Error())
		}
		out := newMessage(0, 0, size)[lengthPrefix:]
		for range answers {
			if err := stream.SendMsg(&out); err != nil {
				return err
			}
		}
	}
}

// parse reads a Message as protobuf does.
func parse(m []byte) (answers, size int, err error) {
	for len(m) > 0 {
		number, kind, n := protowire.ConsumeTag(m)
		if n < 0 {
			return 0, 0, protowire.ParseError(n)
		}
		m = m[n:]
		if kind == protowire.BytesType {
			n = protowire.ConsumeFieldValue(number, kind, m)
		} else {
			var v uint32
			if v, n = protowire.ConsumeFixed32(m); number == 1 {
				answers = int(v)
			} else {
				size = int(v)
			}
		}
		if n < 0 {
			return 0, 0, protowire.ParseError(n)
		}
		m = m[n:]
	}
	return answers, size, nil
}

func TestMessagesAreProtobufOfTheirLength(t *testing.T) {
	t.Parallel()
	for _, length := range []int{14, 15, 32, 140, 141, 142, 143, 1024, 16_397, 16_398, 16_399, 100_000} {
		m := newMessage(3, 70_000, length)
		answers, size, err := parse(m[lengthPrefix:])
		if err != nil || answers != 3 || size != 70_000 || len(m) != lengthPrefix+length {
			t.Errorf("a message of %d bytes: %d bytes, answers %d, size %d, %v", length, len(m)-lengthPrefix, answers, size, err)
		}
	}
}

func TestReaderFindsMessagesHoweverTheyCome(t *testing.T) {
	t.Parallel()
	var all []byte
	for _, m := range [][]byte{newMessage(1, 2, 14), {0, 0, 0, 0, 0}, newMessage(3, 4, 1024), {0, 0, 0, 0, 1, 'x'}} {
		all = append(all, m...)
	}
	for _, step := range []int{1, 3, 15, 16, 1000, len(all)} {
		var r reader
		var got []string
		for b := all; len(b) > 0; b = b[min(step, len(b)):] {
			r.read(b[:min(step, len(b))], func(answers, size int) { got = append(got, fmt.Sprint(answers, size)) })
		}
		if want := "[1 2 0 0 3 4 0 0]"; fmt.Sprint(got) != want {
			t.Errorf("in steps of %d: %v, want %s", step, got, want)
		}
	}
}

func TestClientsOfGRPCAreAnswered(t *testing.T) {
	t.Parallel()
	conn, err := grpc.NewClient("127.0.0.1:"+strconv.Itoa(startOurApp(t)), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for name, tt := range map[string]struct{ sent, answers, each, size int }{
		"unary":                    {1, 1, 1, 32},
		"nothing answered":         {1, 0, 0, 0},
		"many, larger than frames": {20, 60, 3, 50_000},
		"one, beyond all windows":  {1, 300, 300, 100_000},
	} {
		stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/orders/get")
		if err != nil {
			t.Fatal(err)
		}
		m := newMessage(tt.each, tt.size, 1000)[lengthPrefix:]
		for range tt.sent {
			if err := stream.SendMsg(&m); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		_ = stream.CloseSend()
		got := 0
		for err = stream.RecvMsg(&m); err == nil; err = stream.RecvMsg(&m) {
			if got++; len(m) != tt.size {
				t.Errorf("%s: an answer has %d bytes, want %d", name, len(m), tt.size)
			}
		}
		if !errors.Is(err, io.EOF) || got != tt.answers {
			t.Errorf("%s: %d answers and %v, want %d and EOF", name, got, err, tt.answers)
		}
	}
}

func TestCallsOfEveryKindAreMadeAndCounted(t *testing.T) {
	t.Parallel()
	for name, port := range map[string]int{"our app": startOurApp(t), "grpc-go": startGRPC(t)} {
		for kind, messages := range map[string]int{"unary": 2, "up": 51, "down": 51, "both": 100, "turns": 100} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				got := generate(t, port, "Bearer x", "-kind", kind, "-messages", "50", "-size", "3000", "-n", "100")
				if got.Requests != 100 || got.Errors != 0 || got.Messages != 100*messages || got.P99 == 0 {
					t.Errorf("%+v, want 100 calls of %d messages", got, messages)
				}
			})
		}
	}
}

func TestCallsAreMadeAtTheirRate(t *testing.T) {
	t.Parallel()
	got := generate(t, startOurApp(t), "Bearer x", "-r", "500", "-d", "1s")
	if got.Errors != 0 || got.Requests < 400 || got.Requests > 500 {
		t.Errorf("%+v, want about 500 calls", got)
	}
}

func TestACallThatIsRefusedIsAnError(t *testing.T) {
	t.Parallel()
	if got := generate(t, startGRPC(t), "", "-n", "10"); got.Requests != 0 || got.Errors != 10 {
		t.Errorf("%+v, want 10 errors", got)
	}
}

func TestConnectionsThatAreHeldMakeOneCallEach(t *testing.T) {
	t.Parallel()
	g := holder(t, startGRPC(t), 3*inTurns)
	g.tokens = []string{"Bearer x"}
	got, err := g.run()
	if err != nil || got.Requests != 3*inTurns || got.Errors != 0 || got.Reopened != 0 || len(g.links) != 3*inTurns {
		t.Errorf("%+v on %d connections, %v; want %d calls, each on its own", got, len(g.links), err, 3*inTurns)
	}
}

func TestConnectionsThatAreHeldAreOpenedInTurns(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed with the test
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() // nothing is answered
	g := holder(t, listener.Addr().(*net.TCPAddr).Port, 2*inTurns)
	if err := g.open(time.Now().Add(20 * time.Millisecond)); err != nil || len(g.links) != inTurns {
		t.Errorf("%d connections wait for their answer, %v; want %d", len(g.links), err, inTurns)
	}
}

// holder is a load generator that holds connections.
func holder(t *testing.T, port, conns int) *generator {
	t.Helper()
	o, err := parseOptions([]string{"-i", "-c", strconv.Itoa(conns), strconv.Itoa(port)})
	if err != nil {
		t.Fatal(err)
	}
	g, err := newGenerator(o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// generate runs the load generator.
func generate(t *testing.T, port int, token string, flags ...string) result {
	t.Helper()
	o, err := parseOptions(append(flags, "-c", "2", "-m", "4", strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	g, err := newGenerator(o)
	if err != nil {
		t.Fatal(err)
	}
	g.tokens = []string{token}
	got, err := g.run()
	if err != nil {
		t.Fatal(err)
	}
	return got
}
