package frame

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// wire is what a peer sends, right or wrong.
type wire struct {
	bytes.Buffer
	table bytes.Buffer
	enc   *hpack.Encoder
}

// client is a peer that has sent its preface and empty SETTINGS; server one that has sent SETTINGS.
func client() *wire { return bare().text(Preface).frame(typeSettings, 0, 0) }
func server() *wire { return bare().frame(typeSettings, 0, 0) }

func bare() *wire {
	w := &wire{}
	w.enc = hpack.NewEncoder(&w.table)
	return w
}

func (w *wire) text(s string) *wire {
	w.WriteString(s)
	return w
}

// frame appends a frame; its payload is made of bytes, strings, uint32 in network order and []byte.
func (w *wire) frame(typ, flags byte, id uint32, payload ...any) *wire {
	var p []byte
	for _, v := range payload {
		switch v := v.(type) {
		case int:
			p = append(p, byte(v))
		case string:
			p = append(p, v...)
		case uint32:
			p = binary.BigEndian.AppendUint32(p, v)
		case []byte:
			p = append(p, v...)
		default:
			panic(fmt.Sprintf("%T", v))
		}
	}
	w.Write([]byte{byte(len(p) >> 16), byte(len(p) >> 8), byte(len(p)), typ, flags})
	w.Write(binary.BigEndian.AppendUint32(nil, id))
	w.Write(p)
	return w
}

// block encodes fields, given as "name: value".
func (w *wire) block(fields ...string) []byte {
	w.table.Reset()
	for _, f := range list(fields...) {
		w.enc.WriteField(f)
	}
	return bytes.Clone(w.table.Bytes())
}

func (w *wire) headers(id uint32, end End, fields ...string) *wire {
	flags := byte(flagEndHeads)
	if end {
		flags |= flagEnd
	}
	return w.frame(typeHeaders, flags, id, w.block(fields...))
}

func (w *wire) get(id uint32, fields ...string) *wire {
	return w.headers(id, Last, append(slices.Clone(getFields), fields...)...)
}

func (w *wire) post(id uint32, fields ...string) *wire {
	return w.headers(id, More, append(slices.Clone(postFields), fields...)...)
}

func (w *wire) data(id uint32, end End, p string) *wire {
	flags := byte(0)
	if end {
		flags = flagEnd
	}
	return w.frame(typeData, flags, id, p)
}

func (w *wire) times(n int, do func(w *wire, i int)) *wire {
	for i := range n {
		do(w, i)
	}
	return w
}

var (
	getFields  = []string{":method: GET", ":scheme: http", ":path: /a", ":authority: x"}
	postFields = []string{":method: POST", ":scheme: http", ":path: /a", ":authority: x"}
)

// list reads fields, given as "name: value".
func list(fields ...string) []Field {
	var l []Field
	for _, f := range fields {
		i := strings.Index(f[1:], ":") + 1
		l = append(l, Field{Name: f[:i], Value: strings.TrimPrefix(f[i+1:], " ")})
	}
	return l
}

func shown(fields []Field) string {
	var b strings.Builder
	for _, f := range fields {
		b.WriteString(" " + f.Name + "=" + f.Value)
	}
	return b.String()
}

func ending(end End) string {
	if end {
		return " end"
	}
	return ""
}

// recorder writes down what it is told, and answers as a test wants.
type recorder struct {
	log    []string
	whys   map[uint32]error
	onHead func(id uint32, h *Head)
	onData func(id uint32, p []byte, end End)
}

func (r *recorder) note(format string, args ...any) {
	r.log = append(r.log, fmt.Sprintf(format, args...))
}

func (r *recorder) Headers(id uint32, h *Head) {
	switch {
	case h.Over:
		r.note("%d too large", id)
		return
	case h.Method != "":
		r.note("%d %s %s %s %s%s%s", id, h.Method, h.Scheme, h.Authority, h.Path, shown(h.Fields), ending(h.End))
	default:
		r.note("%d %d%s%s", id, h.Status, shown(h.Fields), ending(h.End))
	}
	if r.onHead != nil {
		r.onHead(id, h)
	}
}

// Data notes the beginning of what one call after the other is told of a stream: pieces of a frame are told of as they come.
func (r *recorder) Data(id uint32, p []byte, end End) {
	const most = 100 // bytes of a line
	line := fmt.Sprintf("%d data ", id)
	if last := len(r.log) - 1; last >= 0 && strings.HasPrefix(r.log[last], line) {
		line, r.log = r.log[last], r.log[:last]
	}
	shown := p[:min(len(p), max(0, most-len(line)))]
	r.log = append(r.log, line+string(shown)+ending(end))
	if r.onData != nil {
		r.onData(id, p, end)
	}
}

func (r *recorder) Trailers(id uint32, fields []Field) { r.note("%d trailers%s", id, shown(fields)) }

func (r *recorder) Reset(id uint32, code Code, why error) {
	if why == nil {
		r.note("%d reset by the peer: %s", id, code)
		return
	}
	if r.whys == nil {
		r.whys = map[uint32]error{}
	}
	r.whys[id] = why
	r.note("%d reset: %s", id, code)
}

func (r *recorder) Sent(id uint32, n int) { r.note("%d sent %d", id, n) }

// room is how many bytes Data takes of a stream at least.
func (c *Conn) room(id uint32) int {
	st := c.find(id)
	if st == nil || bool(st.sent) || st.ending || c.err != nil {
		return 0
	}
	return max(0, c.cfg.Queue-st.queued())
}

var start = time.Unix(1e9, 0)

// feed has a connection take bytes, all at once or in pieces of a size, as somebody who reads from a socket would.
func feed(t testing.TB, c *Conn, p []byte, piece int) error {
	t.Helper()
	var buf []byte
	for len(p) > 0 {
		k := min(piece, len(p))
		buf = append(buf, p[:k]...)
		p = p[k:]
		n, err := c.Feed(buf, start)
		if err != nil {
			return err
		}
		buf = append(buf[:0], buf[n:]...)
		if len(buf) > frameHead+maxFrame && !c.Full() {
			t.Fatalf("%d bytes are left", len(buf))
		}
	}
	return nil
}

// written takes all output as text, a line for each frame.
func written(t testing.TB, c *Conn) []string {
	t.Helper()
	return frames(t, take(c), hpack.NewDecoder(4096, nil))
}

// take takes all output.
func take(c *Conn) []byte {
	var all []byte
	for len(c.Output()) > 0 {
		all = append(all, c.Output()...)
		c.Wrote()
	}
	return all
}

func frames(t testing.TB, b []byte, dec *hpack.Decoder) (lines []string) {
	t.Helper()
	b = bytes.TrimPrefix(b, []byte(Preface))
	r := http2.NewFramer(nil, bytes.NewReader(b))
	r.ReadMetaHeaders = dec
	for {
		f, err := r.ReadFrame()
		if err != nil {
			return lines
		}
		var s string
		switch f := f.(type) {
		case *http2.SettingsFrame:
			s = "SETTINGS"
			if f.IsAck() {
				s += " ack"
			}
		case *http2.RSTStreamFrame:
			s = fmt.Sprintf("RST_STREAM %d %v", f.StreamID, f.ErrCode)
		case *http2.GoAwayFrame:
			s = fmt.Sprintf("GOAWAY %d %v", f.LastStreamID, f.ErrCode)
		case *http2.DataFrame:
			s = fmt.Sprintf("DATA %d %s", f.StreamID, f.Data())
			if len(f.Data()) > 20 {
				s = fmt.Sprintf("DATA %d (%d)", f.StreamID, len(f.Data()))
			}
			s += ending(End(f.StreamEnded()))
		case *http2.MetaHeadersFrame:
			s = fmt.Sprintf("HEADERS %d%s%s", f.StreamID, shown(f.Fields), ending(End(f.StreamEnded())))
		case *http2.WindowUpdateFrame:
			s = fmt.Sprintf("WINDOW_UPDATE %d %d", f.StreamID, f.Increment)
		case *http2.PingFrame:
			s = "PING " + string(f.Data[:])
			if f.IsAck() {
				s = "PING ack " + string(f.Data[:])
			}
		default:
			s = f.Header().String()
		}
		lines = append(lines, s)
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
