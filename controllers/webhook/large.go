package webhook

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

const (
	// smallReview is the size, in bytes, up to which requests are all served at once. Most are a tenth of it.
	smallReview = 256 << 10
	// largeReviews is how many larger ones are served at a time. Anybody who reaches the port can send them, 7 MiB each.
	largeReviews = 16
	// largePolicies is how many of them are of policies.
	largePolicies = 4
	// largeTime is how long the body of a large one may take.
	largeTime = 5 * time.Second
)

// bounded serves few large requests at a time; others wait until their caller gives up. Small ones never wait, once they have come.
func bounded(small *arrivals, places chan struct{}, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength >= 0 && r.ContentLength <= smallReview {
			if small.read(w, r) {
				next.ServeHTTP(w, r)
			}
			return
		}
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
		case <-r.Context().Done():
			return
		}
		// A server that cannot do this has timeouts of its own.
		ctl := http.NewResponseController(w)
		_ = ctl.SetReadDeadline(time.Now().Add(largeTime))
		r.Body = &inTime{r.Body, ctl}
		next.ServeHTTP(w, r.WithContext(withLarge(r.Context())))
	})
}

// inTime is a body whose deadline goes once it has come: net/http goes on reading, to notice that the caller leaves.
type inTime struct {
	io.ReadCloser
	ctl *http.ResponseController
}

// Read reads from the body.
func (b *inTime) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		_ = b.ctl.SetReadDeadline(time.Time{})
	}
	return n, err
}

type largeKey struct{}

func withLarge(ctx context.Context) context.Context { return context.WithValue(ctx, largeKey{}, true) }

// isLarge reports whether ctx is that of a request that holds a place of the large ones.
func isLarge(ctx context.Context) bool { return ctx.Value(largeKey{}) != nil }
