package frame

import "cmp"

// Sizes that are no settings.
const (
	maxFrame  = 16 << 10 // bytes of a frame, both ways: the least there may be (RFC 9113 section 4.2)
	frameHead = 9
	maxWindow = 1<<31 - 1
	initial   = 65535                           // a window before anybody has said a word (section 6.9.2)
	outBlock  = 64 << 10                        // a buffer of output, in bytes
	outRoom   = outBlock - maxFrame - frameHead // bytes of output up to which DATA is put there
	outFull   = 2 * outBlock
	fragments = 64  // CONTINUATION frames of a field block
	maxUnread = 512 // answers to PING and SETTINGS in the output
	tidbit    = 256 // bytes of DATA below which a frame that the window has cut earns nothing, and by which a window is opened for nothing
)

// Config bounds what a peer may do. A zero field is its default.
type Config struct {
	// Streams is how many streams a client may have open; 250.
	Streams uint32
	// HeadBytes bounds the fields of a head or of trailers as section 6.5.2 counts them, 32 bytes more for each; 65536. A
	// field block of twice that ends the connection.
	HeadBytes int
	// Fields bounds the number of fields without pseudo-fields; 100.
	Fields int
	// Window is how many bytes of a stream may have come that Took was not told of; 65535.
	Window int
	// ConnWindow is the same of all streams together; 65535, which is also the least (section 6.9.2).
	ConnWindow int
	// Queue is how many bytes of a stream wait here for the peer's window; 65536.
	Queue int
	// Resets is how many streams may be given up in a second by the peer, or because of what it does wrong; 100. It holds for
	// servers: what an app resets, somebody has asked for.
	Resets int
	// Frames is how many frames may come in a second that move nothing: SETTINGS, PING, PRIORITY, WINDOW_UPDATE, unknown and
	// empty ones, and those on streams that are gone; 1000. A frame that moves something earns two.
	Frames int
}

func (c Config) withDefaults() Config {
	return Config{
		Streams: cmp.Or(c.Streams, 250), HeadBytes: cmp.Or(c.HeadBytes, 64<<10), Fields: cmp.Or(c.Fields, 100),
		Window: min(cmp.Or(c.Window, initial), maxWindow), ConnWindow: min(max(c.ConnWindow, initial), maxWindow),
		Queue: cmp.Or(c.Queue, 64<<10), Resets: cmp.Or(c.Resets, 100), Frames: cmp.Or(c.Frames, 1000),
	}
}

// End says whether something is the last of its stream in its direction.
type End bool

// Whether a stream ends.
const (
	More End = false
	Last End = true
)

// Handler is told what the peer sends. What it is given by reference is valid until it returns; strings may be kept. It may
// call any method of the Conn but Feed, Wrote and Close.
type Handler interface {
	// Headers has a request's head, or an answer's: interim ones, of status 1xx, and then the final one.
	Headers(id uint32, h *Head)
	// Data has a piece of a body, with padding removed. Took has to be told of each byte that needs no memory any more.
	Data(id uint32, p []byte, end End)
	// Trailers end the stream.
	Trailers(id uint32, fields []Field)
	// Reset says that a stream is gone: by the peer, when why is nil, or for a mistake of the peer's; of a stream that is refused
	// nothing else is told. A client's stream that ends by RefusedStream was not looked at by the server: the request may be sent
	// again (section 8.7), as each that its GOAWAY leaves out. A server may reset by NoError what it has answered in full.
	Reset(id uint32, code Code, why error)
	// Sent says that n bytes have left a stream's queue, beyond those that Data said of.
	Sent(id uint32, n int)
}
