package relay

import (
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// lot is where waits are parked that have been long: a goroutine with its stack costs more than all else that an idle
// connection needs. One goroutine waits for all of them (epoll(7)).
type lot struct {
	clock  *atomic.Int64 // the sweep's
	crowd  *atomic.Bool  // the relay has many connections
	events uint32        // what is waited for
	file   *os.File      // the epoll instance, which the runtime's own waits for
	raw    syscall.RawConn
	done   atomic.Uint64 // waits that have been parked, for tests

	mu    sync.Mutex
	waits map[uint64]*wait // guarded by mu
	last  uint64           // guarded by mu: the id given last
}

// newLot returns a lot for reading or writing, or nil if the system has none to give: then nothing is parked.
func newLot(r *Relay, writing bool) *lot {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil
	}
	_ = unix.SetNonblock(fd, true) // so that the runtime waits for it
	l := &lot{clock: &r.tick, crowd: &r.crowded, file: os.NewFile(uintptr(fd), "epoll"), waits: map[uint64]*wait{}}
	if l.events = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT; writing {
		l.events = unix.EPOLLOUT | unix.EPOLLONESHOT
	}
	if l.raw, err = l.file.SyscallConn(); err != nil {
		_ = l.file.Close()
		return nil
	}
	go l.run()
	return l
}

// close ends the lot. Nothing may be parked any more.
func (l *lot) close() {
	if l != nil {
		_ = l.file.Close()
	}
}

// run wakes waits that are over until the lot is closed.
func (l *lot) run() {
	var events [128]unix.EpollEvent
	for {
		n := 0
		err := l.raw.Read(func(fd uintptr) bool {
			n, _ = unix.EpollWait(int(fd), events[:], 0) // interrupted, or a closed one: there is nothing
			return n > 0
		})
		if err != nil {
			return
		}
		for _, e := range events[:n] {
			l.mu.Lock()
			w := l.waits[uint64(uint32(e.Fd))|uint64(uint32(e.Pad))<<32] //nolint:gosec // bits
			l.mu.Unlock()
			if w != nil {
				w.wake()
			}
		}
	}
}

// watch has a wait woken, once, when it is over. Its lock is held.
func (l *lot) watch(w *wait) bool {
	op := unix.EPOLL_CTL_MOD
	if w.id == 0 {
		op = unix.EPOLL_CTL_ADD
		l.mu.Lock()
		l.last++
		w.id = l.last
		l.waits[w.id] = w
		l.mu.Unlock()
	}
	e := unix.EpollEvent{Events: l.events, Fd: int32(w.id), Pad: int32(w.id >> 32)} //nolint:gosec // bits
	var err error
	ctlErr := l.raw.Control(func(epoll uintptr) { // neither number is another file's meanwhile
		if closed := w.raw.Control(func(fd uintptr) { err = unix.EpollCtl(int(epoll), op, int(fd), &e) }); closed != nil {
			err = closed
		}
	})
	if ctlErr != nil || err != nil {
		return false
	}
	l.done.Add(1)
	return true
}

// leave is for a wait whose connection is closed.
func (l *lot) leave(w *wait) {
	if l == nil {
		return
	}
	w.mu.Lock()
	id := w.id
	w.mu.Unlock()
	if id == 0 {
		return
	}
	l.mu.Lock()
	delete(l.waits, id)
	l.mu.Unlock()
}
