package proxy

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// blocked is a connection whose writes wait for ever, or until the deadline of writes is set.
type blocked struct {
	net.Conn
	once   sync.Once
	ended  chan struct{}
	closed chan struct{}
}

func (b *blocked) Write([]byte) (int, error)        { <-b.ended; return 0, io.ErrClosedPipe }
func (b *blocked) SetReadDeadline(time.Time) error  { return nil }
func (b *blocked) SetWriteDeadline(time.Time) error { b.once.Do(func() { close(b.ended) }); return nil }
func (b *blocked) Close() error                     { close(b.closed); return nil }

// held is a connection whose first write waits to be let go; it tells of the sizes of all.
type held struct {
	net.Conn
	sizes chan int
	goOn  chan struct{}
}

func (h *held) Write(b []byte) (int, error) {
	h.sizes <- len(b)
	<-h.goOn
	return len(b), nil
}

func TestGatheredBytesAreAllWrittenInOrder(t *testing.T) { //nolint:paralleltest // the wide blocks are the process's
	for name, taken := range map[string]int32{"wide blocks": 0, "no wide block to be had": gatherWides} {
		wideTaken.Add(taken)
		near, far := net.Pipe()
		g := newGathered(near)
		size := func(i int) int { return 1 + i*i%9000 + i%7/6*gatherPiece*i/10 } // small ones, and some larger than any block
		var want []byte
		go func() {
			for i := range 200 {
				if _, err := g.Write(bytes.Repeat([]byte{byte(i)}, size(i))); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			_ = g.Close()
		}()
		for i := range 200 {
			want = append(want, bytes.Repeat([]byte{byte(i)}, size(i))...)
		}
		if got, err := io.ReadAll(far); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, want %d: %v", name, len(got), len(want), err)
		}
		wideTaken.Add(-taken)
	}
}

// Four frames of the usual size are written at once, and what comes after them waits for room.
func TestGatheredFramesAreWrittenTogether(t *testing.T) { //nolint:paralleltest // the wide blocks are the process's
	h := &held{sizes: make(chan int), goOn: make(chan struct{})}
	g := newGathered(h)
	frame := make([]byte, 9+frameBytes)
	_, _ = g.Write(frame[:100])
	got := []int{<-h.sizes}
	for range 4 {
		_, _ = g.Write(frame)
	}
	more := make(chan struct{})
	go func() {
		defer close(more)
		_, _ = g.Write(frame)
	}()
	h.goOn <- struct{}{}
	got = append(got, <-h.sizes)
	h.goOn <- struct{}{}
	<-more
	got = append(got, <-h.sizes)
	close(h.goOn)
	if want := []int{100, 4 * len(frame), len(frame)}; !slices.Equal(got, want) {
		t.Errorf("writes of %v bytes, want %v", got, want)
	}
}

func TestGatheredConnectionsGiveWideBlocksBack(t *testing.T) { //nolint:paralleltest // counts those of the process
	for name, end := range map[string]func(g *gathered, far net.Conn){
		"all is written":                      func(_ *gathered, far net.Conn) { _, _ = io.CopyN(io.Discard, far, 2*gatherBytes) },
		"the client is gone":                  func(_ *gathered, far net.Conn) { _ = far.Close() },
		"closed while a client reads nothing": func(g *gathered, _ net.Conn) { _ = g.Close() },
	} {
		near, far := net.Pipe()
		g := newGathered(near)
		_, _ = g.Write(make([]byte, gatherBytes))
		eventually(t, name+": a piece is being written", func() bool {
			g.mu.Lock()
			defer g.mu.Unlock()
			return g.sending
		})
		_, _ = g.Write(make([]byte, gatherBytes))
		if n := wideTaken.Load(); n != 2 {
			t.Errorf("%s: %d wide blocks are used, want 2", name, n)
		}
		end(g, far)
		eventually(t, name+": all is given back", func() bool { return wideTaken.Load() == 0 })
		_ = near.Close()
		_ = far.Close()
	}
}

func TestGatheredConnectionsCloseAtOnce(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{
		"small pieces": 100, "a large piece": gatherPiece + 1, "a piece larger than any block": gatherWide + 1,
	} {
		b := &blocked{ended: make(chan struct{}), closed: make(chan struct{})}
		g := newGathered(b)
		if size > gatherWide {
			go func() { _, _ = g.Write(make([]byte, size)) }()
		} else {
			_, _ = g.Write(make([]byte, size))
		}
		_ = g.Close()
		<-b.closed
		if _, err := g.Write([]byte("a")); err == nil {
			t.Errorf("%s: written after Close", name)
		}
	}
}

func TestGatheredErrorsComeWithALaterWrite(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	g := newGathered(near)
	_ = far.Close()
	for { // what fails is whichever comes after the goroutine that writes
		if _, err := g.Write(make([]byte, 100)); err != nil {
			if !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("got %v", err)
			}
			return
		}
	}
}
