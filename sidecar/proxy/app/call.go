package app

import (
	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/frame"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// call is a request, and its answer.
type call struct {
	a  *HTTP2
	id uint32
	x  *exchange.Exchange // nil: nobody wants the answer
	in exchange.Intake

	queued int  // bytes of the request that wait for the app's window
	left   bool // it is over

	trailers [2]head.Field // room for those of the answer
}

// mostCalls is how many calls are kept to be used again.
const mostCalls = 1024

// call returns one that is used again, or a new one.
func (s *Shared) call(a *HTTP2, x *exchange.Exchange) *call {
	k := s.calls.Take()
	*k = call{a: a, x: x}
	return k
}

// drop gives the call back. What is on the way out of it may still look at it, before the next one begins.
func (k *call) drop() {
	k.queues(-k.queued)
	if !k.left {
		k.a.set.Shared.calls.Give(k, mostCalls)
	}
	k.left = true
}

// Head implements exchange.App.
func (k *call) Head(x *exchange.Exchange) {
	a, s := k.a, k.a.set.Shared
	scheme := "http"
	if a.set.Secure {
		scheme = "https"
	}
	s.fields = append(s.fields[:0], frame.Field{Name: ":method", Value: x.Method()}, frame.Field{Name: ":scheme", Value: scheme},
		frame.Field{Name: ":authority", Value: x.Host()}, frame.Field{Name: ":path", Value: x.Target()})
	x.Fields(&s.fields)
	if x.Req.Trailers {
		s.fields.Field("te", "trailers")
	}
	id, err := a.frames.Open(s.fields, frame.End(x.Empty()))
	clear(s.fields) // they point to what will be overwritten
	if err != nil {
		k.x = nil
		a.rest()
		x.AppFails(err)
		return
	}
	k.id = id
	a.calls.Add(id, k)
	k.in.Want(k)
	x.Keep()
	a.touch()
}

// Data implements exchange.App.
func (k *call) Data(p []byte) {
	n, sent := k.a.frames.Data(k.id, p, frame.More)
	if n < len(p) { // the stream is gone, as will be told
		return
	}
	k.queues(n - sent)
	k.a.touch()
}

// Finish implements exchange.App.
func (k *call) Finish(trailers []head.Field) {
	s := k.a.set.Shared
	s.fields = s.fields[:0]
	for i := range trailers {
		if f := &trailers[i]; k.x.Trailer(f) {
			s.fields.Field(f.Text())
		}
	}
	if len(s.fields) == 0 {
		k.a.frames.Data(k.id, nil, frame.Last)
	} else if err := k.a.frames.Headers(k.id, s.fields, frame.Last); err != nil {
		k.fails(err)
	}
	clear(s.fields) // they point to what will be overwritten
	k.a.touch()
}

// fails ends a request whose end cannot be sent. The exchange is told when it is not in the middle of something any more.
func (k *call) fails(err error) {
	a, id := k.a, k.id
	a.set.host.Loop.Post(func() {
		a.conn.Guard(func() {
			if k := a.calls.Get(id); k != nil {
				a.calls.Remove(id)
				a.frames.Reset(id, frame.Cancel)
				k.fail(err, false)
				a.rest()
				a.touch()
			}
		})
	})
}

// queues notes that n bytes more of the request wait, or fewer.
func (k *call) queues(n int) {
	if n != 0 {
		k.queued += n
		loop.Count(n)
	}
}

// Full implements exchange.App.
func (k *call) Full() bool { return loop.Enough(k.queued) }

// Taken implements exchange.App: the app opens its window, or takes what is written to it.
func (k *call) Taken() uint64 {
	n := uint64(0)
	if k.a.conn.Queued() > 0 {
		n, _ = k.a.conn.Taken()
	}
	return n - uint64(k.queued) //nolint:gosec // it may wrap
}

// Want implements exchange.App.
func (k *call) Want() {
	k.in.Want(k)
	k.a.touch()
}

// Cancel implements exchange.App.
func (k *call) Cancel() {
	a := k.a
	a.cut = a.cut || k.x != nil && !k.x.Whole()
	k.x = nil
	k.in.Stop(k)
	if a.calls.Get(k.id) == k {
		a.calls.Remove(k.id)
		a.frames.Reset(k.id, frame.Cancel)
		a.rest()
		a.touch()
	}
	k.drop()
}

// fail tells of an answer that does not come, or breaks off; one that has come as a whole goes on to the client as it takes it. A request that may
// be sent again is, once, if the app has not begun to answer it. Nothing more comes on the stream.
func (k *call) fail(err error, again bool) {
	x := k.x
	if x == nil {
		return
	}
	if k.in.Ended() {
		k.a.frames.Reset(k.id, frame.Cancel) // if the connection has it still: nobody takes the rest of the request
		k.queues(-k.queued)
		x.Guard(x.AppTakes)
		return
	}
	k.x = nil
	k.in.Stop(k)
	k.queues(-k.queued)
	x.Guard(func() {
		if !again || !x.Kept() || !x.SendAgain() {
			x.AppFails(err)
		}
		k.drop() // not where that has panicked: the exchange may still have it
	})
}

// repeatable reports whether the request may be sent again though the app may have looked at it.
func (k *call) repeatable() bool { return k.a.used && k.x != nil && k.x.Kept() && k.x.Repeatable() }

// leave parts the stream from the exchange, once all of the answer has come.
func (k *call) leave() *exchange.Exchange {
	x, a := k.x, k.a
	if a.used = true; !x.Whole() {
		return x // which cancels it
	}
	k.x = nil
	k.in.Stop(k)
	a.calls.Remove(k.id)
	a.frames.Reset(k.id, frame.Cancel) // if the app does not take the rest of the request
	a.rest()
	k.drop()
	return x
}

// Give implements exchange.Sink.
func (k *call) Give(p []byte) (more bool) { return k.x.Data(p) }

// Took implements exchange.Sink.
func (k *call) Took(n int) {
	if n > 0 {
		k.a.frames.Took(k.id, n)
	}
}

// Ends implements exchange.Sink.
func (k *call) Ends(trailers []head.Field) {
	if k.x == nil {
		return
	}
	k.leave().AnswerEnds(trailers)
}
