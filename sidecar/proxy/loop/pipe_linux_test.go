package loop_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

func TestBytesGoThroughAPipe(t *testing.T) {
	t.Parallel()
	l := start(t, loop.Options{})
	pipe, err := loop.NewPipe()
	if err != nil {
		t.Fatal(err)
	}
	to, taker := pair(t, l, &handler{})
	var from *loop.Conn
	move := func(*loop.Conn) {
		for {
			if pipe.Held() > 0 {
				if _, err := pipe.Drain(to); err != nil || pipe.Held() > 0 {
					return
				}
			}
			n, err := pipe.Fill(from, 1<<20)
			if err != nil {
				pipe.Release()
				to.Close()
				return
			}
			if n == 0 {
				return
			}
		}
	}
	from, giver := pair(t, l, &handler{readable: func(c *loop.Conn) {
		if from != nil {
			move(c)
		}
	}})
	on(t, l, func() { to.Handle(&handler{drained: move}); from.Again() })
	sent := noise(8 << 20)
	go func() {
		_, _ = giver.Write(sent)
		_ = giver.CloseWrite()
	}()
	if got, err := io.ReadAll(taker); err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("got %d bytes, %v; want the %d that were sent", len(got), err, len(sent))
	}
}
