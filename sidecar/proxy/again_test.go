package proxy

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// refusesFirst is an app of HTTP/2 that refuses the first request unseen, the third and so on. It answers the others by how many bytes came.
func refusesFirst(t *testing.T) (url string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	var asked atomic.Int32
	serve := func(c net.Conn) {
		defer c.Close()
		if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
			return
		}
		f := http2.NewFramer(c, c)
		_ = f.WriteSettings()
		for came := 0; ; {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			data, ok := frame.(*http2.DataFrame)
			if !ok {
				continue
			}
			if came += len(data.Data()); !data.StreamEnded() {
				continue
			}
			if asked.Add(1)%2 == 1 {
				_ = f.WriteRSTStream(data.StreamID, http2.ErrCodeRefusedStream)
			} else {
				var block strings.Builder
				enc := hpack.NewEncoder(&block)
				_ = enc.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
				_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: data.StreamID, BlockFragment: []byte(block.String()), EndHeaders: true})
				_ = f.WriteData(data.StreamID, true, fmt.Append(nil, came))
			}
			came = 0
		}
	}
	go func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			go serve(c)
		}
	}()
	return "http://" + l.Addr().String()
}

// What is kept of requests so that they can be sent again takes only so much: where much is held already, nothing is kept.
func TestNothingIsKeptToBeSentAgainWhereMuchIsHeld(t *testing.T) { //nolint:paralleltest // what is held is the process's
	const much = 3 << 20
	g := protect(t, refusesFirst(t), func(c *Config) { c.AppProtocol = AppH2C })
	c := client(t, true)
	post := func() string {
		res, text := ask(t, c, request(t, "POST", "http://"+g.addr+"/docs/a", strings.NewReader("abc")))
		return fmt.Sprint(res.StatusCode, " ", text)
	}
	if got := post(); got != "200 3" {
		t.Errorf("got %s", got)
	}
	loop.Count(much)
	got := post()
	loop.Count(-much)
	if !strings.HasPrefix(got, "502 ") {
		t.Errorf("where much is held, got %s", got)
	}
}

// A body that was read for the gate is sent again, too.
func TestMCPBodiesAreSentAgain(t *testing.T) {
	t.Parallel()
	g := protect(t, refusesFirst(t), func(c *Config) { c.AppProtocol = AppH2C }, gatetest.Policy("server", mcpServer()))
	message := toolCall("get_user", 0)
	res, text := ask(t, client(t, true), request(t, "POST", "http://"+g.addr+"/mcp", strings.NewReader(message),
		"Authorization", "Bearer "+token(), "Content-Type", "application/json"))
	if want := fmt.Sprint(len(message)); res.StatusCode != 200 || text != want {
		t.Errorf("got %s %q, want %s bytes", res.Status, text, want)
	}
}
