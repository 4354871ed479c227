package relay

import (
	"io"
	"net"
	"net/http"
	"net/textproto"

	ends "github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
)

// reply passes on the final answer, whose head is the first n bytes that u holds. It returns false if the answer breaks
// off.
func (c *call) reply(u *upstream, n int) bool {
	x := c.x
	x.status = x.res.Status
	f := x.framing()
	chunks := head.Chunks{DataOnly: true}
	var err error
	var kept, used int
	if f == frameChunked {
		if kept, used, err = chunks.Take(u.in.buf.bytes()[n:]); err != nil {
			return c.fail("", err)
		}
	}
	c.writeHead()
	u.in.buf.take(n)
	switch f {
	case frameLength:
		err = c.copyLength(u)
	case frameChunked:
		err = c.copyChunks(u, &chunks, kept, used)
	case frameToChunk:
		err = c.copyToEnd(u)
	default:
	}
	if err != nil {
		_ = c.flush() // what there is of it, the client gets
		return false
	}
	if c.ending() != endNot {
		return false
	}
	if c.body.stop(c) && u.done() && x.res.KeepAlive && f != frameToChunk {
		if u := c.let(); u != nil {
			c.h.keep(u)
		}
	}
	return true
}

// writeHead gives the server the head of an answer.
func (c *call) writeHead() {
	x := c.x
	h := c.w.Header()
	size := 0
	for i := range x.res.Fields {
		size += len(x.res.Fields[i].Value)
	}
	// What u holds may be overwritten before the server writes.
	held, values := make([]byte, 0, size), make([]string, 0, len(x.res.Fields))
	trailers := false
	for i := range x.res.Fields {
		f := &x.res.Fields[i]
		if !x.returns(f) {
			continue
		}
		trailers = trailers || f.Kind == head.Trailer
		from := len(held)
		held = append(held, f.Value...)
		name, value := canonical(f.Name), text(held[from:])
		if old := h[name]; old != nil {
			h[name] = append(old, value)
			continue
		}
		values = append(values, value)
		h[name] = values[len(values)-1 : len(values) : len(values)]
	}
	if x.res.Status >= 200 {
		for _, f := range x.cors.Set {
			h.Add(f.Name, f.Value)
		}
	}
	for _, name := range [...]string{"Content-Type", "Content-Length"} {
		if x.res.Status >= 200 && h[name] == nil {
			h[name] = nil // not to be guessed
		}
	}
	c.w.WriteHeader(x.res.Status)
	if trailers {
		clear(h) // what the server holds now would be trailers
	}
}

// canonical is the name as net/http's maps have it.
func canonical(name []byte) string {
	if known, ok := canonicals[string(name)]; ok {
		return known
	}
	return textproto.CanonicalMIMEHeaderKey(string(name))
}

// write writes a piece of the body to the client.
func (c *call) write(b []byte) error {
	for len(b) > 0 {
		if !c.enter(phaseWriting) {
			return net.ErrClosed
		}
		n, err := c.w.Write(b[:min(len(b), mediumBlock)])
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// flush sends on what has been written.
func (c *call) flush() error {
	if !c.enter(phaseWriting) {
		return io.ErrUnexpectedEOF
	}
	return http.NewResponseController(c.w).Flush()
}

// more reads more of the app's answer; the end is an error. What has been written goes out before this waits.
func (c *call) more(u *upstream, left int64) error {
	if left > mediumBlock && u.in.want < largeBlock {
		u.in.want = largeBlock
		defer func() { u.in.want = mediumBlock }()
	}
	read, err := u.in.poll()
	if !read && err == nil {
		if err := c.flush(); err != nil {
			return err
		}
		if !c.enter(phaseStream) {
			return io.ErrUnexpectedEOF
		}
		err = u.in.fill()
	}
	if err == io.EOF { //nolint:errorlint // stream returns it as it is
		return io.ErrUnexpectedEOF
	}
	return err
}

// copyLength copies a body of known length.
func (c *call) copyLength(u *upstream) error {
	for left := c.x.res.Length; left > 0; {
		if u.in.buf.len() == 0 {
			if err := c.more(u, left); err != nil {
				return err
			}
		}
		n := int(min(left, int64(u.in.buf.len())))
		if err := c.write(u.in.buf.bytes()[:n]); err != nil {
			return err
		}
		u.in.buf.take(n)
		left -= int64(n)
	}
	return nil
}

// copyChunks copies the data of a body in chunks, and the trailers. What u holds has been taken: its first kept bytes are
// data, of the first used bytes.
func (c *call) copyChunks(u *upstream, chunks *head.Chunks, kept, used int) (err error) {
	for {
		if err := c.write(u.in.buf.bytes()[:kept]); err != nil {
			return err
		}
		u.in.buf.take(used)
		if chunks.Ended() {
			return c.copyTrailers(u)
		}
		if err := c.more(u, mediumBlock+1); err != nil {
			return err
		}
		if kept, used, err = chunks.Take(u.in.buf.bytes()); err != nil {
			return err
		}
	}
}

// copyTrailers copies the trailer section but for fields that frame or route a message (RFC 9110 section 6.5.1).
func (c *call) copyTrailers(u *upstream) error {
	end, err := c.x.trailers(u, func() error { return c.more(u, 0) })
	if err != nil {
		return err
	}
	for i := range c.x.res.Fields {
		if f := &c.x.res.Fields[i]; ends.Trails(f.Kind) {
			name := http.TrailerPrefix + canonical(f.Name)
			c.w.Header()[name] = append(c.w.Header()[name], string(f.Value))
		}
	}
	u.in.buf.take(end)
	return nil
}

// copyToEnd copies a body that the app ends by closing.
func (c *call) copyToEnd(u *upstream) error {
	for {
		held := u.in.buf.bytes()
		if err := c.write(held); err != nil {
			return err
		}
		u.in.buf.take(len(held))
		switch err := c.more(u, 0); {
		case err == io.ErrUnexpectedEOF && c.ending() == endNot: //nolint:errorlint // more returns it as it is
			return nil
		case err != nil:
			return err
		}
	}
}

// canonicals has the names that answers mostly have, as apps write them.
var canonicals = func() map[string]string {
	m := map[string]string{}
	for _, name := range []string{
		"Accept-Ranges", "Access-Control-Allow-Credentials", "Access-Control-Allow-Headers", "Access-Control-Allow-Methods",
		"Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Access-Control-Max-Age", "Age", "Allow", "Alt-Svc",
		"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Length", "Content-Location",
		"Content-Range", "Content-Security-Policy", "Content-Type", "Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy",
		"Date", "ETag", "Expires", "Last-Modified", "Link", "Location", "Permissions-Policy", "Pragma", "Referrer-Policy",
		"Retry-After", "Server", "Server-Timing", "Set-Cookie", "Strict-Transport-Security", "Traceparent", "Trailer", "Vary",
		"Via", "WWW-Authenticate", "X-Content-Type-Options", "X-Correlation-Id", "X-Frame-Options", "X-Powered-By",
		"X-Request-Id", "X-Response-Time", "X-XSS-Protection",
	} {
		key := textproto.CanonicalMIMEHeaderKey(name)
		m[name], m[key], m[string(lowerASCII(name))] = key, key, key
	}
	return m
}()

func lowerASCII(s string) []byte {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return b
}
