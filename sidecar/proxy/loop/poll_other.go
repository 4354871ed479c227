//go:build unix && (loop_poll || !linux || 386 || s390x)

package loop

import (
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// poller waits for descriptors by poll(2), which every system has, as if it told edges of readiness: what has been told once is not
// asked for again until somebody has found it not to be ready. It looks at every connection each time, and so is not for many.
type poller struct {
	n      int // of the last wait
	fds    []unix.PollFd
	ids    []uint32
	events []told
	pipe   [2]int
	woken  atomic.Bool
}

// told is an event.
type told struct {
	id uint32
	r  Ready
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
	p.fds, p.ids = []unix.PollFd{{Fd: int32(p.pipe[0]), Events: unix.POLLIN}}, []uint32{0} //nolint:gosec // descriptors are small
	return p, nil
}

func (p *poller) close() {
	for _, fd := range p.pipe {
		_ = unix.Close(fd)
	}
}

// add has the poller wait for a descriptor until it is removed.
func (p *poller) add(fd int, id uint32) error {
	p.fds = append(p.fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN | unix.POLLOUT | hangUp}) //nolint:gosec // descriptors are small
	p.ids = append(p.ids, id)
	return nil
}

func (p *poller) find(c *Conn) *unix.PollFd {
	for i, id := range p.ids[1:] {
		if id == c.id {
			return &p.fds[i+1]
		}
	}
	return nil
}

// wants says that a descriptor was found not to be ready: the next edge is to be told.
func (p *poller) wants(c *Conn, r Ready) {
	f := p.find(c)
	if f == nil {
		return
	}
	if r&Readable != 0 {
		f.Events |= unix.POLLIN
	}
	if r&Writable != 0 {
		f.Events |= unix.POLLOUT
	}
}

// remove is for a descriptor that is about to be closed.
func (p *poller) remove(c *Conn) {
	f := p.find(c)
	if f == nil {
		return
	}
	for i := range p.fds {
		if &p.fds[i] == f {
			last := len(p.fds) - 1
			p.fds[i], p.ids[i] = p.fds[last], p.ids[last]
			p.fds, p.ids = p.fds[:last], p.ids[:last]
			return
		}
	}
}

// wait waits for events; a negative time is no bound.
func (p *poller) wait(d time.Duration) {
	ms := -1
	if d >= 0 {
		ms = int((d + time.Millisecond - 1) / time.Millisecond)
	}
	p.events = p.events[:0]
	if _, err := unix.Poll(p.fds, ms); err == nil {
		p.collect()
	}
	p.n = len(p.events)
}

func (p *poller) collect() {
	if p.fds[0].Revents != 0 {
		p.woken.Store(false)
		var b [16]byte
		_, _ = unix.Read(p.pipe[0], b[:])
	}
	for i := 1; i < len(p.fds); i++ {
		f, r := &p.fds[i], Ready(0)
		if f.Revents&unix.POLLIN != 0 {
			r |= Readable
			f.Events &^= unix.POLLIN
		}
		if f.Revents&unix.POLLOUT != 0 {
			r |= Writable
			f.Events &^= unix.POLLOUT
		}
		if f.Revents&hangUp != 0 {
			r |= Readable | HalfClosed
			f.Events &^= hangUp
		}
		if f.Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0 {
			r |= Readable | Writable | Gone
			f.Fd = -f.Fd - 1 // that is all there is to be told
		}
		if r != 0 {
			p.events = append(p.events, told{p.ids[i], r})
		}
	}
}

// event returns what the last wait has found for whom.
func (p *poller) event(i int) (id uint32, r Ready) { return p.events[i].id, p.events[i].r }

// wake ends a wait.
func (p *poller) wake() {
	if !p.woken.Swap(true) {
		_, _ = unix.Write(p.pipe[1], []byte{1})
	}
}
