//go:build unix && (!linux || 386 || s390x || loop_poll)

package loop

import "golang.org/x/sys/unix"

// socket opens a TCP socket that does not block.
func socket(family int) (int, error) {
	fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
	return prepared(fd, err)
}

func prepared(fd int, err error) (int, error) {
	if err != nil {
		return -1, err
	}
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// Taken is for Linux alone. Elsewhere what is queued stands for it: while that changes, the peer takes something.
func (c *Conn) Taken() (bytes uint64, more bool) {
	n := c.Queued()
	return uint64(n), n > 0 //nolint:gosec // it is not negative
}

// owed is for Linux alone, as well.
func (*Conn) owed() int { return 0 }

// accepts is for Linux alone, as Taken is, without which nobody would notice a peer that takes nothing.
func (*Conn) accepts() bool { return true }
