package push

import (
	"math/rand/v2"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/bearerguard/bearerguard/api/bundle"
)

// How long the sidecars of a replica that stops are told to wait before they connect again: not all of them at once, and not before it is
// known everywhere that the replica is going, or another one could be there.
const (
	soonest        = 250 * time.Millisecond
	withoutOthers  = 2 * time.Second
	comeBackSecond = 2500 // sidecars
)

// endAll ends every stream.
func (s *Server) endAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var streams []*stream
	for _, pods := range s.namespaces {
		for _, p := range pods {
			if p.stream != nil {
				streams = append(streams, p.stream)
			}
		}
	}
	within := time.Duration(len(streams)) * time.Second / comeBackSecond
	for _, c := range streams {
		wait := soonest + rand.N(within+1) //nolint:gosec // jitter
		if len(s.replicas) == 0 && !s.led {
			wait += withoutOthers
		}
		c.endFor(wait, status.Error(codes.Unavailable, "this replica of the controller is stopping"))
	}
}

// endFor is end, and tells the sidecar how long to wait before it connects again.
func (c *stream) endFor(wait time.Duration, err error) {
	c.rpc.SetTrailer(metadata.Pairs(bundle.WaitTrailer, strconv.FormatInt(wait.Milliseconds(), 10)))
	c.end(err)
}
