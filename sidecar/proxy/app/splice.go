package app

import "github.com/bearerguard/bearerguard/sidecar/proxy/loop"

// splices says whether what comes next of the answer is to be spliced.
func (a *HTTP1) splices() bool {
	return a.x != nil && a.begun && !a.comes.Chunked && a.in.Len() == 0 && a.fast.Splices(a.comes.Left)
}

// splice passes on a piece of the answer's body that is not read. It returns false if there is none now.
func (a *HTTP1) splice() (more bool) {
	n, goes, err := a.x.DataFrom(a.conn, a.comes.Left)
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
	if a.comes.Left -= int64(n); a.comes.Left > 0 {
		return n > 0
	}
	b, err := a.conn.Read() // what comes unasked is seen before the next request, as where the body is copied
	a.closing = a.closing || err != nil
	a.done(nil, len(b) > 0)
	return true
}
