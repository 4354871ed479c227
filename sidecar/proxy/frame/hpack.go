package frame

import (
	"bytes"
	"encoding/binary"
	"slices"

	"golang.org/x/net/http2/hpack"
)

// table is a dynamic table of HPACK (RFC 7541 section 2.3.2). What is the oldest goes without moving the others.
//
// golang.org/x/net/http2/hpack moves them all, and its decoder of Huffman codes is a tree walk: both together took a third of the time
// of a call.
type table struct {
	entries []Field // the last one that came at the end
	gone    int     // of them, those that are there no more
	size    uint32
	most    uint32 // bytes
}

// tableMost is the most bytes that a table may be set to, as long as nobody says otherwise (RFC 9113 section 6.5.2).
const tableMost = 4096

// at returns an entry of both tables.
func (t *table) at(i int) (f Field, ok bool) {
	switch {
	case i < 1 || i > len(statics)+len(t.entries)-t.gone:
		return Field{}, false
	case i <= len(statics):
		return statics[i-1], true
	}
	return t.entries[len(t.entries)-(i-len(statics))], true
}

func (t *table) add(f Field) {
	size := f.Size()
	if size > t.most {
		t.resize(0, t.most)
		return
	}
	t.resize(t.most-size, t.most)
	if t.gone > len(t.entries)/2 {
		t.entries, t.gone = slices.Delete(t.entries, 0, t.gone), 0
	}
	t.entries = append(t.entries, f)
	t.size += size
}

// resize drops the oldest entries until there are as few bytes as to. From then on there may be most.
func (t *table) resize(to, most uint32) {
	t.most = most
	for t.size > to {
		oldest := &t.entries[t.gone]
		t.size -= oldest.Size()
		*oldest = Field{}
		t.gone++
	}
}

// decode appends a block's fields to the pool's, as far as the limits go. All of it is decoded, since the table goes on with it.
func (c *Conn) decode(p []byte) {
	c.pool.fields, c.size, c.others, c.crumbs, c.over = c.pool.fields[:0], 0, 0, 0, false
	for first := true; len(p) > 0 && c.err == nil; {
		update := p[0]&0xe0 == 0x20
		if update && !first {
			c.fail(errCompression)
			return
		}
		first = update
		p = c.decodeNext(p)
	}
}

// decodeNext decodes a field, or an update of the table's size, and returns what follows on it.
func (c *Conn) decodeNext(p []byte) (rest []byte) {
	switch b := p[0]; {
	case b&0x80 != 0: // section 6.1
		i, rest := c.decodeInt(p, 7)
		f, found := c.table.at(i)
		if !found {
			c.fail(errCompression)
		}
		c.decoded(f)
		return rest
	case b&0x40 != 0: // section 6.2.1
		return c.decodeLiteral(p, 6, true)
	case b&0x20 != 0: // section 6.3
		n, rest := c.decodeInt(p, 5)
		if n > tableMost {
			c.fail(errCompression)
		}
		c.table.resize(uint32(n), uint32(n))
		return rest
	}
	return c.decodeLiteral(p, 4, false)
}

// decodeLiteral decodes a field of which at least the value stands in the block (section 6.2).
func (c *Conn) decodeLiteral(p []byte, prefix int, indexed bool) (rest []byte) {
	i, p := c.decodeInt(p, prefix)
	f, found := c.table.at(i)
	switch {
	case i == 0:
		f.Name, p = c.decodeString(p, false)
	case !found:
		c.fail(errCompression)
	}
	f.Value, p = c.decodeString(p, !indexed) // what is in the table comes as an index the next time
	if c.err != nil {
		return nil
	}
	if indexed {
		c.table.add(f)
	}
	c.decoded(f)
	return p
}

// long is a long string that came last, as it is and as it stood in its block, with its length. Many clients leave tokens out of the table and
// send them again and again.
type long struct {
	str   string
	coded []byte
}

// longString is how long a string is, in bytes as it is coded, that is remembered.
const longString = 64

// decodeString decodes a string (section 5.2). A long one that comes again is the same string, if it is to be remembered.
func (c *Conn) decodeString(p []byte, remember bool) (s string, rest []byte) {
	huffman := len(p) > 0 && p[0]&0x80 != 0
	n, coded := c.decodeInt(p, 7)
	if n > len(coded) {
		c.fail(errCompression)
		return "", nil
	}
	coded, rest = coded[:n], coded[n:]
	whole := p[:len(p)-len(rest)]
	if n >= longString && c.long != nil && bytes.Equal(c.long.coded, whole) {
		return c.long.str, rest
	}
	if !huffman {
		s = string(coded)
	} else {
		var ok bool
		if c.pool.scratch, ok = huffmanDecode(c.pool.scratch[:0], coded); !ok {
			c.fail(errCompression)
			return "", nil
		}
		s = string(c.pool.scratch)
	}
	switch {
	case len(s) > 2*c.cfg.HeadBytes:
		c.fail(errHeadFar)
	case remember && n >= longString:
		if c.long == nil {
			c.long = &long{}
		}
		*c.long = long{s, append(c.long.coded[:0], whole...)}
	}
	return s, rest
}

// decodeInt decodes an integer with a prefix of some bits (section 5.1). One that is larger than any that means something is none.
func (c *Conn) decodeInt(p []byte, prefix int) (n int, rest []byte) {
	most := 1<<prefix - 1
	if len(p) > 0 {
		if n = int(p[0]) & most; n < most {
			return n, p[1:]
		}
		p = p[1:]
	}
	for shift := 0; shift < 28 && len(p) > 0; shift += 7 {
		b := p[0]
		p = p[1:]
		n += int(b&0x7f) << shift
		if b&0x80 == 0 {
			return n, p
		}
	}
	c.fail(errCompression)
	return 0, nil
}

// Codes have 5 to 30 bits; those of most bytes that come have 8 at most.
const (
	shortestCode = 5
	shortCode    = 8
	longCode     = 30
)

// code is a Huffman code (RFC 7541 appendix B).
type code struct {
	symbol byte
	bits   uint8 // 0: there is none
}

var (
	// shortCodes has the codes of 8 bits at most, by the next 8 bits.
	shortCodes [1 << shortCode]code
	// longCodes has the symbols of longer ones by the number of bits, in the order of their codes, of which firstCodes has the first:
	// those of a length follow on each other.
	longCodes  [longCode + 1][]byte
	firstCodes [longCode + 1]uint32
)

func init() {
	for s := range 256 {
		symbol := []byte{byte(s)}
		bits := int(hpack.HuffmanEncodeLength(string(bytes.Repeat(symbol, 8))))
		var all uint32
		for i, b := range hpack.AppendHuffmanString(nil, string(symbol)) {
			all |= uint32(b) << (24 - 8*i)
		}
		if bits <= shortCode {
			from := int(all >> (32 - shortCode))
			for i := range 1 << (shortCode - bits) {
				shortCodes[from&^(1<<(shortCode-bits)-1)+i] = code{symbol[0], uint8(bits)}
			}
			continue
		}
		if longCodes[bits] == nil {
			firstCodes[bits] = all >> (32 - bits)
		}
		longCodes[bits] = append(longCodes[bits], symbol[0])
	}
}

// huffmanDecode appends what p says to b (section 5.2).
func huffmanDecode(b, p []byte) (out []byte, ok bool) {
	b = slices.Grow(b, len(p)*8/shortestCode)
	var next bitBuffer
	for ok = true; ok && len(p) >= 8; {
		p = next.fill(p)
		b, ok = next.decode(b)
	}
	for ok && len(p) > 0 {
		p = next.add(p)
		b, ok = next.decode(b)
	}
	// What is left is padding: less than 8 bits, all of which are 1.
	return b, ok && next.have < 8 && next.acc == ^uint64(0)<<(64-next.have)
}

// bitBuffer has bits that have not been decoded: the highest of acc.
type bitBuffer struct {
	acc  uint64
	have int
}

// fill takes as many of eight bytes at least as there is room for.
func (n *bitBuffer) fill(p []byte) (rest []byte) {
	n.acc |= binary.BigEndian.Uint64(p) >> n.have
	whole := (64 - n.have) / 8
	n.have += 8 * whole
	n.acc &= ^uint64(0) << (64 - n.have)
	return p[whole:]
}

// add takes a byte.
func (n *bitBuffer) add(p []byte) (rest []byte) {
	n.acc |= uint64(p[0]) << (56 - n.have)
	n.have += 8
	return p[1:]
}

// decode appends the symbols whose codes have come to b, which has room for them. It fails where no code begins like this.
func (n *bitBuffer) decode(b []byte) (out []byte, ok bool) {
	acc, have := n.acc, n.have
	for {
		s := shortCodes[acc>>(64-shortCode)]
		if s.bits == 0 {
			s = longerCode(uint32(acc >> 32))
		}
		if int(s.bits) > have || s.bits == 0 {
			n.acc, n.have = acc, have
			return b, have < longCode
		}
		b = append(b, s.symbol)
		acc <<= s.bits & 63
		have -= int(s.bits)
	}
}

// longerCode finds the code that 32 bits begin with.
func longerCode(next uint32) code {
	for bits := shortCode + 1; bits <= longCode; bits++ {
		if i := next>>(32-bits) - firstCodes[bits]; i < uint32(len(longCodes[bits])) {
			return code{longCodes[bits][i], uint8(bits)}
		}
	}
	return code{}
}

// statics is the static table (RFC 7541 appendix A).
var statics = func() (t [61]Field) {
	d := hpack.NewDecoder(0, nil)
	for i := range t {
		f, err := d.DecodeFull([]byte{0x80 | byte(i+1)})
		if err != nil {
			panic(err)
		}
		t[i] = f[0]
	}
	return t
}()
