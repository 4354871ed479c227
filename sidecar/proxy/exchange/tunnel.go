package exchange

import (
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// upgradable returns the protocol that the app may be offered to switch to; empty: none. One to another version of HTTP, or to TLS, would carry
// requests past the gate; a choice of protocols is not offered.
func upgradable(r *head.Request) string {
	if len(r.Upgrade) == 0 || r.Length > 0 || r.Chunked {
		return ""
	}
	protocol := strings.ToLower(string(r.Upgrade))
	for _, other := range [...]string{"h2", "h3", "http", "tls", "ssl"} {
		if strings.HasPrefix(protocol, other) {
			return ""
		}
	}
	if strings.ContainsAny(protocol, ", \t") {
		return ""
	}
	return string(r.Upgrade)
}

// Upgrade is the protocol that the app may switch to; empty: none.
func (x *Exchange) Upgrade() string { return x.upgrade }

// Switches takes an answer that switches protocols, of an app that gives its connection up, from which rest has been read already. It returns
// false if nobody asked for it.
func (x *Exchange) Switches(r *head.Response, app *loop.Conn, rest []byte) bool {
	if x.upgrade == "" || !strings.EqualFold(string(r.Upgrade), x.upgrade) {
		return false
	}
	x.host.Loop.Stop(&x.timer)
	x.app, x.res, x.status = nil, r, r.Status
	if protocol := x.verdict.Edit.AnswerProtocol; protocol != "" && !names(r.Fields, "Sec-WebSocket-Protocol") {
		r.Fields = append(r.Fields, head.Field{Name: []byte("Sec-WebSocket-Protocol"), Value: []byte(protocol)})
	}
	client := x.client.Switch(x, &Answer{Status: r.Status, Text: r.StatusText, None: true, x: x})
	x.res = nil
	if client == nil {
		app.Close()
		x.verdict.Reason = reasonOf(head.ErrRequestLine)
		x.fail(x.verdict.Reason, head.ErrRequestLine)
		return true
	}
	t := &tunnel{x: x, client: client, app: app, websocket: strings.EqualFold(x.upgrade, "websocket")}
	x.step, x.told, x.whole = stepTunnel, true, true
	x.endTrace() // a tunnel may stay open for days
	x.trace = nil
	until := x.verdict.Until
	x.forget()
	x.expiry.Do = func() { x.client.Guard(func() { t.expire(until) }) }
	x.host.tunnels[t] = struct{}{}
	if x.host.leaving {
		t.leaving = closeGoingAway // the close frame follows the answer
	}
	client.Handle(&direction{tunnel: t, from: client, to: app})
	app.Handle(&direction{tunnel: t, from: app, to: client, down: true})
	t.tell()
	t.down(rest)
	client.Again()
	app.Again()
	return true
}

func names(fields []head.Field, name string) bool {
	for i := range fields {
		if strings.EqualFold(text(fields[i].Name), name) {
			return true
		}
	}
	return false
}

// tunnel carries bytes both ways until both ends have closed their sides. Each direction ends by itself, so that an end may close
// its side and still listen.
type tunnel struct {
	x           *Exchange
	client, app *loop.Conn
	websocket   bool
	frames      Frames // of what the app says
	leaving     uint16 // the status of the close frame to send; 0: none
	closed      bool   // a close frame has been sent: nothing may follow
	over        bool
	ended       int // directions
}

// direction is one end of a tunnel, which it reads from.
type direction struct {
	*tunnel
	from, to *loop.Conn
	down     bool // from the app to the client
	eof      bool
}

// Connected implements loop.Handler.
func (*direction) Connected(*loop.Conn, error) {}

// Failed implements loop.Handler. What an app has said before it took no more, the client gets.
func (d *direction) Failed(c *loop.Conn, err error) {
	if d.over || d.eof || !d.down || !c.ReadOn(err) {
		d.end()
		return
	}
	d.to.Again() // what the client says is read on, and dropped
}

// Drained implements loop.Handler: what is read on the other side can be written again.
func (d *direction) Drained(*loop.Conn) { d.to.Again() }

// turn is how many pieces are passed on before others have their turn.
const turn = 16

// Readable implements loop.Handler.
func (d *direction) Readable(c *loop.Conn) {
	if d.eof && !d.over && c.Side()&loop.Gone != 0 { // nobody takes what goes the other way
		d.end()
		return
	}
	for pieces := 0; !d.eof && !d.over && !loop.Enough(d.to.Queued()); pieces++ {
		if pieces == turn {
			c.Again()
			return
		}
		b, err := c.Read()
		if len(b) > 0 {
			if d.down {
				d.tunnel.down(b)
			} else {
				d.to.Write(b)
			}
			continue
		}
		if err != nil {
			d.eof = true
			d.shut(c.Side()&loop.Gone != 0)
		}
		return
	}
}

// shut ends one direction.
func (d *direction) shut(gone bool) {
	d.ended++
	if gone || d.ended == 2 || d.down && d.websocket && (d.closed || d.frames.Closing) {
		// A WebSocket's server closes first (RFC 6455 section 7.1.1).
		d.end()
		return
	}
	d.to.CloseWrite()
}

// down passes on what the app says. Once the proxy drains, a WebSocket gets a close frame after the frame that is being sent, and
// nothing more.
func (t *tunnel) down(b []byte) {
	if !t.websocket {
		t.client.Write(b)
		return
	}
	for len(b) > 0 && !t.closed {
		n := t.frames.Scan(b)
		t.client.Write(b[:n])
		b = b[n:]
		t.tell()
	}
}

// Status codes of close frames (RFC 6455 section 7.4.1).
const (
	closeGoingAway = 1001
	closePolicy    = 1008
)

// leave asks the client of a WebSocket to go.
func (t *tunnel) leave(status uint16) {
	t.leaving = status
	t.tell()
}

// tell sends the close frame, unless a frame is half sent or the app has closed already. The client's own close frame, which it
// must answer with, tells the app.
func (t *tunnel) tell() {
	if !t.websocket || t.leaving == 0 || t.closed || t.frames.Inside() || t.frames.Closing {
		return
	}
	t.closed = true
	t.client.Write([]byte{0x88, 2, byte(t.leaving >> 8), byte(t.leaving)})
}

// expire ends what goes on although its token has expired. A WebSocket's client is told why.
func (t *tunnel) expire(until time.Time) {
	if !t.x.expired(until) {
		return
	}
	t.leave(closePolicy)
	t.end()
}

// end ends both directions, once what has been said is written.
func (t *tunnel) end() {
	if t.over {
		return
	}
	t.over = true
	delete(t.x.host.tunnels, t)
	t.app.CloseWrite()
	t.x.host.Leave(t.app)
	t.x.over() // the client's end closes it
}
