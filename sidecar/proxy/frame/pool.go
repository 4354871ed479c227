package frame

import "math/bits"

// Pool is what connections of one owner share: storage that they use one after the other. A Pool belongs to one goroutine.
type Pool struct {
	streams []*stream
	buffers [8][][]byte
	block   []byte  // a field block that is encoded
	fields  []Field // of the block that is decoded
	scratch []byte  // a field of it
	head    Head
}

const (
	smallest    = 9         // log2 of the smallest buffer's bytes; the largest has 64 KiB
	keepBytes   = 512 << 10 // of buffers of a size
	keepStreams = 1024
)

// buffer returns an empty one with room for n bytes.
func (p *Pool) buffer(n int) []byte {
	class := max(bits.Len(uint(max(n, 1)-1)), smallest) - smallest
	if class >= len(p.buffers) || len(p.buffers[class]) == 0 {
		return make([]byte, 0, 1<<(class+smallest))
	}
	free := p.buffers[class]
	b := free[len(free)-1]
	p.buffers[class] = free[:len(free)-1]
	return b
}

// put takes a buffer back. One that append has grown goes to the collector.
func (p *Pool) put(b []byte) {
	class := bits.Len(uint(cap(b))) - 1 - smallest
	if class < 0 || class >= len(p.buffers) || cap(b) != 1<<(class+smallest) || len(p.buffers[class]) >= keepBytes>>(class+smallest) {
		return
	}
	p.buffers[class] = append(p.buffers[class], b[:0])
}

// grow returns b with room for n bytes more.
func (p *Pool) grow(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	wider := append(p.buffer(len(b)+n), b...)
	p.put(b)
	return wider
}

func (p *Pool) stream(id uint32) *stream {
	n := len(p.streams) - 1
	if n < 0 {
		return &stream{id: id}
	}
	st := p.streams[n]
	p.streams, st.id = p.streams[:n], id
	return st
}

// drop takes back a stream that is in no list.
func (p *Pool) drop(st *stream) {
	p.put(st.queue)
	p.put(st.trailers)
	*st = stream{}
	if len(p.streams) < keepStreams {
		p.streams = append(p.streams, st)
	}
}
