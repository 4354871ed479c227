package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// attack is what each connection of a force does.
type attack struct {
	name  string
	conns int // 0: as many as the command line says
	files int // that one connection has the sidecar open: itself, one to the app, two of a pipe
	over  transport
	// open is called for each connection, and hold then until the attack ends; it returns early if the connection has
	// ended, and another takes its place. No hold: nothing is done and the connection stays.
	open func(c net.Conn, i int) error
	hold holder
}

// holder is what a connection does until the attack ends.
type holder = func(ctx context.Context, c net.Conn, i int)

// transport is what an attack's connections speak, and what the sidecar takes.
type transport int

const (
	plaintext transport = iota
	noTLS               // the sidecar takes TLS, and the connections are to begin with it
	overTLS             // a handshake has been done before open is called
)

const (
	get   = "GET /open/a HTTP/1.1\r\nHost: a\r\n"
	post  = "POST /open/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
	shake = "GET /open/live HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)

var attacks = []attack{
	{"slow heads", 0, 1, plaintext, say(get + "X-Slow: "), drip},
	{"slow bodies", 0, 4, plaintext, say(post), drip},
	{"slow bodies in chunks", 0, 4, plaintext, say("POST /open/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n"), drip},
	{"idle connections, kept alive", 0, 2, plaintext, sayAndRead(get+"\r\n", "hello, world\n"), nil},
	{"readers of nothing, 10 MiB", 0, 4, plaintext, say("GET /open/big HTTP/1.1\r\nHost: a\r\n\r\n"), nil},
	{"readers of nothing, chunks", 0, 2, plaintext, say("GET /open/chunks HTTP/1.1\r\nHost: a\r\n\r\n"), nil},
	{"idle WebSockets", 0, 4, plaintext, sayAndRead(shake, "\r\n\r\n"), nil},
	{"idle HTTP/2 connections", 0, 1, plaintext, frames(0), untilClosed},
	{"HTTP/2, 100 idle streams each", 100, 2, plaintext, frames(100), untilClosed},
	{"flood: forged tokens, 2000/s", 40, 2, plaintext, nil, flood(func(n int) string { return forged(n) })},
	{"flood: unknown kids, 2000/s", 40, 2, plaintext, nil, flood(func(n int) string {
		return stranger.Token(time.Now(), map[string]any{"jti": strconv.Itoa(n)})
	})},
	{"TLS: handshakes that stop", 0, 1, noTLS, say("\x16\x03\x01\x02\x00\x01\x00"), untilClosed},
	{"TLS: handshakes half done", 0, 1, noTLS, halfShake, untilClosed},
	{"TLS: slow heads", 0, 1, overTLS, say(get + "X-Slow: "), drip},
	{"TLS: slow bodies", 0, 2, overTLS, say(post), drip},
	{"TLS: idle connections, kept alive", 0, 2, overTLS, sayAndRead(get+"\r\n", "hello, world\n"), nil},
	{"TLS: readers of nothing, chunks", 0, 2, overTLS, say("GET /open/chunks HTTP/1.1\r\nHost: a\r\n\r\n"), nil},
}

// forged is a token whose signature is another's.
func forged(n int) string {
	a, b := corp.Token(time.Now(), map[string]any{"jti": strconv.Itoa(n)}), corp.Token(time.Now(), nil)
	return a[:bytes.LastIndexByte([]byte(a), '.')] + b[bytes.LastIndexByte([]byte(b), '.'):]
}

// force is the attackers.
type force struct {
	ctx     context.Context //nolint:containedctx // the attack's life
	sidecar *sidecar
	conns   int
	peak    float64 // of the sidecar's memory while the connections opened
	opened  atomic.Int64
	done    sync.WaitGroup
}

// attack begins to open all connections, and sends for each that it has been tried. They are held until ctx ends.
func (f *force) attack(a attack) (opened chan struct{}) {
	opened = make(chan struct{}, f.conns)
	places := make(chan struct{}, 64) // connecting at one time
	for i := range f.conns {
		f.done.Go(func() {
			first := sync.OnceFunc(func() { opened <- struct{}{} })
			for f.ctx.Err() == nil {
				places <- struct{}{}
				c, err := f.connect(i, a.over)
				if err == nil && a.open != nil {
					err = a.open(c, i)
				}
				<-places
				if err == nil {
					f.opened.Add(1)
				}
				first()
				if err != nil {
					if c != nil {
						_ = c.Close()
					}
					f.pause(time.Second)
					continue
				}
				f.hold(a, c, i)
				_ = c.Close()
			}
		})
	}
	return opened
}

// attackAll is attack, and returns once all connections have been tried.
func (f *force) attackAll(a attack) {
	opened := f.attack(a)
	for range f.conns {
		<-opened
		if len(opened)%64 == 0 {
			f.peak = max(f.peak, f.sidecar.rss())
		}
	}
}

func (f *force) hold(a attack, c net.Conn, i int) {
	if a.hold == nil {
		<-f.ctx.Done()
		return
	}
	a.hold(f.ctx, c, i)
}

func (f *force) pause(d time.Duration) {
	select {
	case <-f.ctx.Done():
	case <-time.After(d):
	}
}

// connect opens a connection from one of several addresses, since one has not enough ports, with a small window.
func (f *force) connect(i int, over transport) (net.Conn, error) {
	d := net.Dialer{
		Timeout:   10 * time.Second,
		LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%8))},
		Control: func(_, _ string, raw syscall.RawConn) error {
			return raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
		},
	}
	c, err := d.DialContext(f.ctx, "tcp", f.sidecar.addr)
	if err != nil || over != overTLS {
		return c, err
	}
	t := tls.Client(c, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // an attacker
	return t, t.HandshakeContext(f.ctx)
}

func say(text string) func(net.Conn, int) error {
	return func(c net.Conn, _ int) error {
		_, err := io.WriteString(c, text)
		return err
	}
}

// sayAndRead also reads an answer, which ends in end.
func sayAndRead(text, end string) func(net.Conn, int) error {
	return func(c net.Conn, _ int) error {
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.WriteString(c, text); err != nil {
			return err
		}
		buf := make([]byte, 0, 2048)
		for !bytes.HasSuffix(buf, []byte(end)) {
			n, err := c.Read(buf[len(buf):cap(buf)])
			if err != nil {
				return err
			}
			buf = buf[:len(buf)+n]
		}
		return nil
	}
}

// drip sends a byte each few seconds.
func drip(ctx context.Context, c net.Conn, i int) {
	t := time.NewTicker(3*time.Second + time.Duration(i%1000)*time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if _, err := c.Write([]byte{'a'}); err != nil {
				return
			}
		}
	}
}

// untilClosed reads until the connection ends.
func untilClosed(ctx context.Context, c net.Conn, _ int) {
	stop := context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Now()) })
	defer stop()
	_, _ = io.Copy(io.Discard, c)
}

// preface is what opens a connection of HTTP/2 and so many requests on it. Those without GET have a body.
func preface(streams int, method, path string, settings ...http2.Setting) *bytes.Buffer {
	var out, block bytes.Buffer
	out.WriteString(http2.ClientPreface)
	fr := http2.NewFramer(&out, nil)
	_ = fr.WriteSettings(settings...)
	_ = fr.WriteSettingsAck()
	enc := hpack.NewEncoder(&block)
	for i := range streams {
		block.Reset()
		for _, f := range [][2]string{{":method", method}, {":scheme", "http"}, {":authority", "a"}, {":path", path}} {
			_ = enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
		}
		_ = fr.WriteHeaders(http2.HeadersFrameParam{
			StreamID: uint32(2*i + 1), BlockFragment: block.Bytes(), EndHeaders: true, EndStream: method == "GET", //nolint:gosec // few
		})
	}
	return &out
}

// frames opens a connection of HTTP/2 and so many requests on it whose bodies never come. It waits until all has been read,
// or for a moment: the connection may have to wait for its turn.
func frames(streams int) func(net.Conn, int) error {
	return func(c net.Conn, _ int) error {
		out := preface(streams, "POST", "/open/a")
		fr := http2.NewFramer(out, c)
		_ = fr.WritePing(false, [8]byte{1})
		if _, err := c.Write(out.Bytes()); err != nil {
			return err
		}
		_ = c.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
		for {
			f, err := fr.ReadFrame()
			if p, ok := f.(*http2.PingFrame); ok && p.IsAck() || errors.Is(err, os.ErrDeadlineExceeded) {
				return c.SetReadDeadline(time.Time{})
			}
			if err != nil {
				return err
			}
		}
	}
}

// flood sends requests with tokens that are never the same twice, 50 a second on each connection.
func flood(token func(n int) string) holder {
	return func(ctx context.Context, c net.Conn, i int) {
		read := sayAndReadAnswer(c)
		t := time.NewTicker(20 * time.Millisecond)
		defer t.Stop()
		for n := 0; ctx.Err() == nil; n++ {
			<-t.C
			if read(fmt.Sprintf("GET /orders/1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n", token(i<<32+n))) != nil {
				return
			}
		}
	}
}

// sayAndReadAnswer sends requests and reads their refusals.
func sayAndReadAnswer(c net.Conn) func(string) error {
	return func(text string) error { return sayAndRead(text, "}\n")(c, 0) }
}

// halfShake begins a handshake and does not end it.
func halfShake(c net.Conn, _ int) error {
	_ = tls.Client(&firstWrite{Conn: c}, &tls.Config{InsecureSkipVerify: true}).Handshake() //nolint:gosec,noctx // an attacker; it fails
	return nil
}

// firstWrite is a connection of which only the first Write gets through.
type firstWrite struct {
	net.Conn
	done bool
}

// Write implements net.Conn.
func (f *firstWrite) Write(b []byte) (int, error) {
	if f.done {
		return 0, net.ErrClosed
	}
	f.done = true
	return f.Conn.Write(b)
}
