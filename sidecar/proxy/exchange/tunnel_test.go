package exchange

import (
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// ends returns both ends of a connection: one for a loop, and its peer.
func ends(t *testing.T) (fd int, peer net.Conn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.SetNonblock(fds[0], true)
	f := os.NewFile(uintptr(fds[1]), "peer")
	defer f.Close()
	if peer, err = net.FileConn(f); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = peer.Close() })
	_ = peer.SetDeadline(time.Now().Add(20 * time.Second))
	return fds[0], peer
}

// A tunnel passes so much on at a time, and the rest when others have had their turn, however fast its ends are.
func TestATunnelLeavesOthersTheirTurn(t *testing.T) { //nolint:paralleltest // how much is read at a time is the process's
	const scarcity = 64 << 20
	loop.Count(scarcity)
	defer loop.Count(-scarcity)
	l, err := loop.New(loop.Options{})
	if err != nil {
		t.Fatal(err)
	}
	go l.Run()
	defer l.Close()
	clientFD, client := ends(t)
	appFD, app := ends(t)
	most := turn * loop.Room()
	said := make([]byte, 3*most) // which fits into what the kernel holds
	for i := range said {
		said[i] = byte(i)
	}
	if _, err := client.Write(said); err != nil {
		t.Fatal(err)
	}
	begun := make(chan int)
	l.Post(func() {
		tun := &tunnel{x: &Exchange{}}
		d := &direction{tunnel: tun}
		d.from, _ = l.Add(clientFD, d)
		d.to, _ = l.Add(appFD, &direction{tunnel: tun, down: true})
		d.from.Look()
		d.Readable(d.from)
		n := 0
		for b := make([]byte, 64<<10); ; {
			k, err := unix.Read(peerOf(app), b)
			if k <= 0 || err != nil {
				break
			}
			n += k
		}
		begun <- n
	})
	n := <-begun
	if n == 0 || n > most {
		t.Errorf("%d bytes were passed on at a time, of at most %d", n, most)
	}
	if _, err := io.ReadFull(app, make([]byte, len(said)-n)); err != nil {
		t.Errorf("the rest: %v", err)
	}
}

func peerOf(c net.Conn) (fd int) {
	raw, _ := c.(*net.UnixConn).SyscallConn()
	_ = raw.Control(func(s uintptr) { fd = int(s) })
	return fd
}
