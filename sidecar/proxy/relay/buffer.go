package relay

import (
	"bytes"
	"sync"
)

// The sizes of pooled blocks, in bytes. Heads are small, bodies come in larger pieces.
const (
	smallBlock  = 4 << 10
	mediumBlock = 16 << 10
	largeBlock  = 64 << 10
)

var (
	smallBlocks  = sync.Pool{New: func() any { return new([smallBlock]byte) }}
	mediumBlocks = sync.Pool{New: func() any { return new([mediumBlock]byte) }}
	largeBlocks  = sync.Pool{New: func() any { return new([largeBlock]byte) }}
)

// grab returns a block of at least n bytes, from a pool if it is not out of the ordinary.
func grab(n int) []byte {
	switch {
	case n <= smallBlock:
		return smallBlocks.Get().(*[smallBlock]byte)[:]
	case n <= mediumBlock:
		return mediumBlocks.Get().(*[mediumBlock]byte)[:]
	case n <= largeBlock:
		return largeBlocks.Get().(*[largeBlock]byte)[:]
	}
	return make([]byte, n)
}

// drop gives a block back. Nothing may use it after that.
func drop(b []byte) {
	switch cap(b) {
	case smallBlock:
		smallBlocks.Put((*[smallBlock]byte)(b[:smallBlock]))
	case mediumBlock:
		mediumBlocks.Put((*[mediumBlock]byte)(b[:mediumBlock]))
	case largeBlock:
		largeBlocks.Put((*[largeBlock]byte)(b[:largeBlock]))
	}
}

// buffer holds bytes that were read and not used yet. The zero buffer is empty and has no block.
type buffer struct {
	block []byte
	r, w  int // block[r:w] is held
}

func (b *buffer) bytes() []byte { return b.block[b.r:b.w] }
func (b *buffer) len() int      { return b.w - b.r }

// take drops n bytes from the front. They stay readable until the next reserve.
func (b *buffer) take(n int) {
	if b.r += n; b.r == b.w {
		b.r, b.w = 0, 0
	}
}

// reserve makes room for n more bytes at least, and moves or copies what is held if it must.
func (b *buffer) reserve(n int) {
	if len(b.block)-b.w >= n {
		return
	}
	if len(b.block)-b.len() >= n {
		b.w = copy(b.block, b.bytes())
		b.r = 0
		return
	}
	block := grab(max(b.len()+n, 2*b.len()))
	b.w = copy(block, b.bytes())
	b.r = 0
	drop(b.block)
	b.block = block
}

// shrink has what is held take no more room than it needs, as it may be held for long.
func (b *buffer) shrink() {
	if b.len() == 0 {
		b.release()
		return
	}
	if len(b.block) < smallBlock {
		return
	}
	block := bytes.Clone(b.bytes())
	drop(b.block)
	*b = buffer{block: block[:len(block):len(block)], w: len(block)}
}

// free is the room after what is held.
func (b *buffer) free() []byte { return b.block[b.w:] }

// release gives the block back if nothing is held.
func (b *buffer) release() {
	if b.len() == 0 && b.block != nil {
		drop(b.block)
		*b = buffer{}
	}
}
