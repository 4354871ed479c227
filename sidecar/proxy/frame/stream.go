package frame

import "slices"

// stream is one that is not closed in both directions.
type stream struct {
	id      uint32
	waiting bool // is in Conn.ready

	received End   // the peer has ended it
	sent     End   // END_STREAM is in the output
	final    bool  // a client's: the final head has come
	head     bool  // a client's: HEAD was asked for
	left     int64 // bytes of content that have still to come; negative: nobody said

	window  int64 // what may be sent
	recv    int64 // what may come
	held    int64 // what has come and Took was not told of
	lent    int64 // of that, what the connection's window was opened for all the same
	pending int64 // what Took was told of and the peer was not

	queue    []byte // not sent yet, from byte at on
	at       int
	ending   bool   // END_STREAM follows the queue,
	trailers []byte // with these, encoded, if there are any
}

func (s *stream) queued() int { return len(s.queue) - s.at }

// how a stream came to its end.
type how uint8

const (
	forgotten how = iota
	ended         // both ways
	byPeer        // it sent RST_STREAM
	byUs
)

// memory is of streams that were closed lately, the last one at the end: section 5.1 has different answers to what still comes on them.
type memory []closing

type closing struct {
	id  uint32
	how how
}

// mostClosed is how many streams are remembered.
const mostClosed = 64

func (m *memory) add(id uint32, h how) {
	if len(*m) == mostClosed {
		*m = slices.Delete(*m, 0, 1)
	}
	*m = append(*m, closing{id, h})
}

// full reports whether streams have been forgotten.
func (m memory) full() bool { return len(m) == mostClosed }

// of returns how a stream was closed at last.
func (m memory) of(id uint32) how {
	for _, c := range slices.Backward(m) {
		if c.id == id {
			return c.how
		}
	}
	return forgotten
}
