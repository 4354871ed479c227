package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"golang.org/x/net/http2"
)

// sieges are the attacks that have the kernel hold much for sockets. No attacker has a token: the app's paths below /open take none.
var sieges = []attack{
	{"bodies that are refused", 50, 1, plaintext, nil, refused},
	{"bodies that are refused", 200, 1, plaintext, nil, refused},
	{"bodies, then requests, no refusal is read", 200, 2, plaintext, nil, grown(pump(unauthorized))},
	{"pipelined requests, no refusal is read", 100, 1, plaintext, nil, pump(unauthorized)},
	{"pipelined requests, no refusal is read", 1000, 1, plaintext, nil, pump(unauthorized)},
	{"readers of nothing, 1 MiB", 1000, 4, plaintext, say("GET /open/one HTTP/1.1\r\nHost: a\r\n\r\n"), nil},
	{"readers of nothing, 10 MiB", 1000, 4, plaintext, say("GET /open/big HTTP/1.1\r\nHost: a\r\n\r\n"), nil},
	{"readers of nothing, no end", 100, 2, plaintext, say("GET /open/endless HTTP/1.1\r\nHost: a\r\n\r\n"), nil},
	{"bodies, then requests behind one that waits", 200, 2, plaintext, nil, grown(pump(waits))},
	{"requests behind one that waits", 4000, 2, plaintext, nil, pump(waits)},
	{"uploads in chunks to an app that takes nothing", 1000, 2, plaintext, say("POST /open/stall HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"), pump(chunk)},
	{"uploads to it, left and begun again", 20, 4, plaintext, say("POST /open/stall HTTP/1.1\r\nHost: a\r\nContent-Length: 1073741824\r\n\r\n"), leaving(pump(chunk))},
	{"WebSockets that the app writes to", 1000, 4, plaintext, say(strings.Replace(shake, "live", "talks", 1)), nil},
	{"WebSockets that both write to", 1000, 4, plaintext, say(strings.Replace(shake, "live", "talks", 1)), pump(message)},
	{"HTTP/2, 20 answers of 10 MiB each, unread", 200, 2, plaintext, unread(20), nil},
	{"TLS: readers of nothing, 10 MiB", 1000, 2, overTLS, say("GET /open/big HTTP/1.1\r\nHost: a\r\n\r\n"), nil},
	{"TLS: bodies, then requests behind one that waits", 50, 2, overTLS, nil, grown(pump(waits))},
}

// What attackers write again and again.
var (
	unauthorized = bytes.Repeat([]byte("GET /orders/1 HTTP/1.1\r\nHost: a\r\n\r\n"), 400)
	waits        = bytes.Repeat([]byte("GET /open/wait HTTP/1.1\r\nHost: a\r\n\r\n"), 400)
	chunk        = append(append([]byte("4000\r\n"), tenMiB[:16<<10]...), "\r\n"...)
	message      = append([]byte{0x82, 0xfe, 0x40, 0, 0, 0, 0, 0}, tenMiB[:16<<10]...) // RFC 6455 section 5.2
)

// pump writes a text again and again until the connection ends.
func pump(text []byte) holder {
	return func(ctx context.Context, c net.Conn, _ int) {
		stop := context.AfterFunc(ctx, func() { _ = c.SetWriteDeadline(time.Now()) })
		defer stop()
		for {
			if _, err := c.Write(text); err != nil {
				return
			}
		}
	}
}

// refused uploads bodies that are refused, on one connection after the other.
func refused(ctx context.Context, c net.Conn, _ int) {
	_ = upload(ctx, c, "/orders/1")
}

// grown uploads two bodies, for which the kernel makes the receive buffer larger, and goes on with another.
func grown(then holder) holder {
	return func(ctx context.Context, c net.Conn, i int) {
		for range 2 {
			if upload(ctx, c, "/open/a") != nil {
				return
			}
		}
		then(ctx, c, i)
	}
}

// upload uploads a body, and reads the beginning of the answer.
func upload(ctx context.Context, c net.Conn, path string) error {
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now()) })
	defer stop()
	if _, err := fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", path, len(tenMiB)); err != nil {
		return err
	}
	if _, err := c.Write(tenMiB); err != nil {
		return err
	}
	_, err := c.Read(make([]byte, 4096))
	return err
}

// leaving resets the connection a moment later, with what it has written still on its way.
func leaving(h holder) holder {
	return func(ctx context.Context, c net.Conn, i int) {
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetLinger(0)
		}
		ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
		h(ctx, c, i)
	}
}

// unread opens a connection of HTTP/2 with so many requests for large answers, and has windows for all of them.
func unread(streams int) func(net.Conn, int) error {
	return func(c net.Conn, _ int) error {
		const window = 1 << 30
		out := preface(streams, "GET", "/open/big", http2.Setting{ID: http2.SettingInitialWindowSize, Val: window})
		_ = http2.NewFramer(out, nil).WriteWindowUpdate(0, window)
		_, err := c.Write(out.Bytes())
		return err
	}
}
