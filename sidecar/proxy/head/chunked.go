package head

// maxTrailer bounds the lines of one chunked body that are not data: each size line and the whole trailer section.
const maxTrailer = 8 << 10

// Chunks follows a body in the chunked coding (RFC 9112 section 7.1) to find its end. The zero Chunks is at the start.
type Chunks struct {
	state chunkState
	left  int64 // bytes of data that are to come
	digit int   // digits of the size so far
	line  int   // bytes of the line or trailer section so far
	empty bool  // the trailer line has no byte yet
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
	chunkTrailerLF
	chunkDone
)

// Scan follows the next bytes of the body. It returns how many of b belong to it, and whether it ends there.
func (c *Chunks) Scan(b []byte) (n int, done bool, err error) {
	for n < len(b) {
		if c.state == chunkData {
			take := min(c.left, int64(len(b)-n))
			n += int(take)
			c.left -= take
			if c.left == 0 {
				c.state = chunkDataCR
			}
			continue
		}
		if err := c.step(b[n]); err != nil {
			return n, false, err
		}
		n++
		if c.state == chunkDone {
			return n, true, nil
		}
	}
	return n, false, nil
}

// step takes one byte outside the data.
func (c *Chunks) step(b byte) error {
	if c.line++; c.line > maxTrailer {
		return ErrTooLarge
	}
	switch c.state {
	case chunkSize:
		return c.size(b)
	case chunkExtension:
		return c.extension(b)
	case chunkSizeLF:
		return c.sizeEnd(b)
	case chunkDataCR:
		return c.want(b, '\r', chunkDataLF)
	case chunkDataLF:
		c.line, c.digit = 0, 0
		return c.want(b, '\n', chunkSize)
	case chunkTrailer:
		return c.trailer(b)
	case chunkTrailerLF:
		next := chunkTrailer
		if c.empty {
			next = chunkDone
		}
		c.empty = true
		return c.want(b, '\n', next)
	case chunkData, chunkDone:
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
	v := hexValue(b)
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

// extension skips a chunk-ext; nothing in it has a meaning for us (RFC 9112 section 7.1.1).
func (c *Chunks) extension(b byte) error {
	if b == '\r' {
		c.state = chunkSizeLF
		return nil
	}
	if b < ' ' && b != '\t' || b == 0x7f {
		return ErrChunk
	}
	return nil
}

func (c *Chunks) sizeEnd(b byte) error {
	c.line = 0
	if c.left > 0 {
		return c.want(b, '\n', chunkData)
	}
	c.empty = true
	return c.want(b, '\n', chunkTrailer)
}

// trailer skips a line of the trailer section; its fields are checked by whoever reads them.
func (c *Chunks) trailer(b byte) error {
	if b == '\r' {
		c.state = chunkTrailerLF
		return nil
	}
	if b < ' ' && b != '\t' || b == 0x7f || c.empty && (b == ' ' || b == '\t' || b == ':') {
		return ErrChunk
	}
	c.empty = false
	return nil
}

func hexValue(b byte) int {
	switch {
	case b >= '0' && b <= '9':
		return int(b - '0')
	case b >= 'a' && b <= 'f':
		return int(b-'a') + 10
	case b >= 'A' && b <= 'F':
		return int(b-'A') + 10
	}
	return -1
}
