//go:build linux && !386 && !s390x && !loop_poll

package loop

import (
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// pipe is a pipe of the kernel's through which bytes go from one connection to another without being copied to this process
// (splice(2)).
type pipe struct {
	r, w int
	held int
}

// pipeSize is how much a pipe holds, in bytes. The kernel gives the processes of a user 64 MiB of pipes in all before it gives them
// small ones (fs.pipe-user-pages-soft), and sidecars of a node may have the same user.
const pipeSize = 512 << 10

// maxPipes bounds the pipes of the process: what its slow readers may hold of the kernel's memory.
const maxPipes = 64

// open is how many there are.
var openPipes atomic.Int64

// pipes are a loop's that hold nothing.
type pipes struct {
	idle   []*pipe
	unused int // of idle, since they were last looked at
	tidy   Timer
	bad    time.Time // when there was none to be had
}

// Times of pipes.
const (
	pipeKept  = 10 * time.Second // without use
	pipeRetry = time.Second      // after there was none to be had
)

// grab returns an empty pipe, or nil if there is none to be had.
func (ps *pipes) grab(l *Loop) *pipe {
	if n := len(ps.idle) - 1; n >= 0 {
		p := ps.idle[n]
		ps.idle = ps.idle[:n]
		ps.unused = min(ps.unused, n)
		return p
	}
	if !ps.bad.IsZero() && l.now.Sub(ps.bad) < pipeRetry {
		return nil
	}
	if openPipes.Add(1) > maxPipes {
		openPipes.Add(-1)
		return nil
	}
	p, err := newPipe()
	if err != nil {
		openPipes.Add(-1)
		ps.bad = l.now
		return nil
	}
	return p
}

// newPipe makes a pipe. One that is smaller than what is read otherwise is of no use.
func newPipe() (*pipe, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	p := &pipe{r: fds[0], w: fds[1]}
	if _, err := unix.FcntlInt(uintptr(p.w), unix.F_SETPIPE_SZ, pipeSize); err != nil {
		if size, err := unix.FcntlInt(uintptr(p.w), unix.F_GETPIPE_SZ, 0); err != nil || size < blockOfReads {
			p.close()
			return nil, os.NewSyscallError("fcntl", err)
		}
	}
	return p, nil
}

func (p *pipe) close() {
	_ = unix.Close(p.r)
	_ = unix.Close(p.w)
}

// drop gives a pipe back. One with something in it is of no use to anybody.
func (ps *pipes) drop(l *Loop, p *pipe) {
	if p.held > 0 {
		p.close()
		openPipes.Add(-1)
		return
	}
	if ps.idle = append(ps.idle, p); ps.tidy.Do == nil {
		ps.tidy.Do = func() { ps.clean(l) }
	}
	if ps.tidy.at == 0 {
		ps.unused = len(ps.idle) - 1
		l.Set(&ps.tidy, pipeKept)
	}
}

// clean closes pipes that were not used for a while.
func (ps *pipes) clean(l *Loop) {
	for _, p := range ps.idle[:ps.unused] {
		p.close()
		openPipes.Add(-1)
	}
	ps.idle = slices.Delete(ps.idle, 0, ps.unused)
	if ps.unused = len(ps.idle); ps.unused > 0 {
		l.Set(&ps.tidy, pipeKept)
	}
}

// end closes all.
func (ps *pipes) end(l *Loop) {
	ps.unused = len(ps.idle)
	ps.clean(l)
}

// fill takes up to most bytes that have come on a connection: none if none have, io.EOF at its end. The pipe is empty.
func (p *pipe) fill(c *Conn, most int) (int, error) {
	n, errno := splice(int(c.fd), p.w, min(most, pipeSize))
	switch {
	case errno == syscall.EAGAIN:
		c.state &^= readable
		return 0, nil
	case errno != 0:
		c.side |= Gone
		return 0, os.NewSyscallError("splice", errno)
	case n == 0:
		return 0, c.end()
	}
	p.held = n
	return n, nil
}

// drain writes what a connection takes.
func (p *pipe) drain(c *Conn) error {
	for p.held > 0 {
		n, errno := splice(p.r, int(c.fd), p.held)
		if errno == syscall.EAGAIN {
			return nil
		}
		if errno != 0 {
			return os.NewSyscallError("splice", errno)
		}
		p.held -= n
	}
	return nil
}

// splice moves bytes between descriptors of which none blocks.
func splice(from, to, most int) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(most), unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
		if errno != syscall.EINTR {
			return int(n), errno //nolint:gosec // it is at most most
		}
	}
}
