package loop

import "sync"

// The sizes of pooled blocks, in bytes. Heads are small, bodies come in larger pieces.
const (
	SmallBlock  = 4 << 10
	MediumBlock = 16 << 10
	LargeBlock  = 64 << 10
)

var (
	smallBlocks  = sync.Pool{New: func() any { return new([SmallBlock]byte) }}
	mediumBlocks = sync.Pool{New: func() any { return new([MediumBlock]byte) }}
	largeBlocks  = sync.Pool{New: func() any { return new([LargeBlock]byte) }}
)

// Grab returns a block of at least n bytes, from a pool if it is not out of the ordinary.
func Grab(n int) []byte {
	switch {
	case n <= SmallBlock:
		return smallBlocks.Get().(*[SmallBlock]byte)[:]
	case n <= MediumBlock:
		return mediumBlocks.Get().(*[MediumBlock]byte)[:]
	case n <= LargeBlock:
		return largeBlocks.Get().(*[LargeBlock]byte)[:]
	}
	return make([]byte, n)
}

// Drop gives a block back. Nothing may use it after that.
func Drop(b []byte) {
	switch cap(b) {
	case SmallBlock:
		smallBlocks.Put((*[SmallBlock]byte)(b[:SmallBlock]))
	case MediumBlock:
		mediumBlocks.Put((*[MediumBlock]byte)(b[:MediumBlock]))
	case LargeBlock:
		largeBlocks.Put((*[LargeBlock]byte)(b[:LargeBlock]))
	}
}

// Buffer holds bytes that are not used yet. The zero Buffer is empty and has no block.
type Buffer struct {
	block []byte
	r, w  uint32 // block[r:w] is held
}

// Bytes are what is held, valid until something is appended.
func (b *Buffer) Bytes() []byte { return b.block[b.r:b.w] }

// Len is how many bytes are held.
func (b *Buffer) Len() int { return int(b.w - b.r) }

// Take drops n bytes from the front. They stay readable until something is appended.
func (b *Buffer) Take(n int) {
	if b.r += uint32(n); b.r == b.w { //nolint:gosec // it is at most Len
		b.r, b.w = 0, 0
	}
}

// Append adds p, which may be held already.
func (b *Buffer) Append(p []byte) {
	if len(p) == 0 {
		return
	}
	b.reserve(len(p))
	b.w += uint32(copy(b.block[b.w:], p)) //nolint:gosec // blocks are small
}

// Free is room for n more bytes at least. Added says how many of them are held from then on.
func (b *Buffer) Free(n int) []byte {
	b.reserve(n)
	return b.block[b.w:]
}

// Added is for after Free.
func (b *Buffer) Added(n int) { b.w += uint32(n) } //nolint:gosec // it is at most what Free has given

// reserve makes room for n more bytes at least.
func (b *Buffer) reserve(n int) {
	held := b.Len()
	switch {
	case len(b.block)-int(b.w) >= n:
		return
	case len(b.block)-held >= n:
		b.w = uint32(copy(b.block, b.Bytes())) //nolint:gosec // blocks are small
	default:
		block := Grab(max(held+n, 2*held))
		b.w = uint32(copy(block, b.Bytes())) //nolint:gosec // blocks are small
		Drop(b.block)
		b.block = block
	}
	b.r = 0
}

// Drop drops what is held, and gives the block back.
func (b *Buffer) Drop() {
	if b.block != nil {
		Drop(b.block)
	}
	*b = Buffer{}
}
