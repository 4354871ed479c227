package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

const readBuffer = 256 << 10

// loop waits for links and other descriptors.
type loop struct {
	ep     int
	links  map[int]*link // by descriptor
	events [256]unix.EpollEvent
	buffer []byte // that all links read into
}

func newLoop() (*loop, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	return &loop{ep: ep, links: map[int]*link{}, buffer: make([]byte, readBuffer)}, err
}

func (p *loop) watch(fd int) error {
	return unix.EpollCtl(p.ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

// add takes a link on.
func (p *loop) add(l *link) error {
	p.links[l.fd] = l
	l.watching = unix.EPOLLIN
	return p.watch(l.fd)
}

func (p *loop) drop(l *link) {
	delete(p.links, l.fd)
	_ = unix.Close(l.fd)
}

// settle has epoll look for room in the socket where the link waits for that.
func (p *loop) settle(l *link) error {
	want := uint32(unix.EPOLLIN)
	if l.blocked {
		want |= unix.EPOLLOUT
	}
	if want == l.watching {
		return nil
	}
	l.watching = want
	return unix.EpollCtl(p.ep, unix.EPOLL_CTL_MOD, l.fd, &unix.EpollEvent{Events: want, Fd: int32(l.fd)})
}

// wait waits once, at most so many ms, and calls each for what has happened.
func (p *loop) wait(ms int, each func(fd int, events uint32) error) error {
	n, err := unix.EpollWait(p.ep, p.events[:], ms)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return err
	}
	for i := range max(n, 0) {
		if err := each(int(p.events[i].Fd), p.events[i].Events); err != nil {
			return err
		}
	}
	return nil
}

// serve reads from and writes to a link. An error ends the link alone.
func (p *loop) serve(l *link, events uint32, drained func(*stream)) error {
	if events&^uint32(unix.EPOLLOUT) != 0 {
		if err := l.receive(p.buffer); err != nil {
			return err
		}
	}
	if err := l.write(drained); err != nil {
		return err
	}
	return p.settle(l)
}

func loopback(port int) *unix.SockaddrInet4 {
	return &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}
}

func noDelay(fd int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) }

// dial connects, which on the loopback interface takes no time to speak of.
func dial(port int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	if err := unix.Connect(fd, loopback(port)); err != nil {
		_ = unix.Close(fd)
		return 0, fmt.Errorf("connect to port %d: %w", port, err)
	}
	return fd, errors.Join(unix.SetNonblock(fd, true), noDelay(fd))
}

func listen(port int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return 0, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return 0, err
	}
	if err := unix.Bind(fd, loopback(port)); err != nil {
		return 0, fmt.Errorf("listen on port %d: %w", port, err)
	}
	return fd, unix.Listen(fd, 4096)
}
