package authz

import (
	"context"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/authz/checkv3"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/refuse"
	"github.com/bearerguard/bearerguard/sidecar/requestid"
)

// extAuthz answers checks of Envoy's.
type extAuthz struct {
	judge   *judge
	headers CheckHeaders
	limits  Limits
}

// Bounds of a gRPC connection.
const (
	maxCheck    = 128 << 10 // bytes of a check
	maxMetadata = 16 << 10  // bytes of its own header
	pingsAtMost = 10 * time.Second
	pingAfter   = time.Minute
	maxMargin   = 20 * time.Millisecond
)

// service is envoy.service.auth.v3.Authorization.
func service() *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: serviceName,
		HandlerType: (*checker)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Check", Handler: func(s any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			c := new(checkv3.CheckRequest)
			if err := decode(c); err != nil {
				return nil, err
			}
			return s.(checker).Check(ctx, c)
		}}},
		Metadata: "envoy/service/auth/v3/external_auth.proto",
	}
}

// checker is what the service's handler has to be.
type checker interface {
	Check(ctx context.Context, c *checkv3.CheckRequest) (*checkv3.CheckResponse, error)
}

// newExtAuthzServer returns the server of an ext_authz port.
func newExtAuthzServer(e *extAuthz, c *Config, ready func() bool) *grpc.Server {
	options := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(maxCheck), grpc.MaxHeaderListSize(maxMetadata),
		grpc.MaxConcurrentStreams(uint32(c.Limits.Streams)), //nolint:gosec // at most 100,000
		grpc.ConnectionTimeout(c.Limits.ReadHead),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingsAtMost, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingAfter, Timeout: c.Limits.Write}),
	}
	if c.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(c.TLS)))
	}
	s := grpc.NewServer(options...)
	s.RegisterService(service(), e)
	grpc_health_v1.RegisterHealthServer(s, &health{ready: ready})
	return s
}

// Check answers one check.
func (e *extAuthz) Check(ctx context.Context, c *checkv3.CheckRequest) (_ *checkv3.CheckResponse, err error) {
	defer func() {
		if recover() != nil { // Envoy refuses the request then
			err = status.Error(codes.Internal, "the guard could not decide")
		}
	}()
	ctx, cancel := withMargin(ctx)
	defer cancel()
	q := question{start: e.judge.now(), protocol: "ext_authz", edits: true}
	var no decision.Refusal
	q.Request, no = Checked(c, e.headers)
	h, _ := q.Header.(http.Header)
	q.id = requestid.Of(h[requestid.Header])
	if no.Refused() || e.limits.exceeded(&q.Request, h, &no) {
		q.refused = no
	}
	described := c.GetAttributes().GetRequest().GetHttp()
	q.size = contentLength(h)
	v := e.judge.settle(ctx, &q)
	out := &checkv3.CheckResponse{DynamicMetadata: metadata(&q, &v)}
	if v.Forward {
		out.Status = &checkv3.Status{}
		out.HttpResponse = &checkv3.CheckResponse_OkResponse{OkResponse: allowed(&q, h, &v)}
		return out, nil
	}
	out.Status = &checkv3.Status{Code: int32(refuse.Table(v.Reason).GRPC), Message: string(v.Reason)} //nolint:gosec // at most 16
	major := 1
	if strings.HasPrefix(described.GetProtocol(), "HTTP/2") || strings.HasPrefix(described.GetProtocol(), "HTTP/3") {
		major = 2
	}
	grpcClient := refuse.FormOf(major, h.Get("Content-Type")) == refuse.GRPC
	out.HttpResponse = &checkv3.CheckResponse_DeniedResponse{DeniedResponse: denied(&q, &v, grpcClient)}
	return out, nil
}

// withMargin leaves some of the time that Envoy gives for the way of the answer.
func withMargin(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, end.Add(-min(maxMargin, time.Until(end)/10)))
}

// metadata are what Envoy's log and other filters may use of a verdict: no value of a token.
func metadata(q *question, v *gate.Verdict) *structpb.Struct {
	fields := map[string]*structpb.Value{
		"reason": structpb.NewStringValue(string(v.Reason)), "request_id": structpb.NewStringValue(q.id),
	}
	if v.Policy != "" {
		fields["policy"] = structpb.NewStringValue(v.Policy)
		fields["rule"] = structpb.NewStringValue(v.Rule)
	}
	return &structpb.Struct{Fields: fields}
}

// allowed says what becomes of a request. Envoy removes after it has set, so nothing that is set may be among what is removed.
func allowed(q *question, h http.Header, v *gate.Verdict) *checkv3.OkHttpResponse {
	out := &checkv3.OkHttpResponse{}
	set := map[string]bool{}
	put := func(name, value string) {
		name = strings.ToLower(name)
		set[name] = true
		out.Headers = append(out.Headers, option(name, value))
	}
	remove := func(name string) {
		if name = strings.ToLower(name); !set[name] {
			set[name] = true
			out.HeadersToRemove = append(out.HeadersToRemove, name)
		}
	}
	put(requestid.Header, q.id)
	for i := range v.Edit.Set.Len() {
		field := v.Edit.Set.At(i)
		put(field.Name, field.Value)
	}
	for _, r := range v.Edit.Replace {
		if len(r.Values) == 0 {
			remove(r.Name)
			continue
		}
		separator := ", "
		if r.Name == "Cookie" {
			separator = "; " // RFC 9113 section 8.2.3
		}
		put(r.Name, strings.Join(r.Values, separator))
	}
	for name := range h {
		if v.Edit.Remove(name) {
			remove(name)
		}
	}
	for _, name := range v.Edit.Identity() {
		remove(name)
	}
	for _, name := range v.Edit.Stripped() {
		remove(name)
	}
	if v.Edit.AnswerProtocol != "" {
		answer := option("sec-websocket-protocol", v.Edit.AnswerProtocol)
		answer.AppendAction = checkv3.HeaderValueOption_ADD_IF_ABSENT
		out.ResponseHeadersToAdd = append(out.ResponseHeadersToAdd, answer)
	}
	out.QueryParametersToRemove = droppedParameters(q.Target, v.Target)
	return out
}

// denied is a refusal as Envoy passes it on. Envoy itself makes a gRPC status of it for a gRPC client, with the body as its message.
func denied(q *question, v *gate.Verdict, grpcClient bool) *checkv3.DeniedHttpResponse {
	r := refuse.Render(v.Answer(q.id, q.traceID, v.CORS.Set), refuse.HTTP)
	out := &checkv3.DeniedHttpResponse{Status: &checkv3.HttpStatus{Code: int32(r.Status)}, Body: string(r.Body)} //nolint:gosec // a status
	for _, f := range r.Header {
		if grpcClient && f.Name == "Content-Type" {
			continue
		}
		out.Headers = append(out.Headers, option(strings.ToLower(f.Name), f.Value))
	}
	if grpcClient {
		out.Body = refuse.Table(v.Reason).Description
	}
	return out
}

func option(name, value string) *checkv3.HeaderValueOption {
	return &checkv3.HeaderValueOption{
		Header:       &checkv3.HeaderValue{Key: name, Value: value},
		AppendAction: checkv3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
}
