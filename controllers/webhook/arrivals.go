package webhook

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/bearerguard/bearerguard/api/fair"
)

// smallArrivals is how many small requests are read at a time, and of one address: 96 MiB and 32. An API server's are there as soon as they begin.
var smallArrivals = fair.Limits{All: 384, Place: 128}

// smallTime is how long the body of a small request may take.
const smallTime = 5 * time.Second

// arrivals are the small requests whose bodies have not come yet. Anybody who reaches the port can begin as many as there are streams.
type arrivals struct{ bound *fair.Bound }

func newArrivals() *arrivals { return &arrivals{fair.NewBound(smallArrivals)} }

// read reads the body of a small request, which r has then. It returns false if it has answered instead: the body does not come, or too many do not.
func (a *arrivals) read(w http.ResponseWriter, r *http.Request) bool {
	if r.ContentLength == 0 {
		return true
	}
	c := &coming{ctl: http.NewResponseController(w)}
	_ = c.ctl.SetReadDeadline(time.Now().Add(smallTime)) // a server that cannot do this has timeouts of its own
	leave, ok := a.bound.Enter(fair.Host(r.RemoteAddr), c.cut)
	if !ok {
		http.Error(w, "the bodies of too many requests have not come; try again", http.StatusTooManyRequests)
		return false
	}
	defer leave()
	body, err := io.ReadAll(io.LimitReader(r.Body, smallReview))
	c.come(err == nil)
	if err != nil { // net/http looks once more for the rest, up to the deadline, and ends the connection
		http.Error(w, "the body has not come", http.StatusRequestTimeout)
		return false
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return true
}

// coming is a body on its way. Another request may have its place, unless it has come.
type coming struct {
	mu  sync.Mutex
	ctl *http.ResponseController // guarded by mu; nil: it has come
}

// cut ends the wait.
func (c *coming) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctl != nil {
		_ = c.ctl.SetReadDeadline(time.Now())
	}
}

// come ends cut's hold on it. The deadline goes if all of it has come: net/http goes on reading, to notice that the caller leaves.
func (c *coming) come(whole bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if whole {
		_ = c.ctl.SetReadDeadline(time.Time{})
	}
	c.ctl = nil
}
