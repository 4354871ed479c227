package client

import (
	"strings"
	"sync/atomic"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/frame"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
)

// Count counts requests. It is safe for concurrent use.
type Count struct {
	// Most is how many there may be; 0: as many as there are.
	Most int64

	n atomic.Int64
}

// Enter counts one more, and returns false if there is no room for it.
func (c *Count) Enter() bool {
	if n := c.n.Add(1); c.Most == 0 || n <= c.Most {
		return true
	}
	c.n.Add(-1)
	return false
}

// Leave counts one less.
func (c *Count) Leave() { c.n.Add(-1) }

// Now is how many there are.
func (c *Count) Now() int64 { return c.n.Load() }

// begin begins a call.
func (c *HTTP2) begin(id uint32) (*call, *exchange.Exchange) {
	c.late = 0
	c.timer.Rest()
	k := c.shared.calls.Take()
	*k = call{c: c, id: id}
	k.x = c.of.New(k)
	k.x.HTTP2 = true
	c.calls.Add(id, k)
	c.touch()
	return k, k.x
}

// mostCalls is how many calls are kept to be used again.
const mostCalls = 1024

// drop takes a call back. What is on the way out of it may still look at it, before the next one begins.
func (s *Shared) drop(k *call) {
	s.calls.Give(k, mostCalls)
}

// Headers implements frame.Handler.
func (c *HTTP2) Headers(id uint32, h *frame.Head) {
	if c.host.Leaving() { // not before: a client that is told to go before it has asked may take its request for lost
		c.Clear(true)
	}
	k, x := c.begin(id)
	if h.Over {
		x.Req.Method = []byte(h.Method)
		x.Reject(head.ErrTooLarge)
		return
	}
	if err := c.read(h, &x.Req); err != nil {
		x.Reject(err)
		return
	}
	k.stream = exchange.Streams(x)
	if k.counted = c.shared.Requests.Enter(); !k.counted {
		x.Decline(decision.Overloaded)
		return
	}
	x.Begin()
}

// read makes of a head what HTTP/1.1 would have made of it: the same grammar holds.
func (c *HTTP2) read(h *frame.Head, r *head.Request) error {
	target := h.Path
	if h.Method == "CONNECT" {
		target = h.Authority
	}
	r.Take(h.Method, target, h.Authority)
	trailers := readFields(h.Fields, r)
	length := h.Length
	switch {
	case bool(h.End):
		if length = 0; h.Length < 0 && expectsBody(h.Method) {
			r.Fields = append(r.Fields, head.FieldOf("content-length", "0")) // RFC 9110 section 8.6
		}
	case trailers && length >= 0: // HTTP/1.1 has them behind chunks alone
		r.Fields = dropLength(r.Fields)
		length = -1
	}
	if err := r.Complete(length); err != nil {
		return err
	}
	if l := c.host.Limits.Target; l > 0 && len(r.Target) > l {
		return head.ErrTarget
	}
	return nil
}

// readFields adds the fields to a head, which has the host already, and reports whether trailers are announced.
func readFields(fields []frame.Field, r *head.Request) (trailers bool) {
	cookies := 0
	for i := range fields {
		f := head.FieldOf(fields[i].Name, fields[i].Value)
		switch f.Kind {
		case head.Host:
			continue
		case head.Cookie:
			cookies++
		case head.Trailer:
			trailers = true
		default:
		}
		r.Fields = append(r.Fields, f)
	}
	if cookies > 1 {
		joinCookies(r)
	}
	return trailers
}

func expectsBody(method string) bool {
	switch method {
	case "POST", "PUT", "PATCH":
		return true
	}
	return false
}

// joinCookies makes one field of those that a client has split a cookie into (RFC 9113 section 8.2.3).
func joinCookies(r *head.Request) {
	var all strings.Builder
	kept := r.Fields[:0]
	at := -1
	for _, f := range r.Fields {
		if f.Kind != head.Cookie {
			kept = append(kept, f)
			continue
		}
		if at < 0 {
			at = len(kept)
			kept = append(kept, f)
		} else {
			all.WriteString("; ")
		}
		all.Write(f.Value)
	}
	kept[at] = head.FieldOf("cookie", all.String())
	r.Fields = kept
}

func dropLength(fields []head.Field) []head.Field {
	kept := fields[:0]
	for _, f := range fields {
		if f.Kind != head.ContentLength {
			kept = append(kept, f)
		}
	}
	return kept
}

// Data implements frame.Handler.
func (c *HTTP2) Data(id uint32, p []byte, end frame.End) {
	k := c.calls.Get(id)
	if k == nil {
		c.frames.Took(id, len(p))
		return
	}
	k.pace.came += int64(len(p))
	if len(p) > 0 {
		k.in.Data(k, p)
	}
	if end {
		k.in.End(k, nil)
	}
	k.paces()
	c.lends(id)
}

// Trailers implements frame.Handler.
func (c *HTTP2) Trailers(id uint32, fields []frame.Field) {
	k := c.calls.Get(id)
	if k == nil {
		return
	}
	trailers := k.trailers[:0]
	for i := range fields {
		trailers = append(trailers, head.FieldOf(fields[i].Name, fields[i].Value))
	}
	k.in.End(k, trailers)
	k.paces()
}

// Reset implements frame.Handler.
func (c *HTTP2) Reset(id uint32, _ frame.Code, _ error) {
	if k := c.calls.Get(id); k != nil {
		c.calls.Remove(id)
		k.lost()
	}
}

// Sent implements frame.Handler.
func (c *HTTP2) Sent(id uint32, n int) {
	if k := c.calls.Get(id); k != nil {
		k.goes(n)
	}
}
