package loop

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Pipe is a pipe of the kernel's through which bytes go from one connection to another without being copied to this process
// (splice(2)). Both must be without TLS.
type Pipe struct {
	r, w int
	held int
}

// pipes are kept for the next long body.
var pipes = make(chan *Pipe, 64)

// pipeSize is how much a pipe is asked to hold; the kernel may give less.
const pipeSize = 1 << 20

// NewPipe returns an empty pipe.
func NewPipe() (*Pipe, error) {
	select {
	case p := <-pipes:
		return p, nil
	default:
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	_, _ = unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, pipeSize)
	return &Pipe{r: fds[0], w: fds[1]}, nil
}

// Held is how many bytes the pipe holds.
func (p *Pipe) Held() int { return p.held }

// Fill takes up to most bytes that have come on a connection: none if none have, io.EOF at its end.
func (p *Pipe) Fill(c *Conn, most int) (int, error) {
	if c.state&readable == 0 || c.Closed() {
		return 0, nil
	}
	n, err := splice(int(c.fd), p.w, min(most, pipeSize))
	switch {
	case err == unix.EAGAIN: //nolint:errorlint // an errno
		c.quiet()
		return 0, nil
	case err != nil:
		c.side |= Gone
		return 0, os.NewSyscallError("splice", err)
	case n == 0:
		c.side |= HalfClosed
		return 0, io.EOF
	}
	p.held += n
	return n, nil
}

// Drain writes what a connection takes, on which nothing may be queued. Where it does not take all, Handler.Drained is called when
// it takes more.
func (p *Pipe) Drain(c *Conn) (int, error) {
	done := 0
	for p.held > 0 {
		n, err := splice(p.r, int(c.fd), p.held)
		if err == unix.EAGAIN { //nolint:errorlint // an errno
			c.state |= draining
			c.loop.poll.wants(c, Writable)
			return done, nil
		}
		if err != nil {
			return done, os.NewSyscallError("splice", err)
		}
		p.held, done = p.held-n, done+n
	}
	return done, nil
}

// Release gives the pipe back. With something in it, it is of no use to anybody.
func (p *Pipe) Release() {
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

func splice(from, to, most int) (int, error) {
	for {
		n, err := unix.Splice(from, nil, to, nil, most, unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
		if err != unix.EINTR { //nolint:errorlint // an errno
			return int(n), err
		}
	}
}
