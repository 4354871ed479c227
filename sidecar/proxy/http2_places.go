package proxy

import (
	"bytes"
	"container/list"
	"net"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/net/http2"
)

// places bounds how many connections of HTTP/2 are served at a time. A further one waits until another ends, which costs
// neither a goroutine nor a buffer; after a while it is sent away. All methods may be called at any time.
type places struct {
	patience time.Duration
	log      logr.Logger

	mu     sync.Mutex
	free   int       // guarded by mu
	queue  list.List // guarded by mu: of *waiting, who came first is first
	closed bool      // guarded by mu: nobody waits any more
}

// waiting is a connection that has no place yet.
type waiting struct {
	conn    net.Conn
	release func()
	serve   func(leave func())
	timer   *time.Timer
	out     bool // guarded by places.mu: of the queue
}

// take has serve called, which must not block, once there is a place for a connection, or else closes and releases it. leave
// gives the place back and releases.
func (p *places) take(c net.Conn, release func(), serve func(leave func())) {
	w := &waiting{conn: c, release: release, serve: serve}
	p.mu.Lock()
	switch {
	case p.free > 0:
		p.free--
		p.mu.Unlock()
		p.begin(w)
	case p.closed:
		p.mu.Unlock()
		p.sendAway(w)
	default:
		e := p.queue.PushBack(w)
		w.timer = time.AfterFunc(p.patience, func() { p.giveUp(e) })
		p.mu.Unlock()
	}
}

func (p *places) begin(w *waiting) {
	w.serve(func() {
		w.release()
		p.leave()
	})
}

// leave gives a place to who has waited longest, if anybody does.
func (p *places) leave() {
	if w := p.next(func() { p.free++ }); w != nil {
		p.begin(w)
	}
}

// next takes who has waited longest out of the queue. Where nobody waits, it returns nil and calls empty, with the lock held.
func (p *places) next(empty func()) *waiting {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := p.queue.Front()
	if first == nil {
		empty()
		return nil
	}
	w := p.queue.Remove(first).(*waiting)
	w.timer.Stop()
	w.out = true
	return w
}

// giveUp sends away who has waited for too long, unless somebody has taken it out of the queue just now.
func (p *places) giveUp(e *list.Element) {
	p.mu.Lock()
	w := e.Value.(*waiting)
	out := w.out
	if !out {
		p.queue.Remove(e)
	}
	p.mu.Unlock()
	if !out {
		p.sendAway(w)
	}
}

// close sends away all who wait, and those that will come while there is no place.
func (p *places) close() {
	for {
		w := p.next(func() { p.closed = true })
		if w == nil {
			return
		}
		p.sendAway(w)
	}
}

// away is what a client gets for which there is no place: a server's first frame, and its last (RFC 9113 section 3.4 and
// 6.8).
var away = func() []byte {
	var b bytes.Buffer // which takes all
	f := http2.NewFramer(&b, nil)
	_ = f.WriteSettings()
	_ = f.WriteGoAway(0, http2.ErrCodeEnhanceYourCalm, []byte("too many connections"))
	return b.Bytes()
}()

func (p *places) sendAway(w *waiting) {
	p.log.V(1).Info("connection refused", "cause", "as many of HTTP/2 are open as may be")
	_ = w.conn.SetWriteDeadline(time.Now().Add(time.Second)) // the kernel has room for that little
	_, _ = w.conn.Write(away)
	_ = w.conn.Close()
	w.release()
}
