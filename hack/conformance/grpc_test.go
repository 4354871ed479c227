package conformance

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/grpclog"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

// calls are gRPC's interoperability tests, but for those that ask for clouds or for several servers, under the names of
// https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md.
var calls = map[string]func(context.Context, *grpc.ClientConn, testgrpc.TestServiceClient){
	"empty_unary":                 test(interop.DoEmptyUnaryCall),
	"large_unary":                 test(interop.DoLargeUnaryCall),
	"client_streaming":            test(interop.DoClientStreaming),
	"server_streaming":            test(interop.DoServerStreaming),
	"ping_pong":                   test(interop.DoPingPong),
	"empty_stream":                test(interop.DoEmptyStream),
	"timeout_on_sleeping_server":  test(interop.DoTimeoutOnSleepingServer),
	"cancel_after_begin":          test(interop.DoCancelAfterBegin),
	"cancel_after_first_response": test(interop.DoCancelAfterFirstResponse),
	"status_code_and_message":     test(interop.DoStatusCodeAndMessage),
	"special_status_message":      test(interop.DoSpecialStatusMessage),
	"custom_metadata":             test(interop.DoCustomMetadata),
	"unimplemented_method": func(ctx context.Context, cc *grpc.ClientConn, _ testgrpc.TestServiceClient) {
		interop.DoUnimplementedMethod(ctx, cc)
	},
	"unimplemented_service": func(ctx context.Context, cc *grpc.ClientConn, _ testgrpc.TestServiceClient) {
		interop.DoUnimplementedService(ctx, testgrpc.NewUnimplementedServiceClient(cc))
	},
}

func test(f func(context.Context, testgrpc.TestServiceClient, ...grpc.CallOption)) func(context.Context, *grpc.ClientConn, testgrpc.TestServiceClient) {
	return func(ctx context.Context, _ *grpc.ClientConn, c testgrpc.TestServiceClient) { f(ctx, c) }
}

// TestGRPC runs gRPC's own interoperability client against its own server, directly and through the proxy, which lets
// it in for the token in its metadata. The server is one of net/http as well as gRPC's.
func TestGRPC(t *testing.T) {
	t.Parallel()
	grpclog.SetLoggerV2(panicking{})
	s := grpc.NewServer()
	testgrpc.RegisterTestServiceServer(s, interop.NewTestServer())
	l := listen(t)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	over := serve(t, func(w http.ResponseWriter, r *http.Request) { s.ServeHTTP(w, r) })
	for where, addr := range map[string]string{
		"directly":              l.Addr().String(),
		"through":               guard(t, "http://"+l.Addr().String()),
		"through, to net/http":  guard(t, "http://"+over),
		"directly, to net/http": over,
		"through, with TLS":     guard(t, "http://"+l.Addr().String(), secure),
	} {
		for name, call := range calls {
			t.Run(where+"/"+name, func(t *testing.T) {
				t.Parallel()
				creds := insecure.NewCredentials()
				if strings.Contains(where, "TLS") {
					creds = credentials.NewTLS(&tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a test
				}
				cc, err := grpc.NewClient(addr, grpc.WithTransportCredentials(creds), withToken(token()))
				if err != nil {
					t.Fatal(err)
				}
				defer cc.Close()
				defer func() {
					if failed := recover(); failed != nil {
						t.Error(failed)
					}
				}()
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				call(ctx, cc, testgrpc.NewTestServiceClient(cc))
			})
		}
	}
}

// withToken puts a token into the metadata of every call; some tests replace what their context has.
func withToken(token string) grpc.DialOption {
	return grpc.WithPerRPCCredentials(bearer(token))
}

// bearer is a token as gRPC's credentials.
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

func (bearer) RequireTransportSecurity() bool { return false }

// panicking makes of a fatal message of the tests a failure of this one, where grpclog would end the process.
type panicking struct{ grpclog.LoggerV2 }

func (panicking) Info(...any)                   {}
func (panicking) Infoln(...any)                 {}
func (panicking) Infof(string, ...any)          {}
func (panicking) Warning(...any)                {}
func (panicking) Warningln(...any)              {}
func (panicking) Warningf(string, ...any)       {}
func (panicking) Error(...any)                  {}
func (panicking) Errorln(...any)                {}
func (panicking) Errorf(string, ...any)         {}
func (panicking) Fatal(args ...any)             { panic(fmt.Sprint(args...)) }
func (panicking) Fatalln(args ...any)           { panic(fmt.Sprint(args...)) }
func (panicking) Fatalf(f string, args ...any)  { panic(fmt.Sprintf(f, args...)) }
func (panicking) FatalDepth(_ int, args ...any) { panic(fmt.Sprint(args...)) }
func (panicking) InfoDepth(int, ...any)         {}
func (panicking) WarningDepth(int, ...any)      {}
func (panicking) ErrorDepth(int, ...any)        {}
func (panicking) V(int) bool                    { return false }

// Without the token none of it works, or the tests above prove nothing.
func TestGRPCNeedsTheToken(t *testing.T) {
	t.Parallel()
	s := grpc.NewServer()
	testgrpc.RegisterTestServiceServer(s, interop.NewTestServer())
	l := listen(t)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	cc, err := grpc.NewClient(guard(t, "http://"+l.Addr().String()), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()

	if _, err := testgrpc.NewTestServiceClient(cc).EmptyCall(t.Context(), &testgrpc.Empty{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("got %v", err)
	}
}
