//go:build !386 && !s390x && !loop_poll

package loop_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// splicer moves what comes on one connection to another, each piece of it as before and after say.
type splicer struct {
	from, to *loop.Conn
	before   func(b []byte, n int) []byte
	after    string
	ended    func(error)
	stuck    bool // the last piece was not taken at once
}

// Connected, Readable, Drained and Failed implement loop.Handler, for both.
func (*splicer) Connected(*loop.Conn, error)      {}
func (s *splicer) Readable(c *loop.Conn)          { s.move(c) }
func (s *splicer) Drained(*loop.Conn)             { s.stuck = false; s.move(s.from) }
func (s *splicer) Failed(_ *loop.Conn, err error) { s.ended(err) }

func (s *splicer) move(c *loop.Conn) {
	for c == s.from && s.to != nil && !s.stuck {
		n, more, err := s.to.Splice(s.from, 1<<30, s.before)
		if n > 0 && s.after != "" {
			s.to.Commit(append(s.to.Compose(loop.FrameRoom), s.after...))
		}
		if err != nil {
			s.ended(err)
			return
		}
		if s.stuck = !more; n == 0 {
			return
		}
	}
}

// splicing is a splicer, who sends, and who gets it. Ended is told of the end, on the loop.
func splicing(t *testing.T, l *loop.Loop, s *splicer) (giver, taker *net.TCPConn) {
	t.Helper()
	to, taker := pair(t, l, s)
	from, giver := pair(t, l, s)
	on(t, l, func() { s.from, s.to = from, to; from.Again() })
	return giver, taker
}

func give(giver *net.TCPConn, b []byte) {
	_, _ = giver.Write(b)
	_ = giver.CloseWrite()
}

// What comes on one connection goes out on another, in order with what is written before and after each piece.
func TestBytesGoThroughAPipe(t *testing.T) {
	t.Parallel()
	chunk := func(b []byte, n int) []byte { return fmt.Appendf(b, "%x\r\n", n) }
	for name, s := range map[string]*splicer{"alone": {}, "in chunks": {before: chunk, after: "\r\n"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.ended = func(err error) {
				if err != io.EOF { //nolint:errorlint // as Splice documents
					t.Errorf("it ends with %v", err)
				}
				if s.before != nil {
					s.to.Write([]byte("0\r\n\r\n"))
				}
				s.to.End()
			}
			giver, taker := splicing(t, start(t, loop.Options{}), s)
			sent := noise(8 << 20)
			go give(giver, sent)
			var from io.Reader = taker
			if s.before != nil {
				from = httputil.NewChunkedReader(taker)
			}
			if got, err := io.ReadAll(from); err != nil || !bytes.Equal(got, sent) {
				t.Fatalf("got %d bytes, %v; want the %d that were sent", len(got), err, len(sent))
			}
		})
	}
}

// What a peer does not take waits in a pipe and counts as queued; what is written then follows it.
func TestWhatIsWrittenFollowsWhatThePipeHolds(t *testing.T) {
	l, s := start(t, loop.Options{}), &splicer{ended: func(error) {}}
	stuck := make(chan struct{})
	giver, taker := splicing(t, l, s)
	_ = giver.SetWriteBuffer(4 << 20)
	sent := noise(32 << 20)
	go give(giver, sent)
	go func() {
		for is := false; !is; {
			on(t, l, func() { is = s.stuck && s.to.Queued() > 0 })
		}
		close(stuck)
	}()
	receive(t, stuck)
	var held int64
	on(t, l, func() { held = loop.OpenPipes() })
	if held != 1 {
		t.Errorf("%d pipes while one peer takes nothing, want 1", held)
	}
	on(t, l, func() {
		s.to.Write([]byte("that was all"))
		s.from = nil // nothing more is moved
		s.to.End()
	})
	got, err := io.ReadAll(taker)
	body, whole := bytes.CutSuffix(got, []byte("that was all"))
	if err != nil || !whole || !bytes.HasPrefix(sent, body) {
		t.Errorf("got %d bytes, %v, the end of them %q", len(got), err, got[max(0, len(got)-20):])
	}
	on(t, l, l.CleanPipes) // used since
	on(t, l, l.CleanPipes)
	if n := loop.OpenPipes(); n != 0 {
		t.Errorf("%d pipes are left", n)
	}
}

// A connection that is closed while a pipe holds something of it loses that, and the pipe.
func TestPipesEndWithTheirConnections(t *testing.T) {
	before := pipesOfTheProcess(t)
	for name, end := range map[string]func(s *splicer, l *loop.Loop, taker *net.TCPConn){
		"closed here":   func(s *splicer, l *loop.Loop, _ *net.TCPConn) { on(t, l, s.to.Close) },
		"reset here":    func(s *splicer, l *loop.Loop, _ *net.TCPConn) { on(t, l, s.to.Reset) },
		"gone":          func(_ *splicer, _ *loop.Loop, taker *net.TCPConn) { _ = taker.SetLinger(0); _ = taker.Close() },
		"the loop ends": func(_ *splicer, l *loop.Loop, _ *net.TCPConn) { l.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan error, 4)
			l, s := start(t, loop.Options{}), &splicer{ended: func(err error) { ended <- err }}
			giver, taker := splicing(t, l, s)
			go give(giver, noise(32<<20))
			for is := false; !is; {
				on(t, l, func() { is = s.stuck && s.to.Queued() > 0 })
			}
			if end(s, l, taker); name == "gone" {
				if err := receive(t, ended); err == nil || errors.Is(err, io.EOF) {
					t.Errorf("the handler is told %v", err)
				}
			}
			l.Close()
			for deadline := time.Now().Add(patience); pipesOfTheProcess(t) > before; {
				if time.Now().After(deadline) {
					t.Fatalf("%d pipes of the process, %d before", pipesOfTheProcess(t), before)
				}
			}
		})
	}
}

// Where there are as many pipes as there may be, the caller is told to copy.
func TestPipesAreBounded(t *testing.T) {
	l := start(t, loop.Options{})
	const more = 3
	conns, sent := make([]*splicer, loop.MaxPipes+more), make([]byte, 16<<20)
	for i := range conns {
		conns[i] = &splicer{ended: func(error) {}}
		giver, taker := splicing(t, l, conns[i])
		_ = taker.SetReadBuffer(64 << 10)
		_ = giver.SetWriteBuffer(64 << 10)
		go give(giver, sent)
	}
	refused := 0
	for deadline := time.Now().Add(patience); refused != more && time.Now().Before(deadline); {
		refused = 0
		on(t, l, func() {
			for _, s := range conns {
				if !s.stuck {
					if _, _, err := s.to.Splice(s.from, 1, nil); errors.Is(err, loop.ErrCopy) {
						refused++
					}
				}
			}
		})
	}
	if refused != more || loop.OpenPipes() != loop.MaxPipes {
		t.Errorf("%d are refused of %d with %d pipes, want %d with %d", refused, len(conns), loop.OpenPipes(), more, loop.MaxPipes)
	}
}

func pipesOfTheProcess(t *testing.T) (n int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(to, "pipe:") {
			n++
		}
	}
	return n
}
