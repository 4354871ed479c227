package frame

import (
	"errors"
	"strings"
	"testing"
)

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
