package frame

import (
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"
)

// TestFloods has peers do what is allowed, but too often: the connection ends by ENHANCE_YOUR_CALM before the number that
// is sent, and what is below the bound is served.
func TestFloods(t *testing.T) {
	t.Parallel()
	served := func(c *Conn, id uint32) { c.Headers(id, list(":status: 200"), Last) }
	for name, f := range map[string]struct {
		cfg    Config
		client bool // the peer is a server
		first  func(w *wire)
		each   func(w *wire, i int)
		onHead func(c *Conn, id uint32)
		bound  int // each may come so often
		rule   *Error
	}{
		"rapid reset (CVE-2023-44487)": {bound: 100, rule: errResets, each: func(w *wire, i int) {
			w.get(uint32(2*i+1)).frame(typeReset, 0, uint32(2*i+1), uint32(Cancel))
		}},
		"resets provoked by windows (CVE-2025-8671)": {bound: 100, rule: errResets, each: func(w *wire, i int) {
			w.get(uint32(2*i+1)).frame(typeUpdate, 0, uint32(2*i+1), uint32(0))
		}},
		"resets provoked by overflows": {bound: 100, rule: errResets, each: func(w *wire, i int) {
			w.get(uint32(2*i+1)).frame(typeUpdate, 0, uint32(2*i+1), uint32(maxWindow))
		}},
		"resets provoked by DATA on half-closed streams": {bound: 100, rule: errResets, each: func(w *wire, i int) {
			w.get(uint32(2*i+1)).data(uint32(2*i+1), More, "a")
		}},
		"resets provoked by PRIORITY": {bound: 100, rule: errResets, each: func(w *wire, i int) {
			w.get(uint32(2*i+1)).frame(typePriority, 0, uint32(2*i+1), uint32(2*i+1), 9)
		}},
		"malformed requests": {bound: 100, rule: errResets, each: func(w *wire, i int) { w.get(uint32(2*i+1), "A: b") }},
		"requests above what was agreed": {cfg: Config{Streams: 1}, bound: 100, rule: errResets,
			first: func(w *wire) { w.frame(typeSettings, flagAck, 0).get(1) }, each: func(w *wire, i int) { w.get(uint32(2*i + 3)) }},
		"requests above what was not yet agreed": {cfg: Config{Streams: 1}, bound: 1000, rule: errFlood,
			first: func(w *wire) { w.get(1) }, each: func(w *wire, i int) { w.get(uint32(2*i + 3)) }},
		"PING":                     {bound: 511, rule: errUnread, each: func(w *wire, _ int) { w.frame(typePing, 0, 0, "12345678") }},
		"answers to PING":          {bound: 999, rule: errFlood, each: func(w *wire, _ int) { w.frame(typePing, flagAck, 0, "12345678") }},
		"SETTINGS":                 {bound: 511, rule: errUnread, each: func(w *wire, _ int) { w.frame(typeSettings, 0, 0) }},
		"a server's SETTINGS":      {client: true, bound: 511, rule: errUnread, each: func(w *wire, _ int) { w.frame(typeSettings, 0, 0) }},
		"PRIORITY (CVE-2019-9513)": {bound: 999, rule: errFlood, each: func(w *wire, i int) { w.frame(typePriority, 0, uint32(2*i+1), uint32(0), 9) }},
		"WINDOW_UPDATE":            {bound: 999, rule: errFlood, each: func(w *wire, _ int) { w.frame(typeUpdate, 0, 0, uint32(1)) }},
		"WINDOW_UPDATE on a stream that has ended": {bound: 1000, rule: errFlood, onHead: served,
			first: func(w *wire) { w.get(1) }, each: func(w *wire, _ int) { w.frame(typeUpdate, 0, 1, uint32(1)) }},
		"RST_STREAM on a stream that has ended": {bound: 1000, rule: errFlood, onHead: served,
			first: func(w *wire) { w.get(1) }, each: func(w *wire, _ int) { w.frame(typeReset, 0, 1, uint32(0)) }},
		"empty DATA (CVE-2019-9518)": {bound: 1000, rule: errFlood, first: func(w *wire) { w.post(1) }, each: func(w *wire, _ int) { w.data(1, More, "") }},
		"DATA of padding alone":      {bound: 1000, rule: errFlood, first: func(w *wire) { w.post(1) }, each: func(w *wire, _ int) { w.frame(typeData, flagPadded, 1, 2, 0, 0) }},
		"empty DATA on a stream that was reset": {bound: 1000, rule: errFlood, onHead: func(c *Conn, id uint32) { c.Reset(id, Cancel) },
			first: func(w *wire) { w.post(1) }, each: func(w *wire, _ int) { w.data(1, More, "") }},
		"unknown frames": {bound: 999, rule: errFlood, each: func(w *wire, _ int) { w.frame(0x42, 0xff, 7, "abc") }},
		"GOAWAY":         {bound: 999, rule: errFlood, each: func(w *wire, _ int) { w.frame(typeGoAway, 0, 0, uint32(0), uint32(0)) }},
		"CONTINUATION without end (CVE-2024-27316)": {bound: 64, rule: errFragments,
			first: func(w *wire) { w.frame(typeHeaders, 0, 1, w.block(getFields...)) },
			each:  func(w *wire, _ int) { w.frame(typeContinuation, 0, 1, w.block("a: b")) }},
		"large CONTINUATION": {bound: 8, rule: errHeadFar, first: func(w *wire) { w.frame(typeHeaders, 0, 1) },
			each: func(w *wire, _ int) { w.frame(typeContinuation, 0, 1, make([]byte, maxFrame)) }},
		"a window that is opened by one byte at a time": {bound: 990, rule: errFlood,
			first: func(w *wire) { w.frame(typeSettings, 0, 0, 0, setWindow, uint32(0)).get(1) },
			each:  func(w *wire, _ int) { w.frame(typeUpdate, 0, 1, uint32(1)) },
			onHead: func(c *Conn, id uint32) {
				c.Headers(id, list(":status: 200"), More)
				c.Data(id, make([]byte, 4096), Last)
			}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, over := range []bool{false, true} {
				w := client()
				if f.client {
					w = server()
				}
				if f.first != nil {
					f.first(w)
				}
				n := f.bound
				if over {
					n = f.bound*3 + 3
				}
				w.times(n, f.each)
				r := &recorder{}
				c := broken{client: f.client, cfg: f.cfg}.conn(t, r)
				r.onHead = func(id uint32, _ *Head) {
					if f.onHead != nil {
						f.onHead(c, id)
					}
				}
				err := feed(t, c, w.Bytes(), 1<<20)
				if over && !errors.Is(err, f.rule) {
					t.Errorf("%d times: error %v, want %v", n, err, f.rule)
				}
				if !over && err != nil {
					t.Errorf("%d times: %v", n, err)
				}
				if out := written(t, c); over != strings.HasSuffix(out[len(out)-1], "ENHANCE_YOUR_CALM") {
					t.Errorf("the peer sees at last: %s", out[len(out)-1])
				}
			}
		})
	}
}

// TestBudgetsOfASecond lets a client do in the next second what it may do in one.
func TestBudgetsOfASecond(t *testing.T) {
	t.Parallel()
	c := NewServer(Config{}, &Pool{}, &recorder{})
	if _, err := c.Feed(client().Bytes(), start); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		w := bare().times(900, func(w *wire, _ int) { w.frame(typePriority, 0, 7, uint32(0), 9) })
		for k := range 100 {
			id := uint32(2*(100*i+k) + 1)
			w.get(id).frame(typeReset, 0, id, uint32(Cancel))
		}
		if _, err := c.Feed(w.Bytes(), start.Add(time.Duration(i)*time.Second)); err != nil {
			t.Fatalf("second %d: %v", i, err)
		}
		take(c)
	}
}

// TestBusyStreamsEarnTheirFrames has a client of gRPC do what grpc-go does: a PING and a WINDOW_UPDATE beside each message.
func TestBusyStreamsEarnTheirFrames(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	c := NewServer(Config{}, &Pool{}, r)
	r.onData = func(id uint32, p []byte, _ End) { c.Took(id, len(p)) }
	if _, err := c.Feed(client().post(1).Bytes(), start); err != nil {
		t.Fatal(err)
	}
	for range 20_000 {
		w := bare().data(1, More, "hello").frame(typePing, 0, 0, "12345678").frame(typeUpdate, 0, 0, uint32(5))
		if _, err := c.Feed(w.Bytes(), start); err != nil {
			t.Fatal(err)
		}
		take(c)
	}
}

// TestBombs sends field blocks that are small and mean much: HPACK's table refers to a field of 4,000 bytes by one.
func TestBombs(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	c := NewServer(Config{}, &Pool{}, r)
	w := client().get(1, "bomb: "+strings.Repeat("a", 3900))
	w.frame(typeHeaders, flagEnd|flagEndHeads, 3, w.block(getFields...), []byte(strings.Repeat("\xbe", 10_000)))
	w.get(5) // the table is as it was
	if err := feed(t, c, w.Bytes(), 1<<20); err != nil {
		t.Fatal(err)
	}
	if got := r.log[1]; got != "3 too large" {
		t.Errorf("got %q", got)
	}
	if got := r.log[2]; got != "5 GET http x /a end" {
		t.Errorf("got %q", got)
	}
	if n := len(c.pool.fields); cap(c.pool.fields) > 200 {
		t.Errorf("%d fields are kept, with room for %d", n, cap(c.pool.fields))
	}
}

// TestLongStrings of HPACK's Huffman code: what is too long ends the connection before it is unpacked.
func TestLongStrings(t *testing.T) {
	t.Parallel()
	c := NewServer(Config{HeadBytes: 1000}, &Pool{}, &recorder{})
	long := hpack.AppendHuffmanString(nil, strings.Repeat("0", 3000)) // 1,875 bytes
	w := client().frame(typeHeaders, flagEndHeads, 1, bare().block(getFields...), 0, 1, "a", 0xff, 0xd4, 0x0d, long)
	if err := feed(t, c, w.Bytes(), 1<<20); !errors.Is(err, errHeadFar) {
		t.Errorf("error %v", err)
	}
}

// TestReaderOfNothing asks for more and more and reads no answer: what is kept for it is bounded, since nothing more is
// read from it.
func TestReaderOfNothing(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	c := NewServer(Config{}, &Pool{}, r)
	field := Field{Name: "large", Value: strings.Repeat("a", 1000)}
	r.onHead = func(id uint32, _ *Head) { c.Headers(id, append(list(":status: 200"), field), Last) }
	w := client().frame(typeUpdate, 0, 0, uint32(1<<30)).times(10_000, func(w *wire, i int) { w.get(uint32(2*i + 1)) })
	left := w.Bytes()
	n, err := c.Feed(left, start)
	if err != nil || !c.Full() || n == len(left) {
		t.Fatalf("took %d of %d bytes, full: %t, error %v", n, len(left), c.Full(), err)
	}
	if kept := len(c.Output()); kept > outFull+2000 {
		t.Errorf("%d bytes are kept", kept)
	}
	if k, err := c.Feed(left[n:], start); k != 0 || err != nil {
		t.Errorf("full, it takes %d bytes more, error %v", k, err)
	}
	for left = left[n:]; len(left) > 0; left = left[n:] {
		take(c)
		if n, err = c.Feed(left, start); err != nil || n == 0 {
			t.Fatalf("took %d of %d bytes: %v", n, len(left), err)
		}
	}
	if len(r.log) < 10_000 || c.opened != 19_999 {
		t.Errorf("%d events, last stream %d", len(r.log), c.opened)
	}
}
