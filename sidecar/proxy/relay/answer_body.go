package relay

import (
	"io"
	"strconv"

	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
)

// copyBody writes the head in out and then the body.
func (x *exchange) copyBody(u *upstream, f frame, out []byte) error {
	switch f {
	case frameNone:
	case frameLength:
		return x.copyLength(u, out)
	case frameChunked, frameUnchunk:
		return x.copyChunks(u, f, out)
	case frameToChunk, frameClose:
		return x.copyToEnd(u, f, out)
	}
	return x.finish(out)
}

// finish writes the end of an answer, which may be all of it. If the connection goes on, that is done together with the
// wait for the next request.
func (x *exchange) finish(b []byte) error {
	c := x.c
	if x.then == closeAfter || c.in.raw == nil || len(x.out) == 0 || len(b) == 0 || &b[0] != &x.out[0] {
		return c.write(b)
	}
	c.answer, x.out = b, nil
	return nil
}

// copyLength copies a body of known length.
func (x *exchange) copyLength(u *upstream, out []byte) error {
	left := x.res.Length
	n := int(min(left, int64(u.in.buf.len())))
	left -= int64(n)
	if err := x.writeBoth(out, u.in.buf.bytes()[:n], left == 0); err != nil {
		return err
	}
	u.in.buf.take(n)
	if u.in.want = mediumBlock; left == 0 {
		return nil
	}
	defer x.long()()
	for left > 0 {
		if x.res.Length > mediumBlock {
			u.in.want = x.c.relay.block()
		}
		if u.in.buf.len() == 0 {
			if left >= spliceFrom && x.c.tcp != nil && u.tcp != nil {
				return x.splice(u, left)
			}
			if err := x.more(u); err != nil {
				return err
			}
		}
		n := int(min(left, int64(u.in.buf.len())))
		if err := x.c.write(u.in.buf.bytes()[:n]); err != nil {
			return err
		}
		u.in.buf.take(n)
		left -= int64(n)
	}
	return nil
}

// long notes that a long answer is under way, which may take long, until the function that it returns is called.
func (x *exchange) long() (end func()) {
	drop(x.out)
	x.out = nil
	x.c.relay.long.Add(1)
	return x.c.relay.endLong
}

// block is how much of a long answer is held at a time, in bytes: less, the more of them are under way, so that many
// clients that read nothing hold little.
func (r *Relay) block() int {
	switch n := r.long.Load(); {
	case n < 256:
		return largeBlock
	case n < 1024:
		return mediumBlock
	}
	return smallBlock
}

// writeBoth writes a head and the first piece of a body, which may be its end: at once, if they are not too long to be
// worth a copy.
func (x *exchange) writeBoth(out, piece []byte, end bool) error {
	if len(piece) <= cap(out)-len(out) && len(piece) <= smallBlock {
		if out = append(out, piece...); end {
			return x.finish(out)
		}
		return x.c.write(out)
	}
	return x.c.writeBoth(x, out, piece)
}

// more reads more of the app's answer; the end is an error.
func (x *exchange) more(u *upstream) error {
	if !x.c.enter(phaseStream) {
		return io.ErrUnexpectedEOF
	}
	if len(u.in.buf.block) > u.in.want {
		u.in.buf.release()
	}
	err := u.in.fill()
	if err == io.EOF { //nolint:errorlint // stream returns it as it is
		return io.ErrUnexpectedEOF
	}
	return err
}

// copyChunks copies a body in chunks, or the data of one.
func (x *exchange) copyChunks(u *upstream, f frame, out []byte) error {
	chunks := head.Chunks{DataOnly: f == frameUnchunk}
	for {
		held := u.in.buf.bytes()
		kept, used, err := chunks.Take(held)
		if err != nil {
			return err
		}
		if chunks.Ended() && used < len(held) && f == frameChunked && string(held[used:]) == "\r\n" {
			kept += copy(held[kept:], "\r\n") // no trailers: the end goes with the last chunk
			used = len(held)
			err = x.writeBoth(out, held[:kept], true)
			u.in.buf.take(used)
			return err
		}
		if err := x.writeBoth(out, held[:kept], false); err != nil {
			return err
		}
		if out != nil {
			defer x.long()()
			out = nil
		}
		u.in.buf.take(used)
		if chunks.Ended() {
			return x.copyTrailers(u, f)
		}
		if u.in.want = mediumBlock; chunks.Data > mediumBlock {
			u.in.want = x.c.relay.block()
		}
		if err := x.more(u); err != nil {
			return err
		}
	}
}

// copyTrailers copies the trailer section but for fields that frame or route a message (RFC 9110 section 6.5.1).
func (x *exchange) copyTrailers(u *upstream, f frame) error {
	end, err := x.trailers(u, func() error { return x.more(u) })
	if err != nil {
		return err
	}
	if x.out == nil {
		x.out = grab(smallBlock)
	}
	out := x.out[:0]
	for i := range x.res.Fields {
		if f := &x.res.Fields[i]; trails(f.Kind) {
			out = appendField(out, f.Name, f.Value)
		}
	}
	u.in.buf.take(end)
	if f == frameUnchunk {
		return nil
	}
	return x.c.write(append(out, "\r\n"...))
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

// trails says whether a field of an answer's trailer section goes to the client.
func trails(k head.Kind) bool {
	switch k {
	case head.ContentLength, head.TransferEncoding, head.Host, head.Connection, head.KeepAlive, head.Upgrade, head.Trailer, head.TE:
		return false
	default:
		return true
	}
}

// copyToEnd copies a body that the app ends by closing. As chunks, its end is told apart from a failure.
func (x *exchange) copyToEnd(u *upstream, f frame, out []byte) error {
	if err := x.c.write(out); err != nil {
		return err
	}
	for {
		if held := u.in.buf.bytes(); len(held) > 0 {
			piece := held
			if f == frameToChunk {
				piece = appendChunk(x.out[:0], held)
				x.out = piece
			}
			if err := x.c.write(piece); err != nil {
				return err
			}
			u.in.buf.take(len(held))
		}
		switch err := x.more(u); {
		case err == io.ErrUnexpectedEOF && x.c.ending() == endNot: //nolint:errorlint // more returns it as it is
			if f == frameToChunk {
				return x.c.write([]byte("0\r\n\r\n"))
			}
			return nil
		case err != nil:
			return err
		}
	}
}

// appendChunk writes one chunk (RFC 9112 section 7.1).
func appendChunk(b, data []byte) []byte {
	b = strconv.AppendInt(b, int64(len(data)), 16)
	b = append(b, "\r\n"...)
	b = append(b, data...)
	return append(b, "\r\n"...)
}

// spliceFrom is from how many bytes on the kernel copies the rest of a body.
const spliceFrom = 128 << 10

// splice has the kernel copy the rest of a body.
func (x *exchange) splice(u *upstream, left int64) error {
	if !x.c.enter(phaseSplice) {
		return io.ErrUnexpectedEOF
	}
	u.in.buf.release()
	x.splicing = io.LimitedReader{R: u.tcp, N: left}
	n, err := x.c.tcp.ReadFrom(&x.splicing)
	x.splicing.R = nil
	if err == nil && n < left {
		return io.ErrUnexpectedEOF
	}
	return err
}
