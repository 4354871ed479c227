//go:build linux && !386 && !s390x && !loop_poll

package loop

import (
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// most is how many events are taken at a time.
const most = 256

// poller waits for descriptors by epoll(7), each edge of readiness once.
type poller struct {
	fd, wakeFD int
	n          int // of the last wait
	events     [most]unix.EpollEvent

	file *os.File // the epoll instance, which the runtime's own poller waits for
	raw  syscall.RawConn
	look func(uintptr) bool // made once
}

// wakeID is the id of the descriptor that ends a wait.
const wakeID = ^uint32(0)

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("eventfd", err)
	}
	_ = unix.SetNonblock(fd, true) // so that the runtime waits for it
	p := &poller{fd: fd, wakeFD: wake, file: os.NewFile(uintptr(fd), "epoll")}
	p.look = func(uintptr) bool { p.n = p.epoll(); return p.n > 0 }
	if err = p.add(wake, wakeID); err == nil {
		p.raw, err = p.file.SyscallConn()
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *poller) close() {
	_ = unix.Close(p.wakeFD)
	_ = p.file.Close()
}

// add has the poller wait for a descriptor until it is closed.
func (p *poller) add(fd int, id uint32) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(id)} //nolint:gosec // bits
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &e))
}

// wait waits for events; a negative time is no bound. A goroutine that waits in the runtime's poller costs no thread, and gives its
// processor away.
func (p *poller) wait(d time.Duration, _ []*Conn) {
	if p.n = p.epoll(); p.n > 0 || d == 0 {
		return
	}
	if d > 0 {
		_ = p.file.SetReadDeadline(time.Now().Add(d))
		defer func() { _ = p.file.SetReadDeadline(time.Time{}) }()
	}
	_ = p.raw.Read(p.look) // an error is the time that is up, or a wake that finds it closed
}

// epoll looks at once, which the scheduler need not be told of.
func (p *poller) epoll() int {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events)), most, 0, 0, 0) //nolint:gosec // as unix.EpollWait does
	if errno != 0 {
		return 0
	}
	return int(n)
}

// event returns what the last wait has found for whom.
func (p *poller) event(i int) (id uint32, r Ready) {
	e := &p.events[i]
	if id = uint32(e.Fd); id == wakeID { //nolint:gosec // bits
		var b [8]byte
		_, _ = unix.Read(p.wakeFD, b[:])
		return 0, 0
	}
	if e.Events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		r |= Readable
	}
	if e.Events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		r |= Writable
	}
	if e.Events&unix.EPOLLRDHUP != 0 {
		r |= HalfClosed
	}
	if e.Events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		r |= Gone
	}
	return id, r
}

// wake ends a wait.
func (p *poller) wake() {
	one := [8]byte{7: 1}
	_, _ = unix.Write(p.wakeFD, one[:])
}
