package proxy

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// takesThird is an app of HTTP/2 that takes nothing of the first two requests' bodies, and answers others.
func takesThird(t *testing.T) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
			return
		}
		f := http2.NewFramer(c, c)
		_ = f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			id := frame.Header().StreamID
			if _, ok := frame.(*http2.HeadersFrame); ok && id > 3 {
				_ = f.WriteWindowUpdate(0, 1<<16) // the others have had all of it
				_ = f.WriteWindowUpdate(id, 1<<16)
			}
			if data, ok := frame.(*http2.DataFrame); ok && data.StreamEnded() {
				_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte{0x88}, EndHeaders: true, EndStream: true})
			}
		}
	}()
	return "http://" + l.Addr().String()
}

// asked counts what has been read.
type asked struct {
	io.Reader
	n atomic.Int64
}

func (a *asked) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	a.n.Add(int64(n))
	return n, err
}

// Where much is held, a body that nobody takes holds up the others of its connection. They are not refused for that, and go on once less is held.
func TestBodiesWaitForOthersAndGoOn(t *testing.T) { //nolint:paralleltest // what is held is the process's
	const much, limit = 5 << 20, time.Second
	g := protect(t, takesThird(t), func(c *Config) {
		c.AppProtocol = AppH2C
		c.Limits.ReadHead, c.Limits.BodyRate = limit, 1
	})
	c := client(t, true)
	loop.Count(much)
	held := true
	release := func() {
		if held {
			held = false
			loop.Count(-much)
		}
	}
	t.Cleanup(release)
	for _, window := range []int64{256 << 10, 64 << 10} { // that of a stream, and what of it has been passed on, and so is free again
		stuck := &asked{Reader: strings.NewReader(strings.Repeat("a", 1<<20))}
		go func() {
			if res, err := c.Do(request(t, "POST", "http://"+g.addr+"/docs/a", stuck)); err == nil {
				_ = res.Body.Close()
			}
		}()
		until(t, "the window is used up", patience, func() bool { return stuck.n.Load() >= window })
	}
	answered := make(chan string, 1)
	go func() {
		res, err := c.Do(request(t, "POST", "http://"+g.addr+"/docs/b", strings.NewReader("abc")))
		if err != nil {
			answered <- err.Error()
			return
		}
		_ = res.Body.Close()
		answered <- res.Status
	}()
	begun := time.Now()
	until(t, "as long has passed as a body may take none of its time", patience, func() bool { return time.Since(begun) > 3*limit })
	select {
	case got := <-answered:
		t.Fatalf("while much is held, the answer is %s", got)
	default:
	}
	release()
	if got := <-answered; got != "200 OK" {
		t.Errorf("got %s", got)
	}
}
