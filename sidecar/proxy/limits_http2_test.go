package proxy

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// wire2 is a client of HTTP/2 that sends what no client should.
type wire2 struct {
	*http2.Framer
	conn  net.Conn
	block bytes.Buffer
	enc   *hpack.Encoder
}

// preface opens a connection.
func preface(t *testing.T, addr string, settings ...http2.Setting) *wire2 {
	t.Helper()
	w := hello(t, addr, settings...)
	w.ready(t)
	return w
}

// hello opens a connection, and sends what is sent first.
func hello(t *testing.T, addr string, settings ...http2.Setting) *wire2 {
	t.Helper()
	w := &wire2{conn: dial(t, addr)}
	w.Framer, w.enc = http2.NewFramer(w.conn, w.conn), hpack.NewEncoder(&w.block)
	first := bytes.NewBufferString(http2.ClientPreface)
	_ = http2.NewFramer(first, nil).WriteSettings(settings...)
	_, _ = w.conn.Write(first.Bytes()) // at once, since there may be little time for it
	return w
}

// ready returns when all that has been sent has been read.
func (w *wire2) ready(t *testing.T) {
	t.Helper()
	for {
		f, err := w.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if f, ok := f.(*http2.SettingsFrame); ok && !f.IsAck() {
			_ = w.WriteSettingsAck()
			_ = w.WritePing(false, [8]byte{1})
		}
		if f, ok := f.(*http2.PingFrame); ok && f.IsAck() {
			return
		}
	}
}

// fields is a block of a request's fields.
func (w *wire2) fields(method, path string, more ...string) []byte {
	w.block.Reset()
	all := append([]string{":method", method, ":scheme", "http", ":authority", "a", ":path", path}, more...)
	for i := 0; i < len(all); i += 2 {
		_ = w.enc.WriteField(hpack.HeaderField{Name: all[i], Value: all[i+1], Sensitive: true})
	}
	return w.block.Bytes()
}

// open begins a request whose body is to come.
func (w *wire2) open(id uint32, path string) error {
	return w.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: w.fields("POST", path), EndHeaders: true})
}

// end reads until the connection ends or a stream does, and says how.
func (w *wire2) end() string {
	dec := hpack.NewDecoder(4096, nil)
	for {
		f, err := w.ReadFrame()
		if err != nil {
			return "closed"
		}
		switch f := f.(type) {
		case *http2.HeadersFrame:
			fields, _ := dec.DecodeFull(f.HeaderBlockFragment())
			return fields[0].Value
		case *http2.RSTStreamFrame:
			return f.ErrCode.String()
		case *http2.GoAwayFrame:
			return "GOAWAY " + f.ErrCode.String()
		}
	}
}

// holding is an app that holds requests until they are given up, and counts them.
func holding(t *testing.T) (url string, open, all *atomic.Int64) {
	t.Helper()
	open, all = &atomic.Int64{}, &atomic.Int64{}
	a := app(t, func(_ http.ResponseWriter, r *http.Request) {
		open.Add(1)
		all.Add(1)
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			<-r.Context().Done()
		}
		open.Add(-1)
	})
	return a.URL, open, all
}

func TestHTTP2Streams(t *testing.T) {
	t.Parallel()
	url, open, _ := holding(t)
	g := protect(t, url, func(c *Config) { c.Limits = Limits{Streams: 5, Drain: time.Second} })
	w := preface(t, g.addr)
	for i := range uint32(6) {
		_ = w.open(2*i+1, "/docs/a")
	}
	if got := w.end(); got != "REFUSED_STREAM" {
		t.Errorf("the sixth request: %s", got)
	}
	eventually(t, "five requests get to the app", func() bool { return open.Load() == 5 })
	_ = w.conn.Close()
	eventually(t, "the app is told that all are given up", func() bool { return open.Load() == 0 })
}

// Opening requests and giving them up at once (CVE-2023-44487) ends the connection after a number of them, and none is
// left with the app.
func TestHTTP2RapidReset(t *testing.T) {
	t.Parallel()
	url, open, all := holding(t)
	g := protect(t, url, func(c *Config) { c.Limits = Limits{Resets: 20, Drain: time.Second} })
	w := preface(t, g.addr)
	go func() { _, _ = io.Copy(io.Discard, w.conn) }()
	sent := 0
	for err := error(nil); err == nil && sent < 1_000_000; sent++ {
		if err = w.open(uint32(2*sent+1), "/docs/a"); err == nil {
			err = w.WriteRSTStream(uint32(2*sent+1), http2.ErrCodeCancel)
		}
	}
	if sent == 1_000_000 {
		t.Error("the connection goes on")
	}
	eventually(t, "the app is told that all are given up", func() bool { return open.Load() == 0 })
	if n := all.Load(); n > 300 {
		t.Errorf("%d requests got to the app", n)
	}
	eventually(t, "the connection's place is free", func() bool {
		g.observer.mu.Lock()
		defer g.observer.mu.Unlock()
		return g.observer.conns == 0
	})
}

// A head must end: in frames of CONTINUATION (CVE-2023-45288), in many small fields, in one large one.
func TestHTTP2Heads(t *testing.T) {
	t.Parallel()
	url, requests := counting(t)
	g := protect(t, url, func(c *Config) { c.Limits = Limits{HeadBytes: 2048, Fields: 20, URL: 100, Drain: time.Second} })
	heads := func(more ...string) string {
		w := preface(t, g.addr)
		_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.fields("GET", "/docs/a", more...), EndHeaders: true, EndStream: true})
		return w.end()
	}
	if got := heads("x", "y"); got != "200" {
		t.Fatalf("a small head: %s", got)
	}
	if got := heads("x", strings.Repeat("y", 1500), "z", strings.Repeat("y", 1500)); got != "431" {
		t.Errorf("large fields: %s", got)
	}
	if got := heads(strings.Split(strings.Repeat("x,y,", 21)+"x,y", ",")...); got != "431" {
		t.Errorf("22 fields: %s", got)
	}
	if got := heads(strings.Split(strings.Repeat("x,y,", 2000)+"x,y", ",")...); got != "431" {
		t.Errorf("2,000 fields: %s", got)
	}

	w := preface(t, g.addr)
	_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.fields("GET", "/docs/a"), EndStream: true})
	go func() { _, _ = io.Copy(io.Discard, w.conn) }()
	sent := 0
	for err := error(nil); err == nil && sent < 100<<20; {
		w.block.Reset()
		_ = w.enc.WriteField(hpack.HeaderField{Name: "x", Value: strings.Repeat("y", 1000)})
		sent += w.block.Len()
		err = w.WriteContinuation(1, false, w.block.Bytes())
	}
	if sent >= 100<<20 {
		t.Error("100 MiB of CONTINUATION are read")
	}
	if n := requests.Load(); n != 1 {
		t.Errorf("the app got %d requests", n)
	}
}

// A client whose window takes a byte at a time gets its answer, and one that opens none holds up nobody else.
func TestHTTP2TinyWindows(t *testing.T) {
	t.Parallel()
	a := app(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "0123456789") })
	g := protect(t, a.URL, func(c *Config) { c.Limits = Limits{Drain: time.Second, Idle: time.Second} })
	shut := preface(t, g.addr, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	for i := range uint32(100) {
		_ = shut.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: shut.fields("GET", "/docs/a"), EndHeaders: true, EndStream: true})
	}
	w := preface(t, g.addr, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1})
	_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.fields("GET", "/docs/a"), EndHeaders: true, EndStream: true})
	var got []byte
	for {
		f, err := w.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if d, ok := f.(*http2.DataFrame); ok {
			got = append(got, d.Data()...)
			if d.StreamEnded() {
				break
			}
			_ = w.WriteWindowUpdate(1, 1)
		}
	}
	if string(got) != "0123456789" {
		t.Errorf("got %q", got)
	}
	if res, body := ask(t, client(t, true), request(t, "GET", "http://"+g.addr+"/docs/a", nil)); res.StatusCode != 200 || body != "0123456789" {
		t.Errorf("another client: %d %q", res.StatusCode, body)
	}
}

// A client that reads nothing from its socket is cut off after --write-timeout. It asks again and again, as a single answer
// may be given up before the kernel has no room for it.
func TestHTTP2LimitOfWriting(t *testing.T) {
	t.Parallel()
	next := make(chan struct{}, 1)
	next <- struct{}{}
	a := app(t, func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				next <- struct{}{}
				return
			}
		}
	})
	g := protect(t, a.URL, func(c *Config) { c.Limits = Limits{Write: short, Drain: time.Second} })
	w := preface(t, g.addr, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1})
	_ = w.conn.(*net.TCPConn).SetReadBuffer(4096)
	_ = w.WriteWindowUpdate(0, 1<<30)
	go func() {
		for id := uint32(1); ; id += 2 {
			select {
			case <-next:
				_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: w.fields("GET", "/docs/a"), EndHeaders: true, EndStream: true})
			case <-t.Context().Done():
				return
			}
		}
	}()
	eventually(t, "the connection is closed", func() bool {
		g.observer.mu.Lock()
		defer g.observer.mu.Unlock()
		return g.observer.conns == 0
	})
}

// Connections of HTTP/2 on which nothing happens end like others.
func TestHTTP2LimitsOfTime(t *testing.T) {
	t.Parallel()
	url, _ := counting(t)
	g := protect(t, url, func(c *Config) { c.Limits = Limits{ReadHead: short, Idle: short, Drain: time.Second} })
	for name, send := range map[string]string{"half a preface": http2.ClientPreface[:10], "a preface alone": http2.ClientPreface} {
		c := dial(t, g.addr)
		_, _ = io.WriteString(c, send)
		if _, err := io.ReadAll(c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	g = protect(t, url, func(c *Config) { c.Limits = Limits{Idle: 3 * time.Second, Drain: time.Second} }) // so that a slow machine can ask before
	w := preface(t, g.addr)
	_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.fields("GET", "/docs/a"), EndHeaders: true, EndStream: true})
	if got := w.end(); got != "200" {
		t.Fatalf("got %s", got)
	}
	for _, want := range []string{"GOAWAY NO_ERROR", "closed"} {
		if got := w.end(); got != want {
			t.Errorf("idle: %s, want %s", got, want)
		}
	}
}
