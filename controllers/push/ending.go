package push

import (
	"context"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ending ends a stream whose handler receives: gRPC has no way to say so from elsewhere but to write the stream's status, which ends what
// the handler waits for too. Its zero value is to be bound by of. It is safe for concurrent use.
type ending struct {
	stream statusWriter
	why    atomic.Pointer[error]
}

// statusWriter is what a stream is below its handler.
type statusWriter interface {
	WriteStatus(*status.Status) error
}

// of binds it to the stream of a handler's context.
func (e *ending) of(ctx context.Context) error {
	w, ok := grpc.ServerTransportStreamFromContext(ctx).(statusWriter)
	if !ok {
		return status.Error(codes.Internal, "gRPC's streams have no status to write")
	}
	e.stream = w
	return nil
}

// with ends the stream with err, unless something else has already. It does not block.
func (e *ending) with(err error) {
	if e.why.CompareAndSwap(nil, &err) {
		_ = e.stream.WriteStatus(status.Convert(err)) // the sidecar may be gone
	}
}

// cause returns why the stream was ended, or else err.
func (e *ending) cause(err error) error {
	if why := e.why.Load(); why != nil {
		return *why
	}
	return err
}
