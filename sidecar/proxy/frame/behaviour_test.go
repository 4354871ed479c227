package frame

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2/hpack"
)

// serve has a server take what a client sends, and returns what the Handler was told and what the client sees.
func serve(t *testing.T, cfg Config, w *wire, do func(c *Conn, r *recorder)) (log, out []string) {
	t.Helper()
	r := &recorder{}
	c := NewServer(cfg, &Pool{}, r)
	if do != nil {
		do(c, r)
	}
	if err := feed(t, c, w.Bytes(), 1<<20); err != nil {
		t.Fatal(err)
	}
	return r.log, written(t, c)
}

func TestServer(t *testing.T) {
	t.Parallel()
	answers := func(c *Conn, r *recorder) {
		r.onHead = func(id uint32, h *Head) {
			if h.End {
				c.Headers(id, list(":status: 200"), Last)
			}
		}
		r.onData = func(id uint32, _ []byte, end End) {
			if end {
				c.Headers(id, list(":status: 200"), More)
				c.Data(id, []byte("answer"), More)
				c.Headers(id, list("grpc-status: 0"), Last)
			}
		}
	}
	for name, s := range map[string]struct {
		cfg      Config
		sends    *wire
		do       func(c *Conn, r *recorder)
		log, out []string
	}{
		"a request without a body": {sends: client().get(1, "a: b"), do: answers,
			log: []string{"1 GET http x /a a=b end"}, out: []string{"SETTINGS", "SETTINGS ack", "HEADERS 1 :status=200 end"}},
		"a body, an answer, its trailers": {sends: client().post(1, "te: trailers", "content-length: 4").data(1, More, "bo").data(1, Last, "dy"), do: answers,
			log: []string{"1 POST http x /a te=trailers content-length=4", "1 data body end"},
			out: []string{"SETTINGS", "SETTINGS ack", "HEADERS 1 :status=200", "DATA 1 answer", "HEADERS 1 grpc-status=0 end"}},
		"8.1: trailers of a request": {sends: client().post(1).data(1, More, "body").headers(1, Last, "a: b"),
			log: []string{"1 POST http x /a", "1 data body", "1 trailers a=b"}, out: []string{"SETTINGS", "SETTINGS ack"}},
		"6.1: padding is removed": {sends: client().post(1).frame(typeData, flagPadded, 1, 3, "body", 0, 0, 0).frame(typeData, flagPadded|flagEnd, 1, 2, 0, 0),
			log: []string{"1 POST http x /a", "1 data body end"}, out: []string{"SETTINGS", "SETTINGS ack"}},
		"6.2: padded HEADERS with a priority": {sends: client().frame(typeHeaders, flagEndHeads|flagEnd|flagPadded|flagPriority, 1, 2, uint32(3), 200, bare().block(getFields...), 0, 0),
			log: []string{"1 GET http x /a end"}, out: []string{"SETTINGS", "SETTINGS ack"}},
		"4.1: the reserved bit is ignored": {sends: client().frame(typeHeaders, flagEndHeads|flagEnd, 1|1<<31, bare().block(getFields...)),
			log: []string{"1 GET http x /a end"}, out: []string{"SETTINGS", "SETTINGS ack"}},
		"5.5: unknown frames, flags and settings are ignored": {sends: client().frame(0x42, 0xff, 7, strings.Repeat("a", maxFrame)).frame(typeSettings, 0xfe, 0, 0x0a, 0x0a, uint32(9)).frame(typeHeaders, 0xd2|flagEndHeads|flagEnd&^flagPadded&^flagPriority, 1, bare().block(getFields...)),
			log: []string{"1 GET http x /a end"}, out: []string{"SETTINGS", "SETTINGS ack", "SETTINGS ack"}},
		"6.10: a field block in three frames": {sends: func() *wire {
			w := client()
			b := w.block(getFields...)
			return w.frame(typeHeaders, flagEnd, 1, b[:1]).frame(typeContinuation, 0, 1, b[1:3]).frame(typeContinuation, flagEndHeads, 1, b[3:])
		}(), log: []string{"1 GET http x /a end"}, out: []string{"SETTINGS", "SETTINGS ack"}},
		"6.7: PING is answered": {sends: client().frame(typePing, 0, 0, "12345678"), out: []string{"SETTINGS", "SETTINGS ack", "PING ack 12345678"}},
		"5.1.1: numbers may be left out": {sends: client().get(7).get(9), log: []string{"7 GET http x /a end", "9 GET http x /a end"},
			out: []string{"SETTINGS", "SETTINGS ack"}},
		"zeros in front of a length are taken for no octal number": {sends: client().post(1, "content-length: 0010"),
			log: []string{"1 POST http x /a content-length=10"}, out: []string{"SETTINGS", "SETTINGS ack"}},
		"8.3.1: OPTIONS for a star": {sends: client().headers(1, Last, ":method: OPTIONS", ":scheme: http", ":path: *", ":authority: x"),
			log: []string{"1 OPTIONS http x * end"}, out: []string{"SETTINGS", "SETTINGS ack"}},
		"8.3.1: host as the authority, or beside it": {sends: client().get(1, "host: X").headers(3, Last, ":method: GET", ":scheme: http", ":path: /", "host: y"),
			log: []string{"1 GET http x /a host=X end", "3 GET http y / host=y end"}, out: []string{"SETTINGS", "SETTINGS ack"}},
		"8.5: CONNECT is told of": {sends: client().headers(1, More, ":method: CONNECT", ":authority: x:443"),
			log: []string{"1 CONNECT  x:443 "}, out: []string{"SETTINGS", "SETTINGS ack"}},
		"7: codes are carried, unknown ones too": {sends: client().post(1).post(3).frame(typeReset, 0, 1, uint32(Cancel)).frame(typeReset, 0, 3, uint32(0xbeef)),
			log: []string{"1 POST http x /a", "3 POST http x /a", "1 reset by the peer: CANCEL", "3 reset by the peer: code 48879"},
			out: []string{"SETTINGS", "SETTINGS ack"}},
		"10.5.1: a head above the limit can be answered": {cfg: Config{Fields: 2, HeadBytes: 1000}, sends: client().get(1, "a: b", "c: d", "e: f").get(3, "a: "+strings.Repeat("b", 900)).get(5),
			do: func(c *Conn, r *recorder) {
				r.onHead = func(id uint32, _ *Head) {
					c.Headers(id, list(":status: 200"), Last)
					c.Headers(1, list(":status: 431"), Last)
				}
			},
			log: []string{"1 too large", "3 too large", "5 GET http x /a end"},
			out: []string{"SETTINGS", "SETTINGS ack", "HEADERS 5 :status=200 end", "HEADERS 1 :status=431 end"}},
		"8.1: an answer before the request's end stops the client": {sends: client().post(1).data(1, More, "a").data(1, More, "b").headers(1, Last, "c: d"),
			do: func(c *Conn, r *recorder) {
				r.onHead = func(id uint32, _ *Head) { c.Headers(id, list(":status: 403"), More); c.Data(id, []byte("no"), Last) }
			},
			log: []string{"1 POST http x /a"},
			out: []string{"SETTINGS", "SETTINGS ack", "HEADERS 1 :status=403", "DATA 1 no end", "RST_STREAM 1 NO_ERROR"}},
		"5.1: what is on its way when a stream is reset is ignored": {sends: client().post(1).data(1, More, "a").frame(typeUpdate, 0, 1, uint32(1)).headers(1, Last, "c: d"),
			do:  func(c *Conn, r *recorder) { r.onHead = func(id uint32, _ *Head) { c.Reset(id, Cancel) } },
			log: []string{"1 POST http x /a"}, out: []string{"SETTINGS", "SETTINGS ack", "RST_STREAM 1 CANCEL"}},
		"6.9.2: a window of 1 is kept to": {sends: client().frame(typeSettings, 0, 0, 0, setWindow, uint32(1)).post(1).data(1, Last, "a").frame(typeUpdate, 0, 1, uint32(2)).frame(typeUpdate, 0, 1, uint32(9)), do: answers,
			log: []string{"1 POST http x /a", "1 data a end", "1 sent 5"},
			out: []string{"SETTINGS", "SETTINGS ack", "SETTINGS ack", "HEADERS 1 :status=200", "DATA 1 a", "DATA 1 nswer", "HEADERS 1 grpc-status=0 end"}},
		"6.5.3: the last of two windows holds": {sends: client().frame(typeSettings, 0, 0, 0, setWindow, uint32(100), 0, setWindow, uint32(1)).post(1).data(1, Last, "a"), do: answers,
			log: []string{"1 POST http x /a", "1 data a end"}, out: []string{"SETTINGS", "SETTINGS ack", "SETTINGS ack", "HEADERS 1 :status=200", "DATA 1 a"}},
		"6.8: a client that goes away is served": {sends: client().post(1).frame(typeGoAway, 0, 0, uint32(0), uint32(0), "bye").data(1, Last, ""), do: answers,
			log: []string{"1 POST http x /a", "1 data  end"},
			out: []string{"SETTINGS", "SETTINGS ack", "HEADERS 1 :status=200", "DATA 1 answer", "HEADERS 1 grpc-status=0 end"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log, out := serve(t, s.cfg, s.sends, s.do)
			if diff := cmp.Diff(s.log, log); diff != "" {
				t.Errorf("the Handler is told (-want +got):\n%s", diff)
			}

			if diff := cmp.Diff(s.out, out); diff != "" {
				t.Errorf("the client sees (-want +got):\n%s", diff)
			}
		})
	}
}

func ask(t testing.TB, c *Conn, end End, fields ...string) uint32 {
	t.Helper()
	id, err := c.Open(list(append([]string{":method: POST", ":scheme: http", ":path: /", ":authority: x"}, fields...)...), end)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestClient(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]struct {
		sends    *wire
		do       func(t *testing.T, c *Conn)
		log, out []string
	}{
		"interim heads, the final one, trailers": {
			sends: server().headers(1, More, ":status: 103", "link: x").headers(1, More, ":status: 100").headers(1, More, ":status: 200", "a: b").data(1, More, "body").headers(1, Last, "grpc-status: 0"),
			log:   []string{"1 103 link=x", "1 100", "1 200 a=b", "1 data body", "1 trailers grpc-status=0"},
			out:   []string{"SETTINGS", "HEADERS 1 :method=POST :scheme=http :path=/ :authority=x", "HEADERS 3 :method=POST :scheme=http :path=/ :authority=x end", "SETTINGS ack"}},
		"trailers alone, as gRPC's errors": {sends: server().headers(1, Last, ":status: 200", "grpc-status: 7"), log: []string{"1 200 grpc-status=7 end"},
			out: []string{"SETTINGS", "HEADERS 1 :method=POST :scheme=http :path=/ :authority=x", "HEADERS 3 :method=POST :scheme=http :path=/ :authority=x end", "SETTINGS ack"}},
		"204 and 304 have no content whatever they declare": {sends: server().headers(1, Last, ":status: 304", "content-length: 7").headers(3, Last, ":status: 204"),
			log: []string{"1 304 content-length=7 end", "3 204 end"},
			out: []string{"SETTINGS", "HEADERS 1 :method=POST :scheme=http :path=/ :authority=x", "HEADERS 3 :method=POST :scheme=http :path=/ :authority=x end", "SETTINGS ack"}},
		"8.1: a server that needs no more of the body": {sends: server().headers(1, More, ":status: 200").data(1, Last, "ok").frame(typeReset, 0, 1, uint32(NoError)),
			log: []string{"1 200", "1 data ok end", "1 reset by the peer: NO_ERROR"},
			out: []string{"SETTINGS", "HEADERS 1 :method=POST :scheme=http :path=/ :authority=x", "HEADERS 3 :method=POST :scheme=http :path=/ :authority=x end", "SETTINGS ack"}},
		"8.7: what a server refuses or has not looked at can be sent again": {sends: server().frame(typeReset, 0, 1, uint32(RefusedStream)).frame(typeGoAway, 0, 0, uint32(1), uint32(EnhanceYourCalm), "x"),
			log: []string{"1 reset by the peer: REFUSED_STREAM", "3 reset by the peer: REFUSED_STREAM"},
			out: []string{"SETTINGS", "HEADERS 1 :method=POST :scheme=http :path=/ :authority=x", "HEADERS 3 :method=POST :scheme=http :path=/ :authority=x end", "SETTINGS ack"}},
		"6.8: what a server has looked at goes on": {sends: server().frame(typeGoAway, 0, 0, uint32(3), uint32(0)).headers(3, Last, ":status: 200").headers(1, Last, ":status: 200"),
			log: []string{"3 200 end", "1 200 end"},
			do: func(t *testing.T, c *Conn) {
				if _, err := c.Open(nil, Last); !errors.Is(err, errBusy) {
					t.Errorf("error %v", err)
				}
			},
			out: []string{"SETTINGS", "HEADERS 1 :method=POST :scheme=http :path=/ :authority=x", "HEADERS 3 :method=POST :scheme=http :path=/ :authority=x end", "SETTINGS ack"}},
		"5.1.2: a server's bound on streams is kept to": {sends: server().frame(typeSettings, 0, 0, 0, setStreams, uint32(2)),
			do: func(t *testing.T, c *Conn) {
				if _, err := c.Open(nil, Last); !errors.Is(err, errBusy) {
					t.Errorf("error %v", err)
				}
				c.Reset(1, Cancel)
				ask(t, c, Last)
			},
			out: []string{"SETTINGS", "HEADERS 1 :method=POST :scheme=http :path=/ :authority=x", "HEADERS 3 :method=POST :scheme=http :path=/ :authority=x end", "SETTINGS ack", "SETTINGS ack",
				"RST_STREAM 1 CANCEL", "HEADERS 5 :method=POST :scheme=http :path=/ :authority=x end"}},
		"10.5.1: a server's bound on heads is kept to": {sends: server().frame(typeSettings, 0, 0, 0, setList, uint32(200)),
			do: func(t *testing.T, c *Conn) {
				if _, err := c.Open(list("a: "+strings.Repeat("b", 200)), Last); !errors.Is(err, errTooLong) {
					t.Errorf("error %v", err)
				}
				if err := c.Headers(1, list("a: "+strings.Repeat("b", 200)), Last); !errors.Is(err, errTooLong) {
					t.Errorf("error %v", err)
				}
			},
			out: []string{"SETTINGS", "HEADERS 1 :method=POST :scheme=http :path=/ :authority=x", "HEADERS 3 :method=POST :scheme=http :path=/ :authority=x end", "SETTINGS ack", "SETTINGS ack"}},
		"what comes on a stream that was reset is ignored": {sends: server(),
			do: func(t *testing.T, c *Conn) {
				c.Reset(1, Cancel)
				if err := feed(t, c, bare().headers(1, More, ":status: 200").data(1, Last, "x").frame(typeUpdate, 0, 1, uint32(9)).Bytes(), 1); err != nil {
					t.Error(err)
				}
			},
			out: []string{"SETTINGS", "HEADERS 1 :method=POST :scheme=http :path=/ :authority=x", "HEADERS 3 :method=POST :scheme=http :path=/ :authority=x end", "SETTINGS ack", "RST_STREAM 1 CANCEL"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &recorder{}
			c := NewClient(Config{}, &Pool{}, r)
			ask(t, c, More)
			ask(t, c, Last)
			if err := feed(t, c, s.sends.Bytes(), 1<<20); err != nil {
				t.Fatal(err)
			}
			if s.do != nil {
				s.do(t, c)
			}
			if diff := cmp.Diff(s.log, r.log); diff != "" {
				t.Errorf("the Handler is told (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(s.out, written(t, c)); diff != "" {
				t.Errorf("the server sees (-want +got):\n%s", diff)
			}
		})
	}
}

// TestDrainInTwoSteps serves what a client sends before it knows, and ignores what it sends after it was told the last number.
func TestDrainInTwoSteps(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	c := NewServer(Config{}, &Pool{}, r)
	w := client()
	step := func(w *wire) []string {
		t.Helper()
		if err := feed(t, c, w.Bytes(), 1<<20); err != nil {
			t.Fatal(err)
		}
		w.Reset()
		return written(t, c)
	}
	step(w.get(1))
	c.Drain()
	if diff := cmp.Diff([]string{"GOAWAY 2147483647 NO_ERROR", "PING goodbye!"}, step(w)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"GOAWAY 3 NO_ERROR"}, step(w.get(3).frame(typePing, flagAck, 0, "goodbye!"))); diff != "" {
		t.Error(diff)
	}
	step(w.post(5).data(5, Last, "x")) // is ignored
	for _, id := range []uint32{1, 3} {
		if c.Drained() {
			t.Errorf("drained before stream %d has ended", id)
		}
		c.Headers(id, list(":status: 200"), Last)
	}
	if !c.Drained() || len(r.log) != 2 {
		t.Errorf("drained: %t, told: %q", c.Drained(), r.log)
	}
}

// TestDrainOfDeafClients needs no answer: the owner's clock is enough.
func TestDrainOfDeafClients(t *testing.T) {
	t.Parallel()
	c := NewServer(Config{}, &Pool{}, &recorder{})
	c.Drain()
	c.Drain()
	c.Drain()
	if out := written(t, c); !c.Drained() || out[len(out)-1] != "GOAWAY 0 NO_ERROR" || len(out) != 4 {
		t.Errorf("drained: %t, the client sees %q", c.Drained(), out)
	}
}

// TestSameString holds what a cache of verdicts by pointer relies on: a field that HPACK's table gives again is the same
// string, not an equal one.
func TestSameString(t *testing.T) {
	t.Parallel()
	var seen []string
	r := &recorder{onHead: func(_ uint32, h *Head) { seen = append(seen, h.Fields[0].Value) }}
	c := NewServer(Config{}, &Pool{}, r)
	w := client()
	for i := range 3 {
		w.get(uint32(2*i+1), "authorization: Bearer "+strings.Repeat("x", 1000))
	}
	if err := feed(t, c, w.Bytes(), 1<<20); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 3 || unsafe.StringData(seen[0]) != unsafe.StringData(seen[1]) || unsafe.StringData(seen[0]) != unsafe.StringData(seen[2]) {
		t.Errorf("%d strings are not the same", len(seen))
	}
}

// TestTableSize keeps to whatever table the peer wants (RFC 7541 section 4.2), which a decoder of another make checks.
func TestTableSize(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	c := NewServer(Config{}, &Pool{}, r)
	dec := hpack.NewDecoder(4096, nil)
	for i, size := range []uint32{4096, 0, 100, 1 << 30} {
		id := uint32(2*i + 1)
		w := bare()
		if i == 0 {
			w = client()
		}
		if err := feed(t, c, w.frame(typeSettings, 0, 0, 0, setTable, size).frame(typeHeaders, flagEnd|flagEndHeads, id, bare().block(":method: GET", ":scheme: http", ":path: /")).Bytes(), 1<<20); err != nil {
			t.Fatal(err)
		}
		dec.SetAllowedMaxDynamicTableSize(size)
		c.Headers(id, list(":status: 200", "a: "+strings.Repeat("b", 30), "c: d"), Last)
		out := frames(t, take(c), dec)
		if want := "HEADERS " + itoa(int(id)) + " :status=200 a=" + strings.Repeat("b", 30) + " c=d end"; out[len(out)-1] != want {
			t.Errorf("after a table of %d: %q", size, out)
		}
	}
}

// TestWindowsOpenAsTheTakerTakes lets a client send as much as was agreed, and more when Took says so.
func TestWindowsOpenAsTheTakerTakes(t *testing.T) {
	t.Parallel()
	c := NewServer(Config{Window: 1000, ConnWindow: 100_000}, &Pool{}, &recorder{})
	w := client().frame(typeSettings, flagAck, 0).post(1).data(1, More, strings.Repeat("a", 1000))
	if err := feed(t, c, w.Bytes(), 100); err != nil {
		t.Fatal(err)
	}
	take(c)
	for _, s := range []struct {
		took int
		want []string
	}{{499, nil}, {1, []string{"WINDOW_UPDATE 1 500"}}, {499, nil}, {100, []string{"WINDOW_UPDATE 1 500"}}, {100, nil}} {
		c.Took(1, s.took)
		if diff := cmp.Diff(s.want, written(t, c)); diff != "" {
			t.Errorf("after %d bytes: %s", s.took, diff)
		}
	}
	if st := c.find(1); st.held != 0 || st.recv != 1000 {
		t.Errorf("%d bytes are held, the window is %d", st.held, st.recv)
	}
}

// TestWindowOfTheConnection is given back for all bytes, whatever became of their streams.
func TestWindowOfTheConnection(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	c := NewServer(Config{}, &Pool{}, r)
	if _, err := c.Feed(client().Bytes(), start); err != nil {
		t.Fatal(err)
	}
	body := strings.Repeat("a", 10_000)
	for i := range 100 {
		id := uint32(6*i + 1)
		w := bare().post(id).data(id, More, body).frame(typeReset, 0, id, uint32(Cancel)) // by the peer,
		w.post(id+2, "content-length: 9").data(id+2, More, body)                          // for a mistake,
		w.post(id+4).frame(typeData, flagPadded, id+4, 200, body, make([]byte, 200))      // by us, and then padding
		if _, err := c.Feed(w.Bytes(), start.Add(seconds(i))); err != nil {
			t.Fatalf("round %d: %v", i, err)
		}
		c.Reset(id+4, Cancel)
		if _, err := c.Feed(bare().data(id+4, More, body).Bytes(), start.Add(seconds(i))); err != nil {
			t.Fatalf("round %d: %v", i, err)
		}
		take(c)
	}
	if c.recv+c.pending != initial || c.streams.Len() != 0 {
		t.Errorf("the window is %d, and %d to be given back; %d streams", c.recv, c.pending, c.streams.Len())
	}
}

// TestQueue bounds what waits for a client's window, and says what has left.
func TestQueue(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	c := NewServer(Config{Queue: 100}, &Pool{}, r)
	if err := feed(t, c, client().frame(typeSettings, 0, 0, 0, setWindow, uint32(10)).get(1).Bytes(), 1<<20); err != nil {
		t.Fatal(err)
	}
	c.Headers(1, list(":status: 200"), More)
	p := bytes.Repeat([]byte("a"), 200)
	if n, sent := c.Data(1, p, Last); n != 110 || sent != 10 || c.room(1) != 0 {
		t.Errorf("took %d, sent %d, room for %d", n, sent, c.room(1))
	}
	if n, sent := c.Data(1, p[110:], Last); n != 0 || sent != 0 {
		t.Errorf("full, it took %d and sent %d", n, sent)
	}
	if err := feed(t, c, bare().frame(typeUpdate, 0, 1, uint32(95)).Bytes(), 1<<20); err != nil {
		t.Fatal(err)
	}
	if n, sent := c.Data(1, p[110:], Last); n != 90 || sent != 0 || c.room(1) != 0 {
		t.Errorf("took %d, sent %d, room for %d", n, sent, c.room(1))
	}
	if err := feed(t, c, bare().frame(typeUpdate, 0, 1, uint32(1000)).Bytes(), 1<<20); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1 GET http x /a end", "1 sent 95", "1 sent 95"}, r.log); diff != "" {
		t.Error(diff)
	}
	out := written(t, c)
	if diff := cmp.Diff([]string{"HEADERS 1 :status=200", "DATA 1 aaaaaaaaaa", "DATA 1 (95)", "DATA 1 (95) end"}, out[3:]); diff != "" {
		t.Error(diff)
	}
}

// TestNoStreamStarves has two streams send as fast as they may, one of them with a head start.
func TestNoStreamStarves(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	c := NewServer(Config{}, &Pool{}, r)
	if err := feed(t, c, client().frame(typeSettings, 0, 0, 0, setWindow, uint32(1<<24)).frame(typeUpdate, 0, 0, uint32(1<<24)).get(1).get(3).get(5).Bytes(), 1<<20); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 1<<20)
	sent := map[string]int{}
	pump := func(ids ...uint32) {
		for _, id := range ids {
			for range 5 { // greedily
				c.Data(id, p, More)
			}
		}
	}
	for _, id := range []uint32{1, 3, 5} {
		c.Headers(id, list(":status: 200"), More)
	}
	pump(1)
	take := func() {
		for _, s := range frames(t, c.Output(), hpack.NewDecoder(4096, nil)) {
			if f := strings.Fields(s); f[0] == "DATA" {
				sent[f[1]]++
			}
		}
		c.Wrote()
	}
	for range 100 {
		take()
		pump(1, 3, 5)
	}
	for _, id := range []string{"1", "3", "5"} {
		if sent[id] < 90 || 10*sent[id] < 9*sent["1"] {
			t.Errorf("stream %s has sent %d frames of %v", id, sent[id], sent)
		}
	}
}

// The window of the connection goes back where some streams hold most of it: others would wait for ever.
func TestWindowOfTheConnectionBesideWhatIsHeld(t *testing.T) {
	t.Parallel()
	c := NewServer(Config{}, &Pool{}, &recorder{})
	body := strings.Repeat("a", 16<<10)
	w := client().frame(typeSettings, flagAck, 0).post(1)
	for range 3 {
		w.data(1, More, body)
	}
	left := initial - 3*len(body)
	if err := feed(t, c, w.post(3).data(3, More, body[:left]).Bytes(), 1<<20); err != nil {
		t.Fatal(err)
	}
	if take(c); !c.Shut() {
		t.Errorf("the window is %d", c.recv)
	}
	c.Took(3, 100)
	got := written(t, c)
	if err := feed(t, c, bare().data(3, More, body[:100]).Bytes(), 1<<20); err != nil {
		t.Fatal(err)
	}
	c.Took(3, left)
	if diff := cmp.Diff([]string{"WINDOW_UPDATE 0 100", "WINDOW_UPDATE 0 " + itoa(left)}, append(got, written(t, c)...)); diff != "" {
		t.Errorf("the peer is told: %s", diff)
	}
}

// TestLend opens the window of the connection for what nobody has taken, up to a bound, and counts nothing twice whatever becomes of it.
func TestLend(t *testing.T) {
	t.Parallel()
	c := NewServer(Config{Streams: 100, Window: 60_000}, &Pool{}, &recorder{})
	if _, err := c.Feed(client().frame(typeSettings, flagAck, 0).Bytes(), start); err != nil {
		t.Fatal(err)
	}
	body, window := strings.Repeat("a", 10_000), c.recv+c.pending
	var ids []uint32
	for i := uint32(1); c.recv >= 60_000; i += 2 {
		w := bare().post(i)
		for range 6 {
			w.data(i, More, body)
		}
		if _, err := c.Feed(w.Bytes(), start); err != nil {
			t.Fatalf("stream %d: %v", i, err)
		}
		c.Lend(i)
		ids = append(ids, i)
		take(c)
	}
	if held := int64(len(ids)) * 60_000; held < mostLent || held > mostLent+window || c.lent != mostLent {
		t.Errorf("%d streams hold %d bytes, of which %d are lent", len(ids), held, c.lent)
	}
	for i, id := range ids {
		if i%2 == 0 {
			c.Took(id, 25_000)
			c.Took(id, 35_000)
		}
		c.Reset(id, Cancel)
	}
	if c.recv+c.pending != window || c.lent != 0 {
		t.Errorf("the window is %d of %d, %d are lent", c.recv+c.pending, window, c.lent)
	}
}

// Owners can tell how far a head is, and end a connection for it.
func TestOwnersEndConnections(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	c := NewServer(Config{}, &Pool{}, r)
	began := c.Awaits()
	if began == 0 {
		t.Error("nothing is awaited at the beginning")
	}
	for i, tt := range []struct {
		sends  []byte
		awaits uint32
		holds  bool
	}{
		{[]byte(Preface), began, false},
		{client().Bytes()[len(Preface):], 0, false},
		{client().get(1).Bytes()[len(client().Bytes()):], 0, false},
		{client().frame(typeHeaders, 0, 3, "ab").Bytes()[len(client().Bytes()):], 3, true},
	} {
		if _, err := c.Feed(tt.sends, start); err != nil {
			t.Fatal(err)
		}
		if got := c.Awaits(); got != tt.awaits || (c.Unfinished() > 0) != tt.holds {
			t.Errorf("step %d: %d is awaited, want %d; %d bytes are held", i, got, tt.awaits, c.Unfinished())
		}
	}
	if err := c.Refuse(ErrLate); !errors.Is(err, ErrLate) || c.Unfinished() != 0 {
		t.Errorf("error %v, %d bytes are held", err, c.Unfinished())
	}
	out := written(t, c)
	if last := out[len(out)-1]; !strings.HasSuffix(last, " "+EnhanceYourCalm.String()) {
		t.Errorf("the peer sees %q", out)
	}
	if n, err := c.Feed([]byte("more"), start); n != 0 || !errors.Is(err, ErrLate) {
		t.Errorf("after its end the connection takes %d bytes, error %v", n, err)
	}
}

// A HEADERS frame of which only the beginning has come is awaited, and that of the next one is another.
func TestHalfAHeadIsAwaited(t *testing.T) {
	t.Parallel()
	c := NewServer(Config{}, &Pool{}, &recorder{})
	b := client().get(1).get(3).Bytes()
	first, second := len(client().get(1).Bytes())-3, len(b)-3
	n, err := c.Feed(b[:first], start)
	if err != nil || c.Awaits() != 1 {
		t.Errorf("%d is awaited, %v", c.Awaits(), err)
	}
	if _, err = c.Feed(b[n:second], start); err != nil || c.Awaits() != 3 {
		t.Errorf("%d is awaited, %v", c.Awaits(), err)
	}
}
