package client

import (
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// splices says whether what comes next is of the request's body and to be spliced.
func (c *HTTP1) splices() bool {
	return c.phase == phaseBusy && c.wanted && !c.comes.Chunked && c.x != nil && c.in.Len() == 0 && c.fast.Splices(c.comes.Left)
}

// splice passes on a piece of the body that is not read. It returns false if there is none now.
func (c *HTTP1) splice() (more bool) {
	n, goes, err := c.x.BodyFrom(c.conn, c.comes.Left)
	switch {
	case err == loop.ErrCopy: //nolint:errorlint // as Splice documents
		c.fast.Read(0)
		return true
	case err != nil:
		c.ends(err)
		return false
	}
	c.fast.Spliced(n)
	c.comes.Left, c.pace.came = c.comes.Left-int64(n), c.pace.came+int64(n)
	if c.comes.Left == 0 {
		c.whole()
		return true
	}
	c.want(goes)
	return n > 0 || !goes
}

// Splice implements exchange.Splicer.
func (c *HTTP1) Splice(from *loop.Conn, most int64) (n int, more bool, err error) {
	if !c.chunk {
		n, more, err = c.conn.Splice(from, most, nil)
	} else if n, more, err = c.conn.Splice(from, most, head.AppendChunk); n > 0 {
		c.conn.Commit(append(c.conn.Compose(loop.FrameRoom), crlf...))
	}
	if n > 0 {
		c.wrote++
		c.watch()
	}
	return n, more, err
}
