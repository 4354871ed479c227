package push_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/bearerguard/bearerguard/controllers/compile"
	"github.com/bearerguard/bearerguard/controllers/push"
)

func TestSidecarsOfOthersNamespacesAreRefused(t *testing.T) {
	t.Parallel()
	for what, tc := range map[string]struct {
		why  error
		code codes.Code
	}{
		"it is another release's":      {errors.New("this release does not serve namespace shop"), codes.FailedPrecondition},
		"it is not known whose it is":  {fmt.Errorf("whose namespace shop is: %w", push.ErrNotNow), codes.Unavailable},
		"it is served, as all are":     {nil, codes.OK},
		"an error in others' words is": {context.DeadlineExceeded, codes.FailedPrecondition},
	} {
		r := startReplica(t, newCertificate(t), func(c *push.Config) { c.Serves = func(context.Context, string) error { return tc.why } })
		b := newBundle("v1", 1)
		r.give(map[string]*compile.Bundle{"a": b})
		s := r.connect(t, r.tokens.mint("a", tomorrow(), nil), "")
		if tc.why == nil {
			s.expect(b)
			continue
		}
		if err := s.ends(); status.Code(err) != tc.code || status.Convert(err).Message() != tc.why.Error() {
			t.Errorf("%s: ended with %v, want %s: %v", what, err, tc.code, tc.why)
		}
	}
}

func TestStreamsOfANamespaceThatLeavesEndWithTheCause(t *testing.T) {
	t.Parallel()
	r := startReplica(t, newCertificate(t), nil)
	b := newBundle("v1", 1)
	r.give(map[string]*compile.Bundle{"a": b})
	known, early := r.connect(t, r.tokens.mint("a", tomorrow(), nil), ""), r.connect(t, r.tokens.mint("b", tomorrow(), nil), "")
	known.expect(b)
	r.until(t, "both are connected", func(s map[string]push.Sidecar) bool { return len(s) == 2 })
	r.Leave("shop", errors.New("namespace shop has gone to blue"))
	for _, s := range []*sidecar{known, early} {
		if err := s.ends(); status.Code(err) != codes.FailedPrecondition || status.Convert(err).Message() != "namespace shop has gone to blue" {
			t.Errorf("ended with %v", err)
		}
	}
	r.until(t, "nothing is remembered", func(s map[string]push.Sidecar) bool { return len(s) == 0 })
}
