package head

import (
	"strconv"
	"strings"
)

// maxLine bounds a chunk's size line, extensions included, in bytes.
const maxLine = 4 << 10

// Chunks follows a body in the chunked coding (RFC 9112 section 7.1) to where its trailer section begins. The zero Chunks
// is at the start of a body.
type Chunks struct {
	state chunkState
	left  int64 // bytes of data that are to come
	digit int   // digits of the size so far
	line  int   // bytes of the size line so far
}

type chunkState int

const (
	chunkSize chunkState = iota
	chunkExtension
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	chunkTrailer
)

// Ended reports whether the last chunk has been taken. The trailer section follows: see Body.
func (c *Chunks) Ended() bool { return c.state == chunkTrailer }

// Take follows the next bytes of the body. The data is moved to the start of b, kept bytes of it; used is how many bytes
// were taken, which is all of b unless the body ended.
func (c *Chunks) Take(b []byte) (kept, used int, err error) {
	for used < len(b) && !c.Ended() {
		n, data, err := c.next(b[used:])
		if err != nil {
			return kept, used, err
		}
		if data {
			if kept != used {
				copy(b[kept:], b[used:used+n])
			}
			kept += n
		}
		used += n
	}
	return kept, used, nil
}

// Look returns the error that Take would return for b, and changes nothing.
func (c Chunks) Look(b []byte) error {
	for len(b) > 0 && !c.Ended() {
		n, _, err := c.next(b)
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// next takes data, or a byte of what is around it.
func (c *Chunks) next(b []byte) (n int, data bool, err error) {
	if c.state != chunkData {
		return 1, false, c.step(b[0])
	}
	n = int(min(c.left, int64(len(b))))
	if c.left -= int64(n); c.left == 0 {
		c.state = chunkDataCR
	}
	return n, true, nil
}

// step takes one byte outside the data. Chunk extensions are between two neighbours (RFC 9112 section 7.1.1), and none has a
// meaning here.
func (c *Chunks) step(b byte) error {
	if c.line++; c.line > maxLine {
		return ErrTooLarge
	}
	switch c.state {
	case chunkSize:
		return c.size(b)
	case chunkExtension:
		if b == '\r' {
			c.state = chunkSizeLF
		} else if b < ' ' && b != '\t' || b == 0x7f {
			return ErrChunk
		}
		return nil
	case chunkSizeLF:
		next := chunkData
		if c.line = 0; c.left == 0 {
			next = chunkTrailer
		}
		return c.want(b, '\n', next)
	case chunkDataCR:
		return c.want(b, '\r', chunkDataLF)
	case chunkDataLF:
		c.line, c.digit = 0, 0
		return c.want(b, '\n', chunkSize)
	case chunkData, chunkTrailer:
	}
	return ErrChunk
}

func (c *Chunks) want(b, wanted byte, next chunkState) error {
	if b != wanted {
		return ErrChunk
	}
	c.state = next
	return nil
}

// size reads chunk-size, 1*HEXDIG, of at most 15 digits so that it cannot overflow.
func (c *Chunks) size(b byte) error {
	v := strings.IndexByte("0123456789abcdefABCDEF", b)
	if v > 15 {
		v -= 6
	}
	switch {
	case v >= 0 && c.digit < 15:
		c.left, c.digit = c.left<<4|int64(v), c.digit+1
		return nil
	case c.digit == 0:
		return ErrChunk
	case b == ';':
		c.state = chunkExtension
		return nil
	}
	return c.want(b, '\r', chunkSizeLF)
}

// AppendChunk appends what begins a chunk of n bytes (RFC 9112 section 7.1).
func AppendChunk(b []byte, n int) []byte {
	return append(strconv.AppendInt(b, int64(n), 16), "\r\n"...)
}
