package frame

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// side is one end of a pair: who feeds and writes, as a loop would, and what has come on each stream.
type side struct {
	recorder
	t       testing.TB
	conn    *Conn
	in      []byte // on the wire to this side
	out     []byte // written, and not on the wire yet
	unfed   []byte // read and not taken
	got     map[uint32][]byte
	closed  map[uint32]bool // the peer has ended it
	untaken map[uint32]int
	gone    map[uint32]bool // reset
	send    map[uint32][]byte
}

func newSide(t testing.TB) *side {
	return &side{t: t, got: map[uint32][]byte{}, closed: map[uint32]bool{}, untaken: map[uint32]int{}, gone: map[uint32]bool{}, send: map[uint32][]byte{}}
}

func (s *side) Headers(id uint32, h *Head) {
	s.alive(id)
	s.closed[id] = bool(h.End)
}

func (s *side) Data(id uint32, p []byte, end End) {
	s.alive(id)
	s.got[id] = append(s.got[id], p...)
	s.untaken[id] += len(p)
	s.closed[id] = bool(end)
}

func (s *side) Trailers(id uint32, fields []Field) {
	s.alive(id)
	if len(fields) != 1 || fields[0].Value != itoa(len(s.got[id])) {
		s.t.Errorf("stream %d has trailers%s after %d bytes", id, shown(fields), len(s.got[id]))
	}
	s.closed[id] = true
}

func (s *side) Reset(id uint32, code Code, why error) {
	if why != nil {
		s.t.Errorf("stream %d is reset: %v", id, why)
	}
	s.gone[id] = code != NoError || !s.closed[id]
}

func (s *side) Sent(uint32, int) {}

func (s *side) alive(id uint32) {
	if s.gone[id] || s.closed[id] {
		s.t.Errorf("stream %d is told of after its end", id)
	}
}

// read feeds at most n bytes more.
func (s *side) read(n int) {
	n = min(n, len(s.in))
	s.unfed = append(s.unfed, s.in[:n]...)
	s.in = s.in[n:]
	k, err := s.conn.Feed(s.unfed, start)
	if err != nil {
		s.t.Fatal(err)
	}
	s.unfed = append(s.unfed[:0], s.unfed[k:]...)
	s.check()
}

func (s *side) write(to *side, n int) {
	if len(s.out) == 0 {
		s.out = append(s.out, s.conn.Output()...)
		s.conn.Wrote()
		s.check()
	}
	n = min(n, len(s.out))
	to.in = append(to.in, s.out[:n]...)
	s.out = s.out[n:]
}

// took takes about a part of what has come on each stream.
func (s *side) took(part int) {
	for id, n := range s.untaken {
		k := (n + part - 1) / part
		s.conn.Took(id, k)
		s.untaken[id] -= k
	}
}

// pump sends some of what a stream has to send; its end comes as trailers.
func (s *side) pump(id uint32, n int, total int) {
	p, ok := s.send[id]
	if !ok || s.gone[id] {
		delete(s.send, id)
		return
	}
	k, sent := s.conn.Data(id, p[:min(n, len(p))], More)
	if sent > k || k < min(n, len(p), s.conn.room(id)) {
		s.t.Errorf("stream %d took %d and sent %d of %d bytes, room %d", id, k, sent, min(n, len(p)), s.conn.room(id))
	}
	if s.send[id] = p[k:]; k == len(p) {
		if err := s.conn.Headers(id, list("total: "+itoa(total)), Last); err != nil {
			s.t.Error(err)
		}
		delete(s.send, id)
	}
}

// check holds what is true between any two calls.
func (s *side) check() {
	c, held := s.conn, int64(0)
	for i, e := range c.streams.list {
		st := e.of
		held += st.held
		if i > 0 && st.id <= c.streams.list[i-1].id || st.window < -initial || st.recv < -initial || st.queued() > c.cfg.Queue || st.waiting != (st.queued() > 0 && st.window > 0) {
			s.t.Fatalf("stream %d: %+v", st.id, st)
		}
	}
	if c.window < 0 || c.recv < 0 || c.recv+c.pending+held > int64(c.cfg.ConnWindow) || len(c.Output()) > outFull+32<<10 {
		s.t.Fatalf("window %d, may get %d, %d to be given back, %d are held, %d bytes of output", c.window, c.recv, c.pending, held, len(c.Output()))
	}
	if c.window > 0 && len(c.Output()) < outRoom && len(c.ready) > 0 {
		s.t.Fatal("a stream waits, and nothing is in its way")
	}
}

// schedule is a random run of two sides of any config; no byte of a stream that was not reset may be lost or out of order.
func schedule(t testing.TB, rnd *rand.Rand) {
	pool := &Pool{}
	server, client := newSide(t), newSide(t)
	server.conn = NewServer(Config{Window: 1 + rnd.IntN(80_000), ConnWindow: rnd.IntN(200_000), Queue: 1 + rnd.IntN(70_000), Frames: 1 << 30, Resets: 1 << 30}, pool, server)
	client.conn = NewClient(Config{Window: 1 + rnd.IntN(80_000), ConnWindow: rnd.IntN(200_000), Queue: 1 + rnd.IntN(70_000), Frames: 1 << 30}, pool, client)
	bodies := map[uint32][]byte{}
	piece := 1 + rnd.IntN(20_000)
	if rnd.IntN(4) == 0 {
		piece = 1 + rnd.IntN(20)
	}
	size := 1 + rnd.IntN(min(100_000, 500*min(piece, server.conn.cfg.Window, client.conn.cfg.Window, server.conn.cfg.Queue, client.conn.cfg.Queue)))
	quit := rnd.IntN(3) == 0 // some streams are reset
	for step := 0; len(bodies) < 12 || len(client.send)+len(server.send)+len(client.in)+len(server.in) > 0 || client.conn.streams.Len() > 0 || server.conn.streams.Len() > 0; step++ {
		if step > 1_000_000 {
			t.Fatalf("no end: %d streams\n%q %q", client.conn.streams.Len(), client.log, server.log)
		}
		a, b := client, server
		if rnd.IntN(2) == 0 {
			a, b = b, a
		}
		switch rnd.IntN(6) {
		case 0:
			a.write(b, 1+rnd.IntN(piece))
		case 1:
			a.read(1 + rnd.IntN(piece))
		case 2:
			a.took(1 + rnd.IntN(3))
		case 3:
			for id := range bodies {
				a.pump(id, rnd.IntN(piece+1), len(bodies[id]))
			}
		case 4:
			if len(bodies) < 12 && client.conn.CanOpen() {
				id := ask(t, client.conn, More)
				body := make([]byte, rnd.IntN(size))
				for i := range body {
					body[i] = byte(rnd.Uint32())
				}
				bodies[id], client.send[id] = body, body
			}
			for id := range server.closed { // the answer is the request's body, once that has come
				if server.closed[id] && !server.gone[id] && server.conn.find(id) != nil {
					if _, begun := server.send[id]; !begun && !server.gone[id] && server.conn.room(id) > 0 && server.conn.Headers(id, list(":status: 200"), More) == nil {
						server.send[id] = server.got[id]
						server.closed[id] = false // once
					}
				}
			}
		case 5:
			if quit && rnd.IntN(100) == 0 {
				for id := range bodies {
					if a.conn.find(id) == nil { // not here yet, or not any more
						continue
					}
					a.gone[id] = true
					delete(a.send, id)
					a.conn.Reset(id, Cancel)
					break
				}
			}
		}
	}
	for id, body := range bodies {
		if client.gone[id] || server.gone[id] {
			continue
		}
		if !bytes.Equal(client.got[id], body) {
			t.Errorf("stream %d: %d bytes came back of %d", id, len(client.got[id]), len(body))
		}
	}
}

// TestPair runs a client and a server of ours against each other, with bytes that are split anywhere.
func TestPair(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		schedule(t, rand.New(rand.NewPCG(seed, 7)))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// FuzzPair looks for a schedule that loses a byte.
func FuzzPair(f *testing.F) {
	f.Add(uint64(1), uint64(2))
	f.Fuzz(func(t *testing.T, a, b uint64) { schedule(t, rand.New(rand.NewPCG(a, b))) })
}

// TestNegativeWindow takes bytes back that were agreed: nothing is sent until the window is open again (section 6.9.2).
func TestNegativeWindow(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	c := NewServer(Config{}, &Pool{}, r)
	if err := feed(t, c, client().frame(typeSettings, 0, 0, 0, setWindow, uint32(100)).get(1).Bytes(), 1<<20); err != nil {
		t.Fatal(err)
	}
	c.Headers(1, list(":status: 200"), More)
	c.Data(1, make([]byte, 150), Last)
	for _, s := range []struct {
		w      *wire
		window int64
		left   int
	}{
		{bare().frame(typeSettings, 0, 0, 0, setWindow, uint32(40)), -60, 50},
		{bare().frame(typeUpdate, 0, 1, uint32(60)), 0, 50},
		{bare().frame(typeUpdate, 0, 1, uint32(20)), 0, 30},
		{bare().frame(typeSettings, 0, 0, 0, setWindow, uint32(50)), 0, 20},
	} {
		if err := feed(t, c, s.w.Bytes(), 1<<20); err != nil {
			t.Fatal(err)
		}
		if st := c.find(1); st.window != s.window || st.queued() != s.left {
			t.Errorf("the window is %d, %d bytes wait; want %+v", st.window, st.queued(), s)
		}
	}
}
