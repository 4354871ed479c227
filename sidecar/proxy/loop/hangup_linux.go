//go:build loop_poll || 386 || s390x

package loop

import "golang.org/x/sys/unix"

// hangUp is what poll(2) calls a peer that sends no more.
const hangUp = unix.POLLRDHUP
