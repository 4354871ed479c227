package proxy

import (
	"bytes"
	"errors"
	"io"
	"net"
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

func TestGatheredBytesAreAllWrittenInOrder(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	g := newGathered(near)
	var want []byte
	go func() {
		for i := range 200 {
			piece := bytes.Repeat([]byte{byte(i)}, 1+i*i%9000) // small ones, and such as are written by themselves
			if _, err := g.Write(piece); err != nil {
				t.Error(err)
			}
		}
		_ = g.Close()
	}()
	for i := range 200 {
		want = append(want, bytes.Repeat([]byte{byte(i)}, 1+i*i%9000)...)
	}
	if got, err := io.ReadAll(far); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, want %d: %v", len(got), len(want), err)
	}
}

func TestGatheredConnectionsCloseAtOnce(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{"small pieces": 100, "a large piece": gatherPiece + 1} {
		b := &blocked{ended: make(chan struct{}), closed: make(chan struct{})}
		g := newGathered(b)
		if size > gatherPiece {
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
