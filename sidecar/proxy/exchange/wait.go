package exchange

import (
	"context"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// judge asks the gate. Where the verdict may become another one by waiting, a goroutine waits.
func (x *Exchange) judge() {
	var wait func(context.Context) gate.Verdict
	if x.verdict, wait = x.host.Gate.JudgeNow(&x.request); wait == nil || !x.keepHead() {
		x.settle()
		return
	}
	x.step = stepWait
	ctx, cancel := context.WithCancel(x.host.ctx)
	x.cancel = cancel
	host, client := x.host, x.client
	go func() {
		v := wait(ctx)
		cancel()
		host.Loop.Post(func() { client.Guard(func() { x.judged(&v) }) })
	}()
}

// judged goes on with the verdict that was waited for.
func (x *Exchange) judged(v *gate.Verdict) {
	x.verdict, x.cancel, x.step = *v, nil, stepNew
	x.giveRoom()
	if x.left {
		if x.unjudged() || x.verdict.Open() || x.verdict.Forward { // nothing has become of it
			x.verdict = gate.Verdict{}
		} else {
			x.observe("")
		}
		x.endTrace()
		x.release()
		return
	}
	x.settle()
}

// leave is for a client that goes while the verdict is waited for.
func (x *Exchange) leave() {
	x.left = true
	x.cancel()
	client := x.client
	x.client = nil
	client.Done()
}

// gather has the beginning of the body be read, which the gate wants to see.
func (x *Exchange) gather(most int) {
	x.gathers = x.host.Now().Sub(x.start)
	if x.whole { // there is none
		x.endGather(nil)
		return
	}
	if !x.Req.Chunked {
		if x.Req.Length > int64(most) {
			x.request.Body = &gate.Body{}
			x.judge()
			return
		}
		most = int(x.Req.Length)
	}
	room := loop.BlockSize(most)
	if x.Req.Chunked && !x.HTTP2 {
		room *= 2 // the chunks, and what is in them
	}
	if !x.keepHead() || !x.host.Gathered.Take(x.conn.Info.Remote, room) {
		x.verdict = gate.Verdict{Reason: decision.Overloaded, Path: x.verdict.Path, CORS: x.verdict.CORS}
		x.settle()
		return
	}
	x.begun.Free(most)
	x.room = room
	x.step = stepGather
	if x.Req.Expect {
		x.Req.Expect, x.asked = false, true
		x.client.Continue()
	}
	x.client.Want()
}

// unjudged reports whether the gate has no verdict yet, and wants to see the body.
func (x *Exchange) unjudged() bool { return x.verdict.WantBody > 0 }

// takeGathered takes a piece of the body. Of one that is larger than what may be looked at, the rest goes on behind it.
func (x *Exchange) takeGathered(p []byte) (more bool) {
	if x.begun.Append(p); x.begun.Len() <= x.verdict.WantBody {
		return true // it may be whole
	}
	x.endGather(nil)
	if x.app != nil && x.app.Full() {
		x.untaken()
		return false
	}
	return x.app != nil
}

// endGather asks the gate again.
func (x *Exchange) endGather(trailers []head.Field) {
	x.step, x.tail = stepNew, head.Clone(trailers) // they lie in what was read last
	x.giveRoom()
	x.request.Body = &gate.Body{Data: x.begun.Bytes()[:min(x.begun.Len(), x.verdict.WantBody)], Whole: x.whole}
	x.request.Time = x.host.Now() // it is later by now
	x.late = x.request.Time.Sub(x.start) - x.gathers
	x.judge()
}

// giveRoom gives back what the body counted for, and the head.
func (x *Exchange) giveRoom() {
	if x.kept > 0 {
		x.host.Heads.Give(x.conn.Info.Remote, x.kept)
		x.kept = 0
	}
	if x.room > 0 {
		x.host.Gathered.Give(x.conn.Info.Remote, x.room)
		x.room = 0
	}
}

// Gathers reports whether the beginning of the body is waited for, for the verdict.
func (x *Exchange) Gathers() bool { return x.step == stepGather }
