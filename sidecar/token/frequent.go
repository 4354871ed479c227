package token

import (
	"math/bits"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"
)

// frequentAfter is how often a token has to be found before its text is kept, in place of the one that is there. Each time
// costs a copy of a token, so the few tokens that are used often must be told from the many that are used now and then.
const frequentAfter = 256

// bytesPerPlace sizes the table: a token takes about as much.
const bytesPerPlace = 1 << 10

// frequent is the texts of the tokens that are used most: to compare 800 bytes takes a fiftieth of the time that it takes
// to digest them. Each token has one place, where another may be; a place that is empty goes to the first who wants it.
// A text leads to an entry, which may have been pushed out of the table since, and ends with it.
type frequent[T any] struct {
	max    int64 // immutable, as is places
	places []atomic.Pointer[hot[T]]
	bytes  atomic.Int64
}

// hot is a token whose text is kept. It is immutable.
type hot[T any] struct {
	key  cacheKey
	node *node[T]
}

func (f *frequent[T]) init(maxBytes int64) {
	f.max = maxBytes
	f.places = make([]atomic.Pointer[hot[T]], 1<<bits.Len64(uint64(maxBytes/bytesPerPlace)))
}

func (f *frequent[T]) place(hash uint64) *atomic.Pointer[hot[T]] {
	return &f.places[hash&uint64(len(f.places)-1)]
}

// find returns the entry of a token whose text is kept, expired or not; else nil.
func (f *frequent[T]) find(hash uint64, k cacheKey) *node[T] {
	if h := f.place(hash).Load(); h != nil && h.key == k {
		return h.node
	}
	return nil
}

// offer keeps the text of a token if its place is empty, or has a token that has expired.
func (f *frequent[T]) offer(raw string, n *node[T], now time.Time) {
	if h := f.place(n.hash).Load(); h == nil || h.node.expired(now) {
		f.put(raw, n)
	}
}

// dropExpired gives up the text of a token that must not be known any more.
func (f *frequent[T]) dropExpired(hash uint64, k cacheKey, now time.Time) {
	place := f.place(hash)
	if h := place.Load(); h != nil && h.key == k && h.node.expired(now) && place.CompareAndSwap(h, nil) {
		f.bytes.Add(-h.bytes())
	}
}

// put keeps a copy of a token's text, if the bound allows it.
func (f *frequent[T]) put(raw string, n *node[T]) {
	place := f.place(n.hash)
	old := place.Load()
	more := int64(len(raw)) + hotBytes + int64(n.bytes) // of the entry, since it may be pushed out of the table
	if old != nil {
		more -= old.bytes()
	}
	if f.bytes.Add(more) > f.max || !place.CompareAndSwap(old, &hot[T]{cacheKey{strings.Clone(raw), n.location}, n}) {
		f.bytes.Add(-more)
	}
}

// hotBytes is what it takes to keep a text besides the text and the entry: the hot and its place.
const hotBytes = int64(unsafe.Sizeof(hot[struct{}]{})) + 2*8

func (h *hot[T]) bytes() int64 { return int64(len(h.key.raw)) + hotBytes + int64(h.node.bytes) }
