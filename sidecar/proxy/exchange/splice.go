package exchange

import "github.com/bearerguard/bearerguard/sidecar/proxy/loop"

// Splicer is an end, a Client or an App, that takes data from a connection in place of bytes.
type Splicer interface {
	// Splice is Data with what has come on a connection, up to most bytes of it, which this process does not copy. What it returns is what
	// loop.Conn.Splice returns.
	Splice(from *loop.Conn, most int64) (n int, more bool, err error)
}

// Least is how much of a body has to be left for it to be spliced, in bytes: copying less costs no more.
const Least = 64 << 10

// DataFrom is Data with what has come on the App's connection, up to most bytes. It returns how many, and whether the App may give more now: if
// not, it waits for Want. With loop.ErrCopy nothing has happened, and the App gives Data.
func (x *Exchange) DataFrom(from *loop.Conn, most int64) (n int, more bool, err error) {
	if s, ok := x.client.(Splicer); ok {
		return s.Splice(from, most)
	}
	return 0, true, loop.ErrCopy
}

// BodyFrom is Body with what has come on the Client's connection, up to most bytes, of a body whose length is known. It returns what DataFrom does.
func (x *Exchange) BodyFrom(from *loop.Conn, most int64) (n int, more bool, err error) {
	s, ok := x.app.(Splicer)
	if !ok || x.step == stepGather {
		return 0, true, loop.ErrCopy
	}
	n, more, err = s.Splice(from, most)          // bound has seen the length
	if x.sent += int64(n); !more && x.sent > 0 { // else the app is connected to, and may be waited for to ask for the body
		x.untaken()
	}
	return n, more, err
}

// Fast says whether a body comes in pieces that are worth splicing. The zero Fast says that it does not.
type Fast struct{ is bool }

// Begin is for a body of which so many bytes are known to come.
func (f *Fast) Begin(n int64) { f.is = n >= Least }

// Read is told how many bytes were read, with room for a block of the loop's.
func (f *Fast) Read(n int) { f.is = n >= loop.LargeBlock }

// Spliced is told how many bytes were spliced; 0 where none had come, or could be taken.
func (f *Fast) Spliced(n int) { f.is = n == 0 || n >= loop.MediumBlock }

// Splices says whether so much of a body is to be spliced.
func (f *Fast) Splices(left int64) bool { return f.is && left >= Least }
