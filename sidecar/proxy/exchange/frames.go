package exchange

import "encoding/binary"

// Frames follows the frames of one direction of a WebSocket (RFC 6455 section 5.2) to know where one ends.
type Frames struct {
	header  [14]byte
	have    int    // bytes of the header so far
	left    uint64 // bytes of the payload that are to come
	payload bool   // the header is complete
	// Closing says that a close frame has begun.
	Closing bool
}

// Scan takes bytes up to the end of the frame at most, and returns how many.
func (f *Frames) Scan(b []byte) int {
	n := 0
	for n < len(b) && !f.payload {
		f.header[f.have] = b[n]
		f.have, n = f.have+1, n+1
		f.parse()
	}
	if f.payload {
		take := min(f.left, uint64(len(b)-n))
		n, f.left = n+int(take), f.left-take
		if f.left == 0 {
			f.have, f.payload = 0, false
		}
	}
	return n
}

// Inside reports whether a frame has begun and not ended.
func (f *Frames) Inside() bool { return f.have > 0 }

// parse looks whether the header is complete.
func (f *Frames) parse() {
	if f.have < 2 {
		return
	}
	size, length := 2, uint64(f.header[1]&0x7f)
	switch length {
	case 126:
		size = 4
	case 127:
		size = 10
	}
	if f.header[1]&0x80 != 0 {
		size += 4 // a masking key
	}
	if f.have < size {
		return
	}
	switch length {
	case 126:
		length = uint64(binary.BigEndian.Uint16(f.header[2:]))
	case 127:
		length = binary.BigEndian.Uint64(f.header[2:])
	}
	f.left, f.payload = length, true
	f.Closing = f.Closing || f.header[0]&0x0f == 8
}
