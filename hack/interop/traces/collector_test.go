package traces

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// collected is a collector that keeps what it is sent.
type collected struct {
	collector.UnimplementedTraceServiceServer

	url string

	mu       sync.Mutex
	batches  []*collector.ExportTraceServiceRequest
	tokens   []string // of the header authorization
	statuses []int    // answers to give by HTTP before 200
}

var errUnread = errors.New("a batch that is none")

// take keeps a batch.
func (c *collected) take(r *collector.ExportTraceServiceRequest, token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.batches, c.tokens = append(c.batches, r), append(c.tokens, token)
}

// Export implements the TraceService.
func (c *collected) Export(ctx context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	token := ""
	if v := md.Get("authorization"); len(v) > 0 {
		token = v[0]
	}
	c.take(r, token)
	return &collector.ExportTraceServiceResponse{}, nil
}

// ServeHTTP is the same over HTTP.
func (c *collected) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var batch collector.ExportTraceServiceRequest
	if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" || proto.Unmarshal(body, &batch) != nil {
		http.Error(w, errUnread.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	status := http.StatusOK
	if len(c.statuses) > 0 {
		status, c.statuses = c.statuses[0], c.statuses[1:]
	}
	c.mu.Unlock()
	if status != http.StatusOK {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(status)
		return
	}
	c.take(&batch, r.Header.Get("Authorization"))
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// newCollector listens by a protocol.
func newCollector(t *testing.T, protocol string) *collected {
	t.Helper()
	return newSecureCollector(t, protocol, nil)
}

// newSecureCollector listens with a certificate; nil: without TLS.
func newSecureCollector(t *testing.T, protocol string, certificate *tls.Certificate) *collected {
	t.Helper()
	c := &collected{}
	if protocol == "http/protobuf" {
		s := httptest.NewUnstartedServer(c)
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		if certificate == nil {
			s.Start()
		} else {
			s.TLS = &tls.Config{Certificates: []tls.Certificate{*certificate}, MinVersion: tls.VersionTLS12}
			s.StartTLS()
		}
		t.Cleanup(s.Close)
		c.url = s.URL
		return c
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var options []grpc.ServerOption
	if certificate != nil {
		options = append(options, grpc.Creds(credentials.NewServerTLSFromCert(certificate)))
	}
	s := grpc.NewServer(options...)
	collector.RegisterTraceServiceServer(s, c)
	go func() { _ = s.Serve(lis) }()
	t.Cleanup(s.Stop)
	c.url = "http://" + lis.Addr().String()
	if certificate != nil {
		c.url = "https://" + lis.Addr().String()
	}
	return c
}

// span is one span, for people to compare.
type span struct {
	name, trace, id, parent string
	kind                    trace.Span_SpanKind
	attrs                   map[string]any
	failed                  bool
	took                    time.Duration
}

// spans returns all that came, and the resource's attributes.
func (c *collected) spans() (out []span, resource map[string]any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.batches {
		for _, r := range b.GetResourceSpans() {
			resource = attributes(r.GetResource().GetAttributes())
			for _, scope := range r.GetScopeSpans() {
				for _, s := range scope.GetSpans() {
					out = append(out, span{
						name: s.GetName(), trace: hex.EncodeToString(s.GetTraceId()), id: hex.EncodeToString(s.GetSpanId()),
						parent: hex.EncodeToString(s.GetParentSpanId()), kind: s.GetKind(), attrs: attributes(s.GetAttributes()),
						failed: s.GetStatus().GetCode() == trace.Status_STATUS_CODE_ERROR,
						took:   time.Duration(s.GetEndTimeUnixNano() - s.GetStartTimeUnixNano()), //nolint:gosec // small
					})
				}
			}
		}
	}
	return out, resource
}

func attributes(all []*common.KeyValue) map[string]any {
	out := map[string]any{}
	for _, a := range all {
		switch v := a.GetValue().GetValue().(type) {
		case *common.AnyValue_StringValue:
			out[a.GetKey()] = v.StringValue
		case *common.AnyValue_IntValue:
			out[a.GetKey()] = v.IntValue
		default:
			out[a.GetKey()] = v
		}
	}
	return out
}

// server returns the span of the server's kind with a request id, and the spans below it.
func (c *collected) server(id string) (own span, below []span) {
	all, _ := c.spans()
	i := slices.IndexFunc(all, func(s span) bool { return s.attrs["bearerguard.request_id"] == id })
	if i < 0 {
		return span{}, nil
	}
	own = all[i]
	for _, s := range all {
		if s.trace == own.trace && s.id != own.id {
			below = append(below, s)
		}
	}
	return own, below
}
