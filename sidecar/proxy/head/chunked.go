package head

// maxLine bounds a chunk's size line, extensions included, in bytes.
const maxLine = 4 << 10

// Chunks follows a body in the chunked coding (RFC 9112 section 7.1) to where its trailer section begins. The zero Chunks
// is at the start of a body.
type Chunks struct {
	// DataOnly has Take keep the data alone, for a recipient that does not know the coding.
	DataOnly bool
	// Data is how many bytes of data have been taken.
	Data int64

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

// Ended reports whether the last chunk has been taken. The trailer section follows: see ParseTrailers.
func (c *Chunks) Ended() bool { return c.state == chunkTrailer }

// Take follows the next bytes of the body. What is to be passed on is moved to the start of b, kept bytes of it; used is
// how many bytes were taken, which is all of b unless the body ended. Chunk extensions are not kept: they are between two
// neighbours (RFC 9112 section 7.1.1), and none has a meaning here.
func (c *Chunks) Take(b []byte) (kept, used int, err error) {
	for used < len(b) && c.state != chunkTrailer {
		if c.state == chunkData {
			n := c.data(len(b) - used)
			if kept != used {
				copy(b[kept:], b[used:used+n])
			}
			kept, used = kept+n, used+n
			continue
		}
		keep, err := c.step(b[used])
		if err != nil {
			return kept, used, err
		}
		if keep && !c.DataOnly {
			b[kept] = b[used]
			kept++
		}
		used++
	}
	return kept, used, nil
}

// Look returns the error that Take would return for b, and changes nothing.
func (c Chunks) Look(b []byte) error {
	for used := 0; used < len(b) && c.state != chunkTrailer; {
		if c.state == chunkData {
			used += c.data(len(b) - used)
			continue
		}
		if _, err := c.step(b[used]); err != nil {
			return err
		}
		used++
	}
	return nil
}

// data takes up to n bytes of data, and returns how many.
func (c *Chunks) data(n int) int {
	n = int(min(c.left, int64(n)))
	c.Data += int64(n)
	if c.left -= int64(n); c.left == 0 {
		c.state = chunkDataCR
	}
	return n
}

// step takes one byte outside the data. It reports whether the byte is kept.
func (c *Chunks) step(b byte) (keep bool, err error) {
	if c.line++; c.line > maxLine {
		return false, ErrTooLarge
	}
	switch c.state {
	case chunkSize:
		return c.size(b)
	case chunkExtension:
		if b == '\r' {
			c.state = chunkSizeLF
			return true, nil
		}
		if b < ' ' && b != '\t' || b == 0x7f {
			return false, ErrChunk
		}
		return false, nil
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
	return false, ErrChunk
}

func (c *Chunks) want(b, wanted byte, next chunkState) (bool, error) {
	if b != wanted {
		return false, ErrChunk
	}
	c.state = next
	return true, nil
}

// size reads chunk-size, 1*HEXDIG, of at most 15 digits so that it cannot overflow.
func (c *Chunks) size(b byte) (bool, error) {
	v := hexValue(b)
	switch {
	case v >= 0 && c.digit < 15:
		c.left, c.digit = c.left<<4|int64(v), c.digit+1
		return true, nil
	case c.digit == 0:
		return false, ErrChunk
	case b == ';':
		c.state = chunkExtension
		return false, nil
	}
	return c.want(b, '\r', chunkSizeLF)
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

// TrailerEnd returns the length of the trailer section at the start of b, its final CRLF included, or 0 if it is not
// complete yet.
func TrailerEnd(b []byte) int {
	if len(b) >= 2 && b[0] == '\r' && b[1] == '\n' {
		return 2
	}
	return End(b, 0)
}

// ParseTrailers reads a complete trailer section (RFC 9112 section 7.1.2). The storage of out is used again.
func ParseTrailers(b []byte, l Limits, out []Field) ([]Field, error) {
	if len(b) > l.Bytes {
		return out[:0], ErrTooLarge
	}
	return fields(b, out[:0], l)
}
