package loop

import (
	"sync"
	"sync/atomic"
	"unsafe"
)

// The sizes of blocks that bodies lie in, in bytes.
const (
	MediumBlock = 16 << 10
	LargeBlock  = 64 << 10
)

// sizes are those of all pooled blocks, in bytes. Heads are small, bodies come in larger pieces.
var sizes = [...]int{512, 1 << 10, 2 << 10, 4 << 10, MediumBlock, 32 << 10, LargeBlock}

// blocks are pools of blocks of those sizes: of pointers to their first bytes.
var blocks [len(sizes)]sync.Pool

// held is how many bytes of the process's lie in blocks that are not small.
var held atomic.Int64

// BlockSize is the size of the block that Grab returns for n bytes.
func BlockSize(n int) int {
	for _, size := range sizes {
		if n <= size {
			return size
		}
	}
	return n
}

// Grab returns a block of at least n bytes, from a pool if it is not out of the ordinary.
func Grab(n int) []byte {
	for i, size := range sizes {
		if n > size {
			continue
		}
		if size >= MediumBlock {
			held.Add(int64(size))
		}
		if p, ok := blocks[i].Get().(*byte); ok {
			return unsafe.Slice(p, size) //nolint:gosec // Drop has put in blocks of that size
		}
		return make([]byte, size)
	}
	held.Add(int64(n))
	return make([]byte, n)
}

// Drop gives a block back that Grab has returned. Nothing may use it after that.
func Drop(b []byte) {
	n := len(b)
	if n >= MediumBlock {
		held.Add(-int64(n))
	}
	for i, size := range sizes {
		if n == size {
			blocks[i].Put(unsafe.SliceData(b)) //nolint:gosec // Grab makes a slice of it again
			return
		}
	}
}

// How much of bodies the process holds before connections get less room, in bytes.
const (
	plenty = 4 << 20
	scarce = 6 << 20
)

// leastRoom is so many that what frames a piece, and what TLS makes of it, lie in a block of 2 KiB with it.
const leastRoom = 2<<10 - 128

// Room is how many bytes of a body are read at a time: less where much is held for peers that are slow.
func Room() int {
	switch n := held.Load(); {
	case n < plenty:
		return LargeBlock
	case n < scarce:
		return MediumBlock
	}
	return leastRoom
}

// Enough reports whether so many bytes wait for a peer that nothing more is read for it.
func Enough(queued int) bool { return queued >= Room()/4 }

// Count adds n bytes, negative to take them away, to what is held of bodies for slow peers where no block of this package holds it.
func Count(n int) { held.Add(int64(n)) }

// Held is how many bytes Room goes by: those in blocks that are not small, and what Count has added.
func Held() int64 { return held.Load() }

// Spare has what is used again and again by what runs on one loop. The zero Spare has nothing.
type Spare[T any] struct{ list []*T }

// Take returns one that was given back, as it was then, or a new one.
func (s *Spare[T]) Take() *T {
	n := len(s.list) - 1
	if n < 0 {
		return new(T)
	}
	t := s.list[n]
	s.list = s.list[:n]
	return t
}

// Give takes one back, unless there are as many as are kept.
func (s *Spare[T]) Give(t *T, most int) (kept bool) {
	if kept = len(s.list) < most; kept {
		s.list = append(s.list, t)
	}
	return kept
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

// Take drops n bytes from the front, or all if there are fewer. They stay readable until something is appended.
func (b *Buffer) Take(n int) {
	if n >= b.Len() {
		b.r, b.w = 0, 0
		return
	}
	b.r += uint32(n) //nolint:gosec // it is less than Len
}

// Append adds p, which may be held already.
func (b *Buffer) Append(p []byte) {
	if len(p) == 0 {
		return
	}
	b.reserve(len(p))
	b.w += uint32(copy(b.block[b.w:], p)) //nolint:gosec // blocks are small
}

// Feed has use take what it can of what is held and of p, which comes behind it, and holds the rest. Use returns how many bytes it took; it may
// have dropped what is held.
func (b *Buffer) Feed(p []byte, use func([]byte) int) {
	if b.Len() > 0 {
		b.Append(p)
		b.Take(use(b.Bytes()))
	} else {
		b.Append(p[use(p):])
	}
	if b.Len() == 0 {
		b.Drop()
	}
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
		need := held + n
		if need > LargeBlock { // below, the next size is twice as large anyway
			need = max(need, 2*held)
		}
		block := Grab(need)
		b.w = uint32(copy(block, b.Bytes())) //nolint:gosec // blocks are small
		Drop(b.block)
		b.block = block
	}
	b.r = 0
}

// Drop drops what is held, and gives the block back.
func (b *Buffer) Drop() {
	Drop(b.block)
	*b = Buffer{}
}
