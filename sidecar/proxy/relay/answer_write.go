package relay

import "net"

// queue has two pieces be written.
func (x *exchange) queue(first, second []byte) {
	k := &x.copying
	k.pieces = [2][]byte{first, second}
	switch {
	case len(second) == 0:
		k.rest = k.pieces[:1]
	case len(first) == 0:
		k.rest = k.pieces[1:]
	default:
		k.rest = k.pieces[:]
	}
}

// writeRest writes what is to be written, or returns errParked; then the rest is still to be.
func (x *exchange) writeRest() error {
	k, c := &x.copying, x.c
	if c.tls != nil {
		return x.writeSecurely()
	}
	if len(k.rest) == 0 || len(k.rest[0]) == 0 {
		k.rest = nil
		return nil
	}
	if !c.enter(phaseWriting) {
		return net.ErrClosed
	}
	if c.out.crowded() {
		return x.writeNow()
	}
	c.out.begin()
	var err error
	if c.tcp != nil && len(k.rest) > 1 {
		_, err = k.rest.WriteTo(c.tcp)
		return c.out.settle(err)
	}
	for err == nil && len(k.rest) > 0 {
		var n int
		n, err = c.net.Write(k.rest[0])
		if k.rest[0] = k.rest[0][n:]; len(k.rest[0]) == 0 {
			k.rest = k.rest[1:]
		}
	}
	return c.out.settle(err)
}

// writeSecurely is writeRest over TLS. Nothing of the answer is given to TLS before the client has taken what was.
func (x *exchange) writeSecurely() error {
	k, c := &x.copying, x.c
	for {
		if err := c.flushSecure(); err != nil {
			return err
		}
		for len(k.rest) > 0 && len(k.rest[0]) == 0 {
			k.rest = k.rest[1:]
		}
		if len(k.rest) == 0 {
			k.rest = nil
			return nil
		}
		if !c.enter(phaseWriting) {
			return net.ErrClosed
		}
		n, err := c.tls.piece(k.rest[0])
		if k.rest[0] = k.rest[0][n:]; err != nil {
			return err
		}
	}
}

// flushSecure waits until the client has taken what TLS has written, or returns errParked.
func (c *conn) flushSecure() error {
	below := c.tls.below
	if !below.keeps() {
		return nil
	}
	if !c.enter(phaseWriting) {
		return net.ErrClosed
	}
	if !c.out.crowded() {
		c.out.begin()
		return c.out.settle(below.flush(true))
	}
	if err := below.flush(false); err != nil || !below.keeps() {
		return err
	}
	return errParked
}

// writeNow is writeRest in a crowd: what cannot be written at once is parked at once.
func (x *exchange) writeNow() error {
	k, c := &x.copying, x.c
	for len(k.rest) > 0 {
		var n int
		var err error
		callErr := c.out.raw.Write(func(fd uintptr) bool { n, err = writeSome(fd, k.rest[0]); return true })
		if callErr != nil {
			return callErr
		}
		if err != nil {
			return err
		}
		if k.rest[0] = k.rest[0][n:]; len(k.rest[0]) > 0 {
			return errParked
		}
		k.rest = k.rest[1:]
	}
	return nil
}
