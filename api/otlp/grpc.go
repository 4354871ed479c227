package otlp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// grpcLink sends by the TraceService's method Export. One goroutine uses it.
type grpcLink struct {
	address, host string
	secure        bool
	files         files

	conn *grpc.ClientConn
	pem  []byte // that the connection trusts
}

// open returns the connection, a new one if the authorities have changed.
func (l *grpcLink) open() (*grpc.ClientConn, error) {
	creds := insecure.NewCredentials()
	var pem []byte
	if l.secure {
		var err error
		if pem, err = l.files.authority(); err != nil {
			return nil, err
		}
	}
	if l.conn != nil && bytes.Equal(pem, l.pem) {
		return l.conn, nil
	}
	if l.secure {
		c, err := tlsConfig(pem)
		if err != nil {
			return nil, err
		}
		c.ServerName = l.host
		creds = credentials.NewTLS(c)
	}
	conn, err := grpc.NewClient("dns:///"+l.address, grpc.WithTransportCredentials(creds), grpc.WithUserAgent(userAgent),
		grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(), grpc.WithNoProxy(),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(plain{}), grpc.MaxCallRecvMsgSize(maxAnswer)))
	if err != nil {
		return nil, err
	}
	l.close()
	l.conn, l.pem = conn, pem
	return conn, nil
}

func (l *grpcLink) send(ctx context.Context, body []byte) (int, error) {
	conn, err := l.open()
	if err != nil {
		return 0, err
	}
	header, err := l.files.header()
	if err != nil {
		return 0, err
	}
	for _, f := range header {
		ctx = metadata.AppendToOutgoingContext(ctx, f.name, f.value)
	}
	var answer []byte
	err = conn.Invoke(ctx, "/opentelemetry.proto.collector.trace.v1.TraceService/Export", body, &answer)
	if err == nil {
		return rejectedSpans(answer), nil
	}
	s := status.Convert(err)
	err = fmt.Errorf("the collector answered with gRPC status %s", s.Code())
	if s.Code() == codes.Unavailable { // mostly of our own making, and then it tells what is wrong
		err = fmt.Errorf("%w: %s", err, s.Message())
	}
	if untrusted(err) {
		return 0, distrust(err)
	}
	after, asked := retryInfo(s)
	switch s.Code() {
	case codes.Canceled, codes.DeadlineExceeded, codes.Aborted, codes.OutOfRange, codes.Unavailable, codes.DataLoss:
		return 0, &retryable{err, after}
	case codes.ResourceExhausted:
		if asked {
			return 0, &retryable{err, after}
		}
	default:
	}
	return 0, err
}

// retryInfo returns how long a google.rpc.RetryInfo among the details asks to wait, and whether there is one.
func retryInfo(s *status.Status) (time.Duration, bool) {
	for _, d := range s.Proto().GetDetails() {
		if d.GetTypeUrl() != "type.googleapis.com/google.rpc.RetryInfo" {
			continue
		}
		delay, _ := find(d.GetValue(), 1)
		_, seconds := find(delay, 1)
		_, nanos := find(delay, 2)
		if seconds > uint64(patience/time.Second) || nanos >= uint64(time.Second) {
			return patience, true
		}
		return time.Duration(seconds)*time.Second + time.Duration(nanos), true //nolint:gosec // bounded
	}
	return 0, false
}

func (l *grpcLink) close() {
	if l.conn != nil {
		_ = l.conn.Close()
	}
}

// plain is a codec of messages that are encoded already.
type plain struct{}

// Name is what gRPC calls protobuf.
func (plain) Name() string { return "proto" }

var errNotPlain = errors.New("want encoded bytes")

// Marshal implements encoding.CodecV2.
func (plain) Marshal(v any) (mem.BufferSlice, error) {
	b, ok := v.([]byte)
	if !ok {
		return nil, errNotPlain
	}
	return mem.BufferSlice{mem.SliceBuffer(b)}, nil
}

// Unmarshal implements encoding.CodecV2.
func (plain) Unmarshal(data mem.BufferSlice, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return errNotPlain
	}
	*b = data.Materialize()
	return nil
}
