package relay

import (
	"io"
	"net"
	"strconv"

	ends "github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
)

// copying is an answer on its way to the client. Its state is all here, so that it can go on after a wait without a
// goroutine.
type copying struct {
	begun   bool
	told    bool // the client has been, or is being, told of the answer
	frame   frame
	whole   bool        // all of the request had been sent on when the answer began
	left    int64       // bytes to come of a body of known length
	parts   head.Chunks // of a body in chunks
	last    bool        // the last chunk has come; the trailers are to
	done    bool        // nothing is to come
	long    bool        // it is counted as one that takes long
	stalled bool        // it is counted as one that the client does not take

	pieces [2][]byte   // storage for rest
	rest   net.Buffers // to be written before anything else
	pipe   *pipe       // what the kernel holds; nil: it has nothing
}

// copyBody writes the head in x.out and then the body, or returns errParked.
func (x *exchange) copyBody(u *upstream) error {
	k := &x.copying
	if x.out != nil && !k.long {
		if err := x.beginBody(u); err != nil {
			return err
		}
	}
	for {
		if err := x.writeRest(); err != nil {
			return err
		}
		if k.done {
			return nil
		}
		if err := x.copyMore(u); err != nil {
			return err
		}
	}
}

// beginBody has the head be written, together with as much of the body as there is. If that is all, and not too long to be
// worth a copy, it is written together with the wait for the next request.
func (x *exchange) beginBody(u *upstream) error {
	k, out := &x.copying, x.out
	if k.frame == frameToChunk {
		x.out = nil // take needs it for chunks
	}
	piece, err := x.take(u)
	if err != nil {
		return err
	}
	k.told = true
	short := len(piece) <= cap(out)-len(out) && len(piece) <= smallBlock
	if short {
		out, piece = append(out, piece...), nil
	}
	if k.done && short {
		return x.finish(out)
	}
	x.queue(out, piece)
	return nil
}

// finish writes the end of an answer, which is all of it, with what comes next if the connection goes on.
func (x *exchange) finish(b []byte) error {
	c := x.c
	if x.then == closeAfter || !c.in.plain {
		return c.write(b)
	}
	c.answer, x.out = b, nil
	return nil
}

// copyMore reads more and has it be written.
func (x *exchange) copyMore(u *upstream) error {
	k := &x.copying
	x.beginLong()
	switch {
	case k.last:
		return x.copyTrailers(u)
	case k.frame == frameLength && x.splices(u):
		return x.splice(u)
	}
	if err := x.more(u); err != nil {
		if err == io.ErrUnexpectedEOF && k.frame.closesApp() && x.c.ending() == endNot { //nolint:errorlint // more returns it as it is
			return x.end()
		}
		return err
	}
	piece, err := x.take(u)
	if err != nil {
		return err
	}
	x.queue(piece, nil)
	return nil
}

// end ends a body that the app has ended by closing.
func (x *exchange) end() error {
	k := &x.copying
	if k.done = true; k.frame == frameToChunk {
		x.queue([]byte("0\r\n\r\n"), nil)
	}
	return nil
}

// take takes what u holds of the body, as the client is to get it. It stays readable until u is read from again.
func (x *exchange) take(u *upstream) ([]byte, error) {
	k, held := &x.copying, u.in.buf.bytes()
	switch k.frame {
	case frameLength:
		n := int(min(k.left, int64(len(held))))
		k.left -= int64(n)
		k.done = k.left == 0
		u.in.buf.take(n)
		return held[:n], nil
	case frameChunked, frameUnchunk:
		return x.takeChunks(u, held)
	case frameToChunk:
		if len(held) == 0 {
			return nil, nil
		}
		u.in.buf.take(len(held))
		drop(x.out)
		x.out = appendChunk(grab(len(held) + chunkRoom + 4)[:0], held)
		return x.out, nil
	case frameClose:
		u.in.buf.take(len(held))
		return held, nil
	case frameNone:
	}
	k.done = true
	return nil, nil
}

// takeChunks takes what there is of a body in chunks, or the data of one.
func (x *exchange) takeChunks(u *upstream, held []byte) ([]byte, error) {
	k := &x.copying
	k.parts.DataOnly = k.frame == frameUnchunk
	kept, used, err := k.parts.Take(held)
	if err != nil {
		return nil, err
	}
	k.last = k.parts.Ended()
	if k.last && used < len(held) && k.frame == frameChunked && string(held[used:]) == "\r\n" {
		kept += copy(held[kept:], "\r\n") // no trailers: the end goes with the last chunk
		used, k.done = len(held), true
	}
	u.in.buf.take(used)
	return held[:kept], nil
}

// restCopying has the exchange hold little while the client or the app is waited for, for long.
func (x *exchange) restCopying(u *upstream) (again bool) {
	k := &x.copying
	kept := k.pipe != nil && k.pipe.held > 0 || x.c.tls != nil && x.c.tls.below.keeps()
	if len(k.rest) == 0 && !kept {
		return x.rest(nextApp)
	}
	n := 0
	for _, piece := range k.rest {
		n += len(piece)
	}
	if n > 0 {
		all := make([]byte, 0, n)
		for _, piece := range k.rest {
			all = append(all, piece...)
		}
		x.queue(all, nil)
	}
	u.in.buf.shrink()
	k.stalled = true
	x.c.relay.stalled.Add(1)
	return x.rest(nextWrite)
}

// beginLong notes that the answer may take long.
func (x *exchange) beginLong() {
	if k := &x.copying; !k.long {
		k.long = true
		x.c.relay.long.Add(1)
		drop(x.out)
		x.out = nil
	}
}

// endLong notes that it has ended.
func (x *exchange) endLong() {
	k := &x.copying
	if k.long {
		x.c.relay.long.Add(-1)
	}
	if k.pipe != nil {
		k.pipe.release()
		k.pipe = nil
	}
}

// block is how much of an answer is held at a time, in bytes: less, the more long ones are under way, and little where many
// clients read nothing.
func (r *Relay) block(long bool) int {
	n := r.long.Load()
	switch {
	case r.stalled.Load() >= 64:
		return smallBlock
	case !long:
		return mediumBlock
	case n < 256:
		return largeBlock
	case n < 1024:
		return mediumBlock
	}
	return smallBlock
}

// more reads more of the app's answer, or returns errParked; the end is an error.
func (x *exchange) more(u *upstream) error {
	if !x.c.enter(phaseStream) {
		return io.ErrUnexpectedEOF
	}
	u.in.want = x.c.relay.block(x.copying.left > mediumBlock || x.copying.parts.Data > mediumBlock)
	if len(u.in.buf.block) > u.in.want {
		u.in.buf.release()
	}
	err := u.in.await()
	if err == io.EOF { //nolint:errorlint // stream returns it as it is
		return io.ErrUnexpectedEOF
	}
	return err
}

// copyTrailers has the trailer section be written but for fields that frame or route a message (RFC 9110 section 6.5.1).
func (x *exchange) copyTrailers(u *upstream) error {
	end, err := x.trailers(u, func() error { return x.more(u) })
	if err != nil {
		return err
	}
	k := &x.copying
	k.done = true
	if k.frame == frameUnchunk {
		u.in.buf.take(end)
		return nil
	}
	var out []byte
	for i := range x.res.Fields {
		if f := &x.res.Fields[i]; ends.Trails(f.Kind) {
			out = appendField(out, f.Name, f.Value)
		}
	}
	u.in.buf.take(end)
	x.queue(append(out, "\r\n"...), nil)
	return nil
}

// trailers reads the trailer section of an answer into x.res.Fields, whose head has been written, and returns its length
// in what u holds. More reads more of the answer.
func (x *exchange) trailers(u *upstream, more func() error) (end int, err error) {
	for {
		if end = head.TrailerEnd(u.in.buf.bytes()); end > 0 {
			break
		}
		if u.in.buf.len() > maxTrailers {
			return 0, head.ErrTooLarge
		}
		if err := more(); err != nil {
			return 0, err
		}
	}
	x.res.Fields, err = head.ParseTrailers(u.in.buf.bytes()[:end], answerLimits, x.res.Fields)
	return end, err
}

// appendChunk writes one chunk (RFC 9112 section 7.1).
func appendChunk(b, data []byte) []byte {
	b = strconv.AppendInt(b, int64(len(data)), 16)
	b = append(b, "\r\n"...)
	b = append(b, data...)
	return append(b, "\r\n"...)
}
