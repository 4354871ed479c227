package relay

import (
	"io"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/bearerguard/bearerguard/api/decision"
)

// spliceFrom is from how many bytes on the kernel copies the rest of a body.
const spliceFrom = 128 << 10

// pipe is a pipe of the kernel's through which a body goes without being copied to this process (splice(2)).
type pipe struct {
	r, w int
	held int   // bytes in the pipe
	want int   // bytes to read, at most
	n    int   // of the last call
	err  error // of the last call
	rush bool  // a wait is parked at once

	fill, drain func(fd uintptr) bool // made once
}

// pipes are kept for the next long answer.
var pipes = make(chan *pipe, 64)

// pipeSize is how much a pipe is asked to hold; the kernel may give less.
const pipeSize = 1 << 20

// newPipe returns an empty pipe.
func newPipe() (*pipe, error) {
	select {
	case p := <-pipes:
		return p, nil
	default:
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, err
	}
	_, _ = unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, pipeSize)
	p := &pipe{r: fds[0], w: fds[1]}
	p.fill = func(fd uintptr) bool { return p.move(int(fd), p.w, p.want) }
	p.drain = func(fd uintptr) bool { return p.move(p.r, int(fd), p.held) }
	return p, nil
}

// move moves bytes. It returns false if that has to be waited for.
func (p *pipe) move(from, to, most int) bool {
	for {
		n, err := unix.Splice(from, nil, to, nil, most, unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
		switch err {
		case unix.EINTR: //nolint:errorlint // an errno
			continue
		case unix.EAGAIN:
			p.err = errParked
			return p.rush
		}
		p.n, p.err = int(n), err
		return true
	}
}

// release gives the pipe back. With something in it, it is of no use to anybody.
func (p *pipe) release() {
	if p.held == 0 {
		select {
		case pipes <- p:
			return
		default:
		}
	}
	_ = unix.Close(p.r)
	_ = unix.Close(p.w)
}

// splices reports whether the kernel can copy the rest of the body.
func (x *exchange) splices(u *upstream) bool {
	k := &x.copying
	if k.pipe != nil {
		return true
	}
	if k.left < spliceFrom || x.c.tcp == nil || u.in.raw == nil || u.in.buf.len() > 0 {
		return false
	}
	p, err := newPipe()
	k.pipe = p
	return err == nil
}

// splice has the kernel copy the rest of the body, or returns errParked.
func (x *exchange) splice(u *upstream) error {
	k, c, p := &x.copying, x.c, x.copying.pipe
	u.in.buf.release()
	for k.left > 0 || p.held > 0 {
		if p.held == 0 {
			if !c.enter(phaseStream) {
				return io.ErrUnexpectedEOF
			}
			p.want = int(min(k.left, pipeSize))
			if err := p.call(&u.in.wait, u.in.raw.Read, p.fill); err != nil {
				return err
			}
			if p.n == 0 {
				return io.ErrUnexpectedEOF
			}
			p.held, k.left = p.n, k.left-int64(p.n)
		}
		if !c.enter(phaseWriting) {
			return io.ErrUnexpectedEOF
		}
		p.rush = c.out.crowded()
		err := p.call(&c.out, c.out.raw.Write, p.drain)
		if p.rush = false; err != nil {
			return err
		}
		p.held -= p.n
	}
	k.done = true
	return nil
}

// pumps returns a pipe if the kernel can send the rest of a request's body on, which it does for those that are seen to
// come fast; else nil.
func (x *exchange) pumps(u *upstream) *pipe {
	b, c := &x.body, x.c
	if b.chunked || b.left < spliceFrom || c.tcp == nil || u.tcp == nil || c.in.drained {
		return nil
	}
	p, err := newPipe()
	if err != nil {
		return nil
	}
	return p
}

// pumpSplice is pump, through a pipe, for a body of known length.
func (x *exchange) pumpSplice(u *upstream, p *pipe) (reason decision.Reason, parked bool) {
	b, c := &x.body, x.c
	defer p.release()
	for b.left > 0 {
		p.want = int(min(b.left, pipeSize))
		p.rush = c.in.crowded()
		c.body.reading.Store(true)
		err := p.call(&c.in.wait, c.in.raw.Read, p.fill)
		if p.rush = false; err == errParked { //nolint:errorlint // our own
			c.in.drained = true // it is to be seen to come fast again
			return "", true
		}
		c.body.reading.Store(false)
		if err != nil || p.n == 0 {
			return b.cutOff(u), false
		}
		p.held, b.left = p.n, b.left-int64(p.n)
		b.last.Store(b.left == 0)
		for p.held > 0 {
			if p.send(u.in.raw) != nil {
				return "", false
			}
		}
	}
	b.done, b.sent = true, true
	return "", false
}

// send writes some of what the pipe holds, once that can be written.
func (p *pipe) send(to syscall.RawConn) error {
	p.n, p.err = 0, nil
	if err := to.Write(p.drain); err != nil {
		return err
	}
	p.held -= p.n
	return p.err
}

// call waits until step is done.
func (p *pipe) call(w *wait, do func(func(fd uintptr) bool) error, step func(fd uintptr) bool) error {
	p.n, p.err = 0, nil
	w.begin()
	if err := w.settle(do(step)); err != nil {
		return err
	}
	return p.err
}
