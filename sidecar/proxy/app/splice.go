package app

import (
	"math"

	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// splices says whether what comes next of the answer is to be spliced.
func (a *HTTP1) splices() bool {
	switch {
	case a.x == nil || a.in.Len() > 0:
		return false
	case a.phase == phaseLength:
		return a.fast.Splices(a.left)
	case a.phase == phaseClose:
		return a.fast.Splices(math.MaxInt64)
	}
	return false
}

// splice passes on a piece of the answer's body that is not read. It returns false if there is none now.
func (a *HTTP1) splice() (more bool) {
	left := a.left
	if a.phase == phaseClose {
		left = math.MaxInt64
	}
	n, goes, err := a.x.DataFrom(a.conn, left)
	switch {
	case err == loop.ErrCopy: //nolint:errorlint // as Splice documents
		a.fast.Read(0)
		return true
	case err != nil:
		a.ends(err)
		return false
	}
	a.fast.Spliced(n)
	a.paused = !goes
	if a.phase != phaseLength {
		return n > 0
	}
	if a.left -= int64(n); a.left > 0 {
		return n > 0
	}
	b, err := a.conn.Read() // what comes unasked is seen before the next request, as where the body is copied
	a.closing = a.closing || err != nil
	a.done(nil, len(b) > 0)
	return true
}
