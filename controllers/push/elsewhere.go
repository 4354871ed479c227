package push

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ErrNotNow says that something cannot be told now.
var ErrNotNow = errors.New("not known yet; try again")

// serves returns the answer to a sidecar of a namespace that is not served here; nil: it is.
func (s *Server) serves(ctx context.Context, namespace string) error {
	switch err := s.config.Serves(ctx, namespace); {
	case err == nil:
		return nil
	case errors.Is(err, ErrNotNow):
		return status.Error(codes.Unavailable, err.Error())
	default:
		return status.Error(codes.FailedPrecondition, err.Error())
	}
}

// Leave forgets a namespace that is served here no more. The streams of its pods end with the cause, and their sidecars go on with what
// they have.
func (s *Server) Leave(namespace string, cause error) {
	s.mu.Lock()
	for _, p := range s.namespaces[namespace] {
		if p.stream != nil {
			p.stream.end(status.Error(codes.FailedPrecondition, cause.Error()))
		}
	}
	s.mu.Unlock()
	s.Set(namespace, nil)
}
