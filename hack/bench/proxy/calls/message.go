package main

import "encoding/binary"

const (
	lengthPrefix = 5  // bytes before each message of gRPC: not compressed, length
	controls     = 10 // bytes of a message that say what to answer
	smallest     = 14 // bytes of a message
)

// newMessage is a Message of so many bytes with the prefix of gRPC in front of it; see main.go.
func newMessage(answers, size, length int) []byte {
	length = max(length, smallest)
	b := binary.BigEndian.AppendUint32([]byte{0}, uint32(length))
	b = binary.LittleEndian.AppendUint32(append(b, 1<<3|5), uint32(answers))
	b = binary.LittleEndian.AppendUint32(append(b, 2<<3|5), uint32(size))
	text := length - smallest // in three bytes, however few it needs
	b = append(b, 3<<3|2, byte(text)|0x80, byte(text>>7)|0x80, byte(text>>14))
	for len(b) < lengthPrefix+length {
		b = append(b, 'x')
	}
	return b
}

// reader finds messages in the DATA of one direction of a call, and keeps none.
type reader struct {
	head [lengthPrefix + controls]byte
	have int // bytes of the prefix
	size int // of the message
	rest int // bytes of it that are still to come
}

// read takes bytes and calls each for every message that ends within them.
func (r *reader) read(b []byte, each func(answers, size int)) {
	for len(b) > 0 {
		if r.have < lengthPrefix {
			n := copy(r.head[r.have:lengthPrefix], b)
			b, r.have = b[n:], r.have+n
			if r.have < lengthPrefix {
				return
			}
			r.size = int(binary.BigEndian.Uint32(r.head[1:]))
			r.rest = r.size
		} else {
			n := min(r.rest, len(b))
			if at := lengthPrefix + r.size - r.rest; at < len(r.head) {
				copy(r.head[at:], b[:n])
			}
			b, r.rest = b[n:], r.rest-n
		}
		if r.rest == 0 {
			r.have = 0
			each(r.controls())
		}
	}
}

// controls are zero where the message is too short to have any.
func (r *reader) controls() (answers, size int) {
	if r.size < controls {
		return 0, 0
	}
	return int(binary.LittleEndian.Uint32(r.head[6:])), int(binary.LittleEndian.Uint32(r.head[11:]))
}
