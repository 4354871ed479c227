package client

import (
	"errors"
	"strconv"

	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/frame"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// call is a request of an HTTP/2 client, and its answer.
type call struct {
	c  *HTTP2
	id uint32
	x  *exchange.Exchange // nil: it is over, and some of the answer is to be sent still
	in exchange.Intake

	pace   pace
	timer  loop.Timer // for a body that is waited for
	stall  stall      // for an answer that the client does not take
	queued int        // bytes of the answer that wait for the client's window
	sent   int        // bytes of it that the window has taken

	trailers [2]head.Field // room for those of the request

	left    bool // it is over
	counted bool // among all requests
	stream  bool // its body is a stream of messages: nobody knows when the next is due
	broken  bool // the stream is no more
}

// Guard implements exchange.Client.
func (k *call) Guard(do func()) { k.c.conn.Guard(do) }

// Continue implements exchange.Client.
func (k *call) Continue() {
	_ = k.write([]frame.Field{{Name: ":status", Value: "100"}}, frame.More)
}

// Switch implements exchange.Client. HTTP/2 has no such thing (RFC 9113 section 8.6).
func (*call) Switch(*exchange.Exchange, *exchange.Answer) *loop.Conn { return nil }

// Interim implements exchange.Client. An interim answer that is too large for the client is left out.
func (k *call) Interim(a *exchange.Answer) { _ = k.write(k.fields(a), frame.More) }

// Head implements exchange.Client.
func (k *call) Head(_ *exchange.Exchange, a *exchange.Answer) {
	if err := k.write(k.fields(a), frame.End(a.None || a.Length == 0)); err != nil {
		k.fails()
	}
}

// fields returns the fields of a head, which are valid until the next one.
func (k *call) fields(a *exchange.Answer) []frame.Field {
	s := k.c.shared
	s.fields = append(s.fields[:0], frame.Field{Name: ":status", Value: status(a.Status)})
	a.Fields(&s.fields)
	return s.fields
}

func status(n int) string {
	if n == 200 {
		return "200"
	}
	return strconv.Itoa(n)
}

func (k *call) write(fields []frame.Field, end frame.End) error {
	if k.broken {
		return nil
	}
	err := k.c.frames.Headers(k.id, fields, end)
	clear(fields) // they point to what will be overwritten
	k.c.touch()
	return err
}

// Data implements exchange.Client.
func (k *call) Data(p []byte) {
	if k.broken {
		return
	}
	n, sent := k.c.frames.Data(k.id, p, frame.More)
	if n < len(p) {
		k.fails()
		return
	}
	k.sent += sent
	if waits := n - sent; waits > 0 {
		if k.queued == 0 {
			k.watch()
		}
		k.queues(waits)
	}
	k.c.touch()
}

// Finish implements exchange.Client.
func (k *call) Finish(trailers []head.Field) {
	if k.broken {
		return
	}
	if len(trailers) == 0 {
		k.c.frames.Data(k.id, nil, frame.Last)
		k.c.touch()
		return
	}
	s := k.c.shared
	s.fields = s.fields[:0]
	for i := range trailers {
		s.fields.Field(trailers[i].Text())
	}
	if err := k.c.frames.Headers(k.id, s.fields, frame.Last); err != nil {
		k.reset(frame.InternalError)
	}
	clear(s.fields) // they point to what will be overwritten
	k.c.touch()
}

// Break implements exchange.Client. What the app has said of the stream, the client is told, but not that the request has been left alone: an
// answer had begun.
func (k *call) Break(why error) {
	code := frame.InternalError
	if a, ok := errors.AsType[*exchange.Aborted](why); ok && a.Code != uint32(frame.NoError) && a.Code != uint32(frame.RefusedStream) {
		code = frame.Code(a.Code)
	}
	k.reset(code)
}

// fails ends the stream of an answer that cannot be sent. The exchange is told when it is not in the middle of something any more.
func (k *call) fails() {
	k.reset(frame.InternalError)
	c, id := k.c, k.id
	c.host.Loop.Post(func() { c.conn.Guard(func() { c.Reset(id, frame.InternalError, nil) }) })
}

// reset ends the stream.
func (k *call) reset(code frame.Code) {
	k.broken = true
	k.queues(-k.queued)
	k.c.frames.Reset(k.id, code)
	k.c.touch()
}

// queues notes that n bytes more of the answer wait, or fewer.
func (k *call) queues(n int) {
	k.queued += n
	loop.Count(n)
}

// Full implements exchange.Client.
func (k *call) Full() bool { return loop.Enough(k.queued) }

// Want implements exchange.Client.
func (k *call) Want() {
	k.in.Want(k)
	k.paces()
	k.c.touch()
}

// Give implements exchange.Sink.
func (k *call) Give(p []byte) (more bool) { return k.x.Body(p) }

// Took implements exchange.Sink.
func (k *call) Took(n int) {
	if n > 0 {
		k.c.frames.Took(k.id, n)
	}
}

// Ends implements exchange.Sink.
func (k *call) Ends(trailers []head.Field) {
	if k.x != nil {
		k.x.BodyEnds(trailers)
	}
}

// Done implements exchange.Client.
func (k *call) Done() {
	k.x = nil
	k.in.Stop(k)
	k.c.host.Loop.Stop(&k.timer)
	if k.queued == 0 {
		k.leave()
	}
}

// leave ends the call.
func (k *call) leave() {
	if k.left {
		return
	}
	k.left = true
	c := k.c
	c.shared.drop(k)
	c.host.Loop.Stop(&k.stall.Timer)
	if k.counted {
		k.counted = false
		c.shared.Requests.Leave()
	}
	if c.calls.Get(k.id) == k {
		c.calls.Remove(k.id)
	}
	if c.calls.Len() == 0 {
		c.rest()
		c.touch()
	}
}

// lost is for a stream that has ended before its answer has.
func (k *call) lost() {
	k.broken = true
	k.queues(-k.queued)
	if k.x != nil {
		k.x.ClientGone()
		return
	}
	k.leave()
}

// goes notes what has been sent of what waited for the client's window.
func (k *call) goes(n int) {
	k.sent += n
	if k.queues(-n); k.queued > 0 && k.Full() {
		return
	}
	switch {
	case k.x != nil:
		k.x.ClientTakes()
	case k.queued == 0:
		k.leave()
	}
}

// watch bounds how long the client may open no window.
func (k *call) watch() {
	if k.stall.Do == nil {
		k.stall.Timer = loop.Timer{Do: k.stalls, Of: k.c.conn}
	}
	k.stall.begin(k.c.host)
}

// stalls ends a stream whose client opens no window for it. That the client takes little of all streams together is another matter.
func (k *call) stalls() {
	taken := uint64(k.sent) //nolint:gosec // it is not negative
	switch own, all := k.c.frames.Blocked(k.id); {
	case own || k.queued == 0:
	case all: // others have their turns before it
		taken = k.c.frames.Carried()
	default: // it is the socket that takes no more
		k.stall.begin(k.c.host)
		return
	}
	if k.stall.over(k.c.host, taken, k.queued > 0) {
		k.reset(frame.InternalError)
		k.lost()
	}
}

// paces bounds how slowly the body may come, while it is waited for.
func (k *call) paces() {
	if !k.hurries() {
		return
	}
	open := k.in.Open()
	if open && k.timer.Do == nil {
		k.timer = loop.Timer{Do: k.slow, Of: k.c.conn}
	}
	k.pace.wait(open, k.c.shutFor(), &k.timer, k.c.host)
}

// hurries reports whether the body has to come at a rate: messages have not, once nobody waits for all of them.
func (k *call) hurries() bool { return k.x != nil && (!k.stream || k.x.Gathers()) }

func (k *call) slow() {
	if k.hurries() && k.in.Open() && k.pace.slow(k.c.shutFor(), &k.timer, k.c.host) {
		k.x.BodySlow()
	}
}
