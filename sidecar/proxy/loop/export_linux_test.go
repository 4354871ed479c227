//go:build !386 && !s390x && !loop_poll

package loop

import "golang.org/x/sys/unix"

// OpenPipes is how many pipes the process has.
func OpenPipes() int64 { return openPipes.Load() }

// MaxPipes is how many it may have.
const MaxPipes = maxPipes

// CleanPipes is what the loop does from time to time.
func (l *Loop) CleanPipes() { l.pipes.clean(l) }

// BuffersLocked reports whether the kernel may not change that.
func (c *Conn) BuffersLocked() (bool, error) {
	locks, err := unix.GetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_BUF_LOCK)
	return locks != 0, err
}

// Buffers returns how much the kernel holds for the connection at most, in bytes: of what has come, and of what is to be sent.
func (c *Conn) Buffers() (in, out int) {
	in, _ = unix.GetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_RCVBUF)
	out, _ = unix.GetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_SNDBUF)
	return in, out
}
