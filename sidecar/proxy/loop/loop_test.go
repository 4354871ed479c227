//go:build unix

package loop_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

const patience = 20 * time.Second

// handler has a function for each event; a nil one does nothing.
type handler struct {
	connected func(*loop.Conn, error)
	readable  func(*loop.Conn)
	drained   func(*loop.Conn)
	failed    func(*loop.Conn, error)
}

// Connected implements loop.Handler.
func (h *handler) Connected(c *loop.Conn, err error) {
	if h.connected != nil {
		h.connected(c, err)
	}
}

// Readable implements loop.Handler.
func (h *handler) Readable(c *loop.Conn) {
	if h.readable != nil {
		h.readable(c)
	}
}

// Drained implements loop.Handler.
func (h *handler) Drained(c *loop.Conn) {
	if h.drained != nil {
		h.drained(c)
	}
}

// Failed implements loop.Handler.
func (h *handler) Failed(c *loop.Conn, err error) {
	if h.failed != nil {
		h.failed(c, err)
	}
}

// start runs a loop until the test ends.
func start(t *testing.T, o loop.Options) *loop.Loop {
	t.Helper()
	l, err := loop.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { l.Run(); close(ended) }()
	t.Cleanup(func() {
		l.Close()
		receive(t, ended)
	})
	return l
}

func receive[T any](t *testing.T, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatal("nothing has happened")
	}
	return v
}

// on runs do on the loop and waits for it.
func on(t *testing.T, l *loop.Loop, do func()) {
	t.Helper()
	done := make(chan struct{})
	if !l.Post(func() { do(); close(done) }) {
		t.Fatal("the loop is closed")
	}
	receive(t, done)
}

// pair is a connection of a loop's, and its peer.
func pair(t *testing.T, l *loop.Loop, h loop.Handler) (*loop.Conn, *net.TCPConn) {
	t.Helper()
	lis := listen(t)
	got := make(chan *loop.Conn, 1)
	on(t, l, func() {
		h := &joined{Handler: h, done: got}
		l.Dial(lis.Addr().(*net.TCPAddr).AddrPort(), h)
	})
	peer, err := lis.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = peer.Close() })
	_ = peer.SetDeadline(time.Now().Add(patience))
	return receive(t, got), peer.(*net.TCPConn)
}

// joined tells of a connection that has been made.
type joined struct {
	loop.Handler
	done chan *loop.Conn
}

// Connected implements loop.Handler.
func (j *joined) Connected(c *loop.Conn, err error) {
	c.Handle(j.Handler)
	j.Handler.Connected(c, err)
	j.done <- c
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	lis, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lis.Close() })
	return lis
}

// echo writes back what it reads, and stops reading while the peer does not take it.
func echo() *handler {
	h := &handler{}
	h.readable = func(c *loop.Conn) {
		for c.Queued() == 0 {
			b, err := c.Read()
			if c.Write(b); err != nil {
				c.End()
				return
			}
			if len(b) == 0 {
				return
			}
		}
	}
	h.drained = h.readable
	return h
}

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

func TestWhatIsReadComesBackInOrderThoughThePeerIsSlow(t *testing.T) {
	t.Parallel()
	_, peer := pair(t, start(t, loop.Options{}), echo())
	sent := noise(8 << 20)
	go func() {
		_, _ = peer.Write(sent)
		_ = peer.CloseWrite()
	}()
	got, err := io.ReadAll(peer)
	if err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("got %d bytes, %v; want the %d that were sent", len(got), err, len(sent))
	}
}

func TestADialThatIsRefusedTellsWhy(t *testing.T) {
	t.Parallel()
	lis := listen(t)
	to := lis.Addr().(*net.TCPAddr).AddrPort()
	_ = lis.Close()
	l := start(t, loop.Options{})
	got := make(chan error, 1)
	on(t, l, func() { l.Dial(to, &handler{connected: func(_ *loop.Conn, err error) { got <- err }}) })
	var op *net.OpError
	if err := receive(t, got); !errors.Is(err, syscall.ECONNREFUSED) || !errors.As(err, &op) || op.Op != "dial" {
		t.Fatalf("got %v, want a dial that is refused", err)
	}
	if n := l.Size(); n != 0 {
		t.Fatalf("the loop has %d connections, want none", n)
	}
}

func TestADialThatIsClosedTellsNothing(t *testing.T) {
	t.Parallel()
	lis, l := listen(t), start(t, loop.Options{})
	on(t, l, func() {
		l.Dial(lis.Addr().(*net.TCPAddr).AddrPort(), &handler{connected: func(*loop.Conn, error) { t.Error("it was told") }}).Close()
		l.Dial(netip.AddrPort{}, &handler{connected: func(*loop.Conn, error) { t.Error("it was told") }}).Close()
	})
	on(t, l, func() {})
}

// A dial that fails at once, as without a route or a free port, keeps nothing of what was written to it.
func TestADialThatFailsAtOnceHoldsNothing(t *testing.T) { //nolint:paralleltest // what is held is the process's
	l := start(t, loop.Options{})
	before, failed := loop.Held(), make(chan error, 1)
	on(t, l, func() {
		c := l.Dial(netip.MustParseAddrPort("255.255.255.255:1"), &handler{connected: func(_ *loop.Conn, err error) { failed <- err }})
		if !c.Closed() {
			t.Error("this dial does not fail at once")
		}
		c.Commit(append(c.Compose(loop.HeadRoom), noise(20<<10)...))
		c.Write(noise(20 << 10))
	})
	if err := receive(t, failed); err == nil {
		t.Error("the dial works")
	}
	on(t, l, func() {
		if n := loop.Held() - before; n != 0 {
			t.Errorf("%d bytes are held", n)
		}
	})
}

func TestWhatIsWrittenBeforeTheConnectionIsMadeGoesOutThen(t *testing.T) {
	t.Parallel()
	lis, l := listen(t), start(t, loop.Options{})
	on(t, l, func() {
		c := l.Dial(lis.Addr().(*net.TCPAddr).AddrPort(), &handler{})
		c.Write([]byte("early "))
		c.Write([]byte("bird"))
		c.End()
	})
	peer, err := lis.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	if b, err := io.ReadAll(peer); string(b) != "early bird" || err != nil {
		t.Fatalf("got %q, %v", b, err)
	}
}

func TestPostsRunInTheirOrder(t *testing.T) {
	t.Parallel()
	l := start(t, loop.Options{})
	const people, each = 8, 1000
	var got [people][]int
	var all sync.WaitGroup
	for p := range people {
		all.Go(func() {
			for i := range each {
				l.Post(func() { got[p] = append(got[p], i) })
			}
		})
	}
	all.Wait()
	on(t, l, func() {})
	for p := range people {
		for i, v := range got[p] {
			if v != i {
				t.Fatalf("the post %d of %d ran in place of %d", v, p, i)
			}
		}
		if len(got[p]) != each {
			t.Fatalf("%d of %d posts ran", len(got[p]), each)
		}
	}
}

// What has been posted runs, also if the loop is closed before it comes to that: whoever posts gives away what only that can end.
func TestWhatWasPostedBeforeCloseRuns(t *testing.T) {
	t.Parallel()
	l, err := loop.New(loop.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { l.Run(); close(ended) }()
	closed, ran, fd := make(chan struct{}), false, make(chan int, 1)
	l.Post(func() { <-closed })
	lis := listen(t)
	peer, err := net.Dial("tcp", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	c, err := lis.Accept()
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := c.(*net.TCPConn).SyscallConn()
	_ = raw.Control(func(s uintptr) {
		n, _ := unix.Dup(int(s))
		fd <- n
	})
	_ = c.Close()
	posted := l.Post(func() {
		ran = true
		_, _ = l.Add(<-fd, &handler{})
	})
	l.Close()
	close(closed)
	receive(t, ended)
	if posted != ran {
		t.Errorf("posted %v, run %v", posted, ran)
	}
	_ = peer.SetReadDeadline(time.Now().Add(patience))
	if _, err := peer.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection is still there: %v", err)
	}
}

func TestAClosedLoopTakesNoPost(t *testing.T) {
	t.Parallel()
	l, err := loop.New(loop.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	l.Run()
	if l.Post(func() { t.Error("it ran") }) {
		t.Fatal("the post was taken")
	}
}

func TestAPanicEndsItsOwnConnectionAlone(t *testing.T) {
	t.Parallel()
	told := make(chan string, 1)
	l := start(t, loop.Options{Panicked: func(stack []byte) { told <- string(stack) }})
	failed := make(chan error, 1)
	_, bad := pair(t, l, &handler{
		readable: func(*loop.Conn) { panic("a secret") },
		failed:   func(_ *loop.Conn, err error) { failed <- err },
	})
	_, good := pair(t, l, echo())
	_, _ = bad.Write([]byte("x"))
	if _, err := bad.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset", err)
	}
	if stack := receive(t, told); bytes.Contains([]byte(stack), []byte("a secret")) || !bytes.Contains([]byte(stack), []byte("TestAPanicEnds")) {
		t.Errorf("told:\n%s", stack)
	}
	if err := receive(t, failed); err == nil {
		t.Error("the handler was not told")
	}
	_, _ = good.Write([]byte("y"))
	if n, err := good.Read(make([]byte, 8)); n != 1 || err != nil {
		t.Errorf("the other connection: got %d bytes, %v", n, err)
	}
}

// What is no event of a connection's, but belongs to one, ends that one alone too.
func TestAGuardedPanicEndsItsOwnConnectionAlone(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(*loop.Loop, *loop.Conn){
		"of a timer":         func(l *loop.Loop, c *loop.Conn) { l.Set(&loop.Timer{Do: func() { panic("late") }, Of: c}, loop.Tick) },
		"of what was posted": func(l *loop.Loop, c *loop.Conn) { l.Post(func() { c.Guard(func() { panic("posted") }) }) },
		"and one in Failed":  func(l *loop.Loop, c *loop.Conn) { l.Post(func() { c.Guard(func() { c.Handle(nil); panic("twice") }) }) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := start(t, loop.Options{})
			bad, peer := pair(t, l, &handler{})
			_, good := pair(t, l, echo())
			on(t, l, func() { do(l, bad) })
			if _, err := peer.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %v, want the end of the connection", err)
			}
			_, _ = good.Write([]byte("y"))
			if n, err := good.Read(make([]byte, 8)); n != 1 || err != nil {
				t.Errorf("the other connection: got %d bytes, %v", n, err)
			}
		})
	}
}

func TestThePeersSideIsSeenWithoutReading(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		do   func(*net.TCPConn)
		want loop.Ready
	}{
		"it sends no more":  {func(c *net.TCPConn) { _ = c.CloseWrite() }, loop.HalfClosed},
		"it has been reset": {func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() }, loop.Gone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := make(chan loop.Ready, 10)
			_, peer := pair(t, start(t, loop.Options{}), &handler{readable: func(c *loop.Conn) {
				if s := c.Side(); s != 0 {
					seen <- s
				}
			}})
			_, _ = peer.Write([]byte("unread"))
			test.do(peer)
			if s := receive(t, seen); s&test.want == 0 {
				t.Errorf("side %b, want %b among it", s, test.want)
			}
		})
	}
}

func TestWhatCameBeforeTheEndIsRead(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	var all []byte
	_, peer := pair(t, start(t, loop.Options{}), &handler{readable: func(c *loop.Conn) {
		for {
			b, err := c.Read()
			if all = append(all, b...); err == io.EOF { //nolint:errorlint // as documented
				got <- string(all)
				return
			}
			if len(b) == 0 {
				return
			}
		}
	}})
	_, _ = peer.Write([]byte("last words"))
	_ = peer.CloseWrite()
	if s := receive(t, got); s != "last words" {
		t.Fatalf("got %q", s)
	}
}

func TestAResetIsNoOrderlyEnd(t *testing.T) {
	t.Parallel()
	l := start(t, loop.Options{})
	c, peer := pair(t, l, &handler{})
	on(t, l, func() { c.Write([]byte("half")); c.Reset() })
	if b, err := io.ReadAll(peer); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("got %q, %v", b, err)
	}
}

func TestTheWritingSideIsShutDownAfterWhatIsQueued(t *testing.T) {
	t.Parallel()
	l := start(t, loop.Options{})
	sent := noise(4 << 20)
	c, peer := pair(t, l, echo())
	on(t, l, func() {
		c.Write(sent)
		if c.Queued() == 0 {
			t.Error("nothing is queued: the test is of no use")
		}
		c.CloseWrite()
	})
	if b, err := io.ReadAll(peer); err != nil || !bytes.Equal(b, sent) {
		t.Fatalf("got %d bytes, %v", len(b), err)
	}
	_ = peer.Close() // it could write until now
}

func TestAWriteThatFailsIsTold(t *testing.T) {
	t.Parallel()
	l := start(t, loop.Options{})
	failed := make(chan error, 1)
	gone := make(chan struct{})
	c, peer := pair(t, l, &handler{
		readable: func(c *loop.Conn) {
			if c.Side()&loop.Gone != 0 {
				close(gone)
			}
		},
		failed: func(_ *loop.Conn, err error) { failed <- err },
	})
	_ = peer.SetLinger(0)
	_ = peer.Close()
	receive(t, gone)
	on(t, l, func() { c.Write([]byte("x")); c.Write([]byte("y")) })
	if err := receive(t, failed); !errors.Is(err, unix.EPIPE) && !errors.Is(err, unix.ECONNRESET) {
		t.Fatalf("got %v", err)
	}
	on(t, l, func() {
		if !c.Closed() {
			t.Error("the connection is open still")
		}
	})
}

func TestWhatIsCorkedGoesOutTogether(t *testing.T) {
	t.Parallel()
	l := start(t, loop.Options{})
	c, peer := pair(t, l, &handler{})
	on(t, l, func() {
		c.Cork()
		c.Write([]byte("one "))
		c.Write([]byte("two"))
		if c.Queued() != 7 {
			t.Errorf("%d bytes are queued, want 7", c.Queued())
		}
	})
	b := make([]byte, 16)
	if n, err := peer.Read(b); string(b[:n]) != "one two" || err != nil {
		t.Fatalf("got %q, %v", b[:n], err)
	}
}

func TestAgainServesTheRestBeforeTheLoopWaits(t *testing.T) {
	t.Parallel()
	done := make(chan int, 1)
	turns := 0
	_, peer := pair(t, start(t, loop.Options{}), &handler{readable: func(c *loop.Conn) {
		b, err := c.ReadMost(1)
		if turns += len(b); err != nil {
			done <- turns
			c.Close()
			return
		}
		if len(b) > 0 {
			c.Again()
		}
	}})
	_, _ = peer.Write([]byte("0123456789"))
	_ = peer.CloseWrite()
	if n := receive(t, done); n != 10 {
		t.Fatalf("%d bytes in as many turns, want 10", n)
	}
}

func TestHandlersMayCloseEachOther(t *testing.T) {
	t.Parallel()
	l := start(t, loop.Options{})
	var conns [2]*loop.Conn
	var served [2]bool
	var peers [2]*net.TCPConn
	for i := range conns {
		conns[i], peers[i] = pair(t, l, &handler{readable: func(*loop.Conn) {
			served[i] = true
			conns[1-i].Close()
		}})
	}
	on(t, l, func() { // both are ready when the loop looks next
		for _, p := range peers {
			_, _ = p.Write([]byte("x"))
		}
		for i := range conns {
			conns[i].Again()
		}
	})
	on(t, l, func() {
		if served[0] == served[1] {
			t.Errorf("handlers were called: %v; want the one that was not closed", served)
		}
	})
}

func TestManyConnectionsOfManyLoops(t *testing.T) {
	t.Parallel()
	loops := []*loop.Loop{start(t, loop.Options{}), start(t, loop.Options{})}
	lis := listen(t)
	var most atomic.Int64
	go func() {
		for next := 0; ; next++ {
			c, err := lis.Accept()
			if err != nil {
				return
			}
			to := loops[next%2]
			fd, err := loop.Detach(c.(*net.TCPConn))
			if err != nil {
				t.Error(err)
			}
			to.Post(func() {
				if _, err := to.Add(fd, echo()); err != nil {
					t.Error(err)
				}
				most.Store(max(most.Load(), int64(to.Size())))
			})
		}
	}()
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			c, err := new(net.Dialer).DialContext(t.Context(), "tcp", lis.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(patience))
			said := noise(10_000)
			for range 20 {
				_, _ = c.Write(said)
				got := make([]byte, len(said))
				if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, said) {
					t.Error("not what was said", err)
					return
				}
			}
		})
	}
	all.Wait()
	if most.Load() == 0 {
		t.Error("no loop has had a connection")
	}
}

func TestTurnsThatTakeLongAreCounted(t *testing.T) {
	t.Parallel()
	l := start(t, loop.Options{})
	on(t, l, func() { <-time.After(30 * time.Millisecond) })
	on(t, l, func() {})
	if n := l.Held(); n != 1 {
		t.Fatalf("the loop was held %d times, want 1", n)
	}
}
