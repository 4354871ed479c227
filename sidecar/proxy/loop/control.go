//go:build unix

package loop

import "syscall"

// Control makes a socket as the loop's own are, for net.Dialer, and net.ListenConfig, whose connections take after the listener.
func Control(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) { bound(int(fd)) })
}
