package relay

import "github.com/bearerguard/bearerguard/sidecar/proxy/head"

// preface starts an HTTP/2 connection with prior knowledge (RFC 9113 section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// seeking is how far a head has been looked for.
type seeking struct {
	begun   bool
	phase   phase
	scanned int  // bytes that have been looked at
	blank   bool // an empty line has been ignored
}

// readHead reads until a head is complete and returns its length; 0 when there is none any more. An error is of package
// head and says why the head is refused, or errHTTP2, or errParked.
func (c *conn) readHead() (int, error) {
	if !c.seeking.begun {
		p := phaseIdle
		switch {
		case c.in.buf.len() > 0:
			p = phaseHead
		case c.first:
			p = phaseFresh
		}
		if !c.flush() || !c.enter(p) {
			return 0, nil
		}
		c.seeking = seeking{begun: true, phase: p}
	}
	n, err := c.seek()
	if err == errParked { //nolint:errorlint // our own
		c.in.buf.shrink()
		return 0, err
	}
	c.seeking.begun = false
	return n, err
}

// seek is readHead once it has begun.
func (c *conn) seek() (int, error) {
	k := &c.seeking
	for {
		b := c.in.buf.bytes()
		if !k.blank && len(b) >= 2 && string(b[:2]) == "\r\n" {
			c.in.buf.take(2) // one empty line is ignored (RFC 9112 section 2.2)
			k.blank, k.scanned = true, 0
			continue
		}
		if n, err := c.scan(b, k.scanned); n > 0 || err != nil {
			return n, err
		}
		if k.scanned = len(b); k.scanned > 0 && k.phase.silent() {
			k.phase = phaseHead
			c.enter(k.phase) // if it has been ended, await says so
		}
		if err := c.in.awaitLong(); err == errParked { //nolint:errorlint // our own
			return 0, err
		} else if err != nil {
			return 0, nil //nolint:nilerr // documented
		}
	}
}

// scan looks for the end of a head; the first scanned bytes have been looked at.
func (c *conn) scan(b []byte, scanned int) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if c.first && isPreface(b) {
		if len(b) >= len(preface) {
			return 0, errHTTP2
		}
	} else if end := head.End(b, scanned); end > 0 {
		c.first = false
		return end, nil
	} else if c.first {
		if f := head.ForeignOf(b); f != "" {
			return 0, f
		}
	}
	return 0, head.Check(b, scanned, c.relay.Limits.Head)
}

// isPreface reports whether the bytes are the start of HTTP/2's preface, as far as there are any.
func isPreface(b []byte) bool {
	n := min(len(b), len(preface))
	return string(b[:n]) == preface[:n]
}
