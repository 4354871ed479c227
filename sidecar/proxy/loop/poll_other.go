//go:build unix && (!linux || 386 || s390x || loop_poll)

package loop

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// poller waits for descriptors by poll(2), which every system has: for what each connection does not know yet of its own. It looks at every
// connection each time, and so is not for many.
type poller struct {
	n    int           // of the last wait
	fds  []unix.PollFd // what wakes, and then the connections by their ids
	pipe [2]int        // wakes
}

func newPoller() (*poller, error) {
	p := &poller{}
	if err := unix.Pipe(p.pipe[:]); err != nil {
		return nil, os.NewSyscallError("pipe", err)
	}
	for _, fd := range p.pipe {
		unix.CloseOnExec(fd)
		if err := unix.SetNonblock(fd, true); err != nil {
			return nil, os.NewSyscallError("fcntl", err)
		}
	}
	return p, nil
}

func (p *poller) close() {
	for _, fd := range p.pipe {
		_ = unix.Close(fd)
	}
}

// add is for pollers that are told of each descriptor once.
func (*poller) add(int, uint32) error { return nil }

// wait waits for events; a negative time is no bound.
func (p *poller) wait(d time.Duration, conns []*Conn) {
	ms := -1
	if d >= 0 {
		ms = int((d + time.Millisecond - 1) / time.Millisecond)
	}
	p.fds = append(p.fds[:0], unix.PollFd{Fd: int32(p.pipe[0]), Events: unix.POLLIN}) //nolint:gosec // descriptors are small
	for _, c := range conns {
		p.fds = append(p.fds, c.asks())
	}
	p.n = 0
	if _, err := unix.Poll(p.fds, ms); err != nil {
		return
	}
	p.n = len(p.fds)
	for i, c := range conns {
		if p.fds[i+1].Revents&unix.POLLIN != 0 {
			c.state |= readable // before any of them is told: see Unread
		}
	}
}

// asks is what is to be waited for; the connection may be nil.
func (c *Conn) asks() unix.PollFd {
	if c == nil || c.side&Gone != 0 {
		return unix.PollFd{Fd: -1}
	}
	f := unix.PollFd{Fd: c.fd}
	if c.state&(connecting|draining) != 0 || c.Queued() > 0 && c.state&corked == 0 {
		f.Events |= unix.POLLOUT
	}
	if c.state&(connecting|readable) == 0 {
		f.Events |= unix.POLLIN
	}
	if c.side == 0 {
		f.Events |= hangUp
	}
	return f
}

// event returns what the last wait has found for whom.
func (p *poller) event(i int) (id uint32, r Ready) {
	found := p.fds[i].Revents
	if i == 0 {
		if found != 0 {
			var b [16]byte
			_, _ = unix.Read(p.pipe[0], b[:])
		}
		return 0, 0
	}
	if found&unix.POLLIN != 0 {
		r |= Readable
	}
	if found&unix.POLLOUT != 0 {
		r |= Writable
	}
	if found&hangUp != 0 {
		r |= Readable | HalfClosed
	}
	if found&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0 {
		r |= Readable | Writable | Gone
	}
	return uint32(i - 1), r //nolint:gosec // an id
}

// wake ends a wait.
func (p *poller) wake() { _, _ = unix.Write(p.pipe[1], []byte{1}) }
