package frame

import (
	"errors"
	"strings"
	"testing"
)

// Trailers, too, may be on their way to streams that have ended here, of which there may be more than are remembered.
func TestTrailersOnTheirWayToStreamsThatAreForgotten(t *testing.T) {
	t.Parallel()
	const many = 2 * mostClosed
	r := &recorder{}
	c := broken{cfg: Config{Streams: many}}.conn(t, r)
	first, late := client(), bare()
	for i := range many {
		id := uint32(2*i + 1) //nolint:gosec // few
		first.post(id)
		late.headers(id, Last, "x-sum: 1")
	}
	if err := feed(t, c, first.Bytes(), 1<<20); err != nil {
		t.Fatal(err)
	}
	for i := range many {
		_ = c.Headers(uint32(2*i+1), list(":status: 401"), Last) //nolint:gosec // few
	}
	if err := feed(t, c, late.Bytes(), 1<<20); err != nil {
		t.Error(err)
	}
	if err := feed(t, c, bare().post(1).Bytes(), 1<<20); !errors.Is(err, errStreamID) {
		t.Errorf("a request by a number of before: %v", err)
	}
}

// TestDataOnItsWayToStreamsThatHaveEnded has peers send on, in frames that are small, what a stream's window had allowed: they do not know yet
// that it has ended here (RFC 9113 section 5.1). Other streams go on. What is more than that counts.
func TestDataOnItsWayToStreamsThatHaveEnded(t *testing.T) {
	t.Parallel()
	const (
		each = 15
		most = initial / each
	)
	resets := func(c *Conn, id uint32) { c.Reset(id, Cancel) }
	for name, f := range map[string]struct {
		cfg    Config
		client bool // the peer is a server
		first  *wire
		id     uint32
		onHead func(c *Conn, id uint32)
		do     func(c *Conn)
	}{
		"reset":             {first: client().post(1), id: 1, onHead: resets},
		"answered":          {first: client().post(1), id: 1, onHead: func(c *Conn, id uint32) { c.Headers(id, list(":status: 401"), Last) }},
		"malformed":         {first: client().post(1, "A: b"), id: 1},
		"refused":           {cfg: Config{Streams: 1}, first: client().get(1).post(3), id: 3},
		"behind GOAWAY":     {first: client(), id: 1, do: func(c *Conn) { c.GoAway(); _, _ = c.Feed(bare().post(1).Bytes(), start) }},
		"given up":          {client: true, first: server(), id: 1, do: func(c *Conn) { c.Reset(1, Cancel) }},
		"given up, answers": {client: true, first: server().headers(1, More, ":status: 200"), id: 1, do: func(c *Conn) { c.Reset(1, Cancel) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, over := range []bool{false, true} {
				r := &recorder{}
				c := broken{client: f.client, cfg: f.cfg}.conn(t, r)
				r.onHead = func(id uint32, _ *Head) {
					if f.onHead != nil {
						f.onHead(c, id)
					}
				}
				if err := feed(t, c, f.first.Bytes(), 1<<20); err != nil {
					t.Fatal(err)
				}
				if f.do != nil {
					f.do(c)
				}
				n := most
				if over {
					n += 1001
				}
				late := bare().times(n, func(w *wire, _ int) { w.data(f.id, More, strings.Repeat("a", each)) })
				err := feed(t, c, late.Bytes(), 1<<20)
				if over && !errors.Is(err, errFlood) || !over && err != nil {
					t.Errorf("%d frames: %v", n, err)
				}
			}
		})
	}
}
