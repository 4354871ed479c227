package frame

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// The fields of a unary call of gRPC, as grpc-go sends them.
var (
	callFields = []string{":method: POST", ":scheme: http", ":path: /grpc.Service/Method", ":authority: app.example:8080", "content-type: application/grpc",
		"user-agent: grpc-go/1.85.0", "te: trailers", "grpc-timeout: 1S", "authorization: Bearer " + string(bytes.Repeat([]byte("a"), 700))}
	answerFields  = []string{":status: 200", "content-type: application/grpc"}
	trailerFields = []string{"grpc-status: 0", "grpc-message: "}
)

// unary is a handler that answers calls at once.
type unary struct {
	recorder
	conn             *Conn
	answer, trailers []Field
	message          []byte
	requests         int
}

func (u *unary) Headers(uint32, *Head) { u.requests++ }
func (u *unary) Data(id uint32, p []byte, _ End) {
	u.conn.Took(id, len(p))
	_ = u.conn.Headers(id, u.answer, More)
	u.conn.Data(id, u.message, More)
	_ = u.conn.Headers(id, u.trailers, Last)
}

// call is the bytes of a call in the steady state, whose stream can be set.
type call struct {
	bytes []byte
	at    []int // of numbers of streams
}

func newCall(w *wire, fields []string, trailers []string) (first []byte, c call) {
	for range 2 {
		first, c.bytes = c.bytes, nil
		w.Reset()
		c.at = []int{5}
		w.headers(1, More, fields...)
		c.at = append(c.at, w.Len()+5)
		end := End(len(trailers) == 0)
		w.data(1, end, "\x00\x00\x00\x00\x05hello")
		if !end {
			c.at = append(c.at, w.Len()+5)
			w.headers(1, Last, trailers...)
		}
		c.bytes = bytes.Clone(w.Bytes())
	}
	return first, c
}

func (c call) on(id uint32) []byte {
	for _, at := range c.at {
		binary.BigEndian.PutUint32(c.bytes[at:], id)
	}
	return c.bytes
}

// unaryServer returns a function that does a call.
func unaryServer(t testing.TB) func() {
	u := &unary{answer: list(answerFields...), trailers: list(trailerFields...), message: []byte("\x00\x00\x00\x00\x05world")}
	u.conn = NewServer(Config{}, &Pool{}, u)
	w := bare()
	first, c := newCall(w, callFields, nil)
	id := uint32(1)
	if err := feed(t, u.conn, append(client().Bytes(), first...), 1<<20); err != nil {
		t.Fatal(err)
	}
	u.conn.Wrote()
	update := bare().frame(typeUpdate, 0, 0, uint32(1<<20)).Bytes()
	return func() {
		id += 2
		if n, err := u.conn.Feed(c.on(id), start); err != nil || n != len(c.bytes) {
			t.Fatal(n, err)
		}
		if id%1000 == 1 {
			u.conn.Feed(update, start)
		}
		if len(u.conn.Output()) < 30 || u.conn.streams.Len() != 0 {
			t.Fatal(u.conn.Output())
		}
		u.conn.Wrote()
	}
}

// asker is a handler that counts answers.
type asker struct {
	recorder
	conn  *Conn
	ended int
}

func (a *asker) Headers(uint32, *Head)           {}
func (a *asker) Data(id uint32, p []byte, _ End) { a.conn.Took(id, len(p)) }
func (a *asker) Trailers(uint32, []Field)        { a.ended++ }

func unaryClient(t testing.TB) func() {
	a := &asker{}
	a.conn = NewClient(Config{}, &Pool{}, a)
	first, c := newCall(bare(), answerFields, trailerFields)
	fields, message := list(callFields...), []byte("\x00\x00\x00\x00\x05hello")
	update := bare().frame(typeUpdate, 0, 0, uint32(1<<20)).Bytes()
	round := func(answer []byte) {
		id, err := a.conn.Open(fields, More)
		if err != nil {
			t.Fatal(err)
		}
		a.conn.Data(id, message, Last)
		a.conn.Wrote()
		if answer == nil {
			answer = c.on(id)
		}
		if n, err := a.conn.Feed(answer, start); err != nil || n != len(answer) {
			t.Fatal(n, err)
		}
		if id%1000 == 1 {
			a.conn.Feed(update, start)
		}
		a.conn.Wrote()
	}
	round(append(server().Bytes(), first...))
	if a.ended != 1 {
		t.Fatal("the call has not ended")
	}
	return func() { round(nil) }
}

// TestNoAllocs holds that a unary call of gRPC in the steady state, all its fields known to both tables, allocates nothing.
func TestNoAllocs(t *testing.T) {
	for name, round := range map[string]func(){"server": unaryServer(t), "client": unaryClient(t)} {
		for range 1000 {
			round()
		}
		if n := testing.AllocsPerRun(2000, round); n != 0 {
			t.Errorf("%s: a call allocates %g times", name, n)
		}
	}
}

// BenchmarkUnary is a call in the role of a server and of a client, and the server's part with x/net's Framer, which knows
// neither streams nor windows.
func BenchmarkUnary(b *testing.B) {
	for name, make := range map[string]func(testing.TB) func(){"server": unaryServer, "client": unaryClient} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			round := make(b)
			for b.Loop() {
				round()
			}
		})
	}
	b.Run("framer of x/net", func(b *testing.B) {
		b.ReportAllocs()
		first, c := newCall(bare(), callFields, nil)
		var in bytes.Buffer
		var block bytes.Buffer
		fr, enc := http2.NewFramer(io.Discard, &in), hpack.NewEncoder(&block)
		fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		fr.SetReuseFrames()
		answer, trailers := list(answerFields...), list(trailerFields...)
		write := func(id uint32, fields []Field, end bool) {
			block.Reset()
			for _, f := range fields {
				enc.WriteField(f)
			}
			fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: end})
		}
		in.Write(first)
		fr.ReadFrame()
		fr.ReadFrame()
		for id := uint32(3); b.Loop(); id += 2 {
			in.Write(c.on(id))
			for range 2 {
				if _, err := fr.ReadFrame(); err != nil {
					b.Fatal(err)
				}
			}
			write(id, answer, false)
			fr.WriteData(id, false, []byte("\x00\x00\x00\x00\x05world"))
			write(id, trailers, true)
		}
	})
}
