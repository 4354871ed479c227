package main

import (
	"context"
	"crypto/sha1" //nolint:gosec // RFC 6455 section 4.2.2
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
)

// tenMiB is an answer of 10 MiB.
var tenMiB = make([]byte, 10<<20)

// app is the process of the app.
type app struct {
	addr string
	cmd  *exec.Cmd
}

// startApp starts this program again, as the app.
func startApp(ctx context.Context) (*app, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	a := &app{cmd: exec.CommandContext(ctx, self, "app")} //nolint:gosec // this very program
	a.cmd.Stderr = os.Stderr
	out, err := a.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := a.cmd.Start(); err != nil {
		return nil, err
	}
	if _, err := fmt.Fscanln(out, &a.addr); err != nil {
		a.stop()
		return nil, err
	}
	return a, nil
}

func (a *app) stop() {
	_ = a.cmd.Process.Kill()
	_ = a.cmd.Wait()
}

// serveApp is the app. It speaks HTTP/1.1 and HTTP/2 without TLS.
func serveApp() {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // as long as the process
	if err != nil {
		fmt.Fprintln(os.Stderr, "app:", err)
		return
	}
	fmt.Println(l.Addr())
	s := &http.Server{Handler: http.HandlerFunc(answer), Protocols: &http.Protocols{}} //nolint:gosec // the sidecar alone comes here
	s.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 1 << 20}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	_ = s.Serve(l)
}

func answer(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/open/big":
		w.Header().Set("Content-Length", fmt.Sprint(len(tenMiB)))
		_, _ = w.Write(tenMiB)
	case "/open/chunks":
		for off := 0; off < len(tenMiB); off += 64 << 10 {
			if _, err := w.Write(tenMiB[off : off+64<<10]); err != nil {
				return
			}
		}
	case "/open/one":
		w.Header().Set("Content-Length", fmt.Sprint(1<<20))
		_, _ = w.Write(tenMiB[:1<<20])
	case "/open/endless":
		for {
			if _, err := w.Write(tenMiB[:64<<10]); err != nil {
				return
			}
		}
	case "/open/wait":
		<-r.Context().Done()
	case "/open/stall": // takes nothing of the body, until the process ends
		if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
			defer c.Close()
			select {}
		}
	case "/open/live", "/open/talks":
		live(w, r)
	default:
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "hello, world\n")
	}
}

// live is a WebSocket that says nothing and reads, or that talks and reads nothing.
func live(w http.ResponseWriter, r *http.Request) {
	c, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // as above
	fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(sum[:]))
	_ = rw.Flush()
	if r.URL.Path == "/open/live" {
		_, _ = io.Copy(io.Discard, c)
		return
	}
	for err == nil {
		_, err = c.Write(append([]byte{0x82, 126, 0x40, 0}, tenMiB[:16<<10]...)) // RFC 6455 section 5.2
	}
}
