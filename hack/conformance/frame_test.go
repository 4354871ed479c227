package conformance

import (
	"io"
	"maps"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/proxy/frame"
)

// TestH2specOfFrame runs h2spec against the smallest server on top of package frame: all cases pass.
func TestH2specOfFrame(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // stays open: nobody takes its port
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go (&frameServer{net: c}).run()
		}
	}()
	passed := h2spec(t, l.Addr().String())
	for _, name := range slices.Sorted(maps.Keys(passed)) {
		if !passed[name] {
			t.Errorf("failed: %s", name)
		}
	}
	if len(passed) < 100 {
		t.Errorf("%d cases ran", len(passed))
	}
}

// frameServer answers each request, once it has ended, with 256 bytes.
type frameServer struct {
	net  net.Conn
	conn *frame.Conn
}

func (s *frameServer) run() {
	defer s.net.Close()
	s.conn = frame.NewServer(frame.Config{}, &frame.Pool{}, s)
	var broken error
	for buf := make([]byte, 0, 32<<10); ; {
		if out := s.conn.Output(); len(out) > 0 {
			if _, err := s.net.Write(out); err != nil {
				return
			}
			s.conn.Wrote()
			continue
		}
		if broken != nil {
			s.linger()
			return
		}
		n, err := s.net.Read(buf[len(buf):cap(buf)])
		if err != nil {
			return
		}
		buf = buf[:len(buf)+n]
		n, broken = s.conn.Feed(buf, time.Now())
		buf = buf[:copy(buf, buf[n:])]
	}
}

// linger lets the client read GOAWAY: to close while there is something of the client's to be read would have the kernel reset the
// connection, and drop what is on its way.
func (s *frameServer) linger() {
	_ = s.net.(*net.TCPConn).CloseWrite()
	_ = s.net.SetReadDeadline(time.Now().Add(patience))
	_, _ = io.Copy(io.Discard, s.net)
}

func (s *frameServer) answer(id uint32) {
	_ = s.conn.Headers(id, []frame.Field{{Name: ":status", Value: "200"}, {Name: "content-length", Value: "256"}}, frame.More)
	s.conn.Data(id, make([]byte, 256), frame.Last)
}

func (s *frameServer) Headers(id uint32, h *frame.Head) {
	if h.End {
		s.answer(id)
	}
}

func (s *frameServer) Data(id uint32, p []byte, end frame.End) {
	s.conn.Took(id, len(p))
	if end {
		s.answer(id)
	}
}

func (s *frameServer) TooLarge(id uint32, _ string) {
	_ = s.conn.Headers(id, []frame.Field{{Name: ":status", Value: "431"}}, frame.Last)
}

func (s *frameServer) Trailers(id uint32, _ []frame.Field) { s.answer(id) }
func (s *frameServer) Reset(uint32, frame.Code, error)     {}
func (s *frameServer) Sent(uint32, int)                    {}
func (s *frameServer) GoAway()                             {}
