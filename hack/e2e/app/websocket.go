package main

import (
	"bufio"
	"context"
	"crypto/sha1" //nolint:gosec // RFC 6455 section 4.2.2 wants it
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Opcodes of frames (RFC 6455 section 5.2), with the bit of a last fragment set. Nobody here sends others.
const (
	frameText  = 0x81
	frameClose = 0x88
)

const (
	socketKey = "dGhlIHNhbXBsZSBub25jZQ=="
	goingAway = 1001 // RFC 6455 section 7.4.1
)

// echo sends each message back, until the client closes.
func echo(w http.ResponseWriter, r *http.Request) {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		http.Error(w, "no WebSockets here", http.StatusNotImplemented)
		return
	}
	conn, both, err := hijacker.Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // as above
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
	for {
		kind, data, err := readFrame(both.Reader)
		if err != nil {
			return
		}
		if _, err := conn.Write(append([]byte{kind, byte(len(data))}, data...)); err != nil || kind == frameClose {
			return
		}
	}
}

// converse holds one WebSocket and sends messages that come back, until ctx ends or the server closes it as it should:
// with a close frame that says that it goes away. Anything else is an error.
func (c *class) converse(ctx context.Context, url, token string) error {
	conn, r, err := upgrade(ctx, url, token)
	if err != nil {
		return err
	}
	defer conn.Close()
	for ctx.Err() == nil {
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := conn.Write(masked(frameText, []byte("hello"))); err != nil {
			return fmt.Errorf("no close frame: %w", err)
		}
		kind, data, err := readFrame(r)
		switch {
		case err != nil:
			return fmt.Errorf("no close frame: %w", err)
		case kind == frameClose && len(data) >= 2 && binary.BigEndian.Uint16(data) == goingAway:
			_, _ = conn.Write(masked(frameClose, data[:2])) // the server may be gone before it reads that
			c.mu.Lock()
			defer c.mu.Unlock()
			c.told++
			return nil
		case kind != frameText || string(data) != "hello":
			return fmt.Errorf("frame %#x: %q", kind, data)
		}
		c.count(0)
		wait(ctx, c.pause)
	}
	return nil
}

func upgrade(ctx context.Context, url, token string) (net.Conn, *bufio.Reader, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, nil, err
	}
	for name, value := range map[string]string{
		"Authorization": "Bearer " + token, "Connection": "Upgrade", "Upgrade": "websocket",
		"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": socketKey,
	} {
		request.Header.Set(name, value)
	}
	host := request.URL.Host
	if !strings.Contains(host, ":") {
		host += ":80"
	}
	dialer := net.Dialer{Timeout: 10 * time.Second}
	conn, err := dialer.DialContext(context.WithoutCancel(ctx), "tcp", host)
	if err != nil {
		return nil, nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	r := bufio.NewReader(conn)
	err = request.Write(conn)
	if err == nil {
		var response *http.Response
		if response, err = http.ReadResponse(r, request); err == nil && response.StatusCode != http.StatusSwitchingProtocols { //nolint:bodyclose // ends with the connection
			err = errors.New(response.Status)
		}
	}
	if err != nil {
		_ = conn.Close()
		return nil, nil, fmt.Errorf("upgrade: %w", err)
	}
	return conn, r, nil
}

// masked returns a short frame as clients send it (RFC 6455 section 5.3); a mask of zeros changes nothing.
func masked(kind byte, data []byte) []byte {
	return append([]byte{kind, 0x80 | byte(len(data)), 0, 0, 0, 0}, data...)
}

// readFrame reads a frame of less than 126 bytes and unmasks it.
func readFrame(r *bufio.Reader) (kind byte, data []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	size := int(head[1] & 0x7f)
	if size > 125 {
		return 0, nil, errors.New("a frame of more than 125 bytes")
	}
	var mask [4]byte
	if head[1]&0x80 != 0 {
		if _, err := io.ReadFull(r, mask[:]); err != nil {
			return 0, nil, err
		}
	}
	data = make([]byte, size)
	_, err = io.ReadFull(r, data)
	for i := range data {
		data[i] ^= mask[i%4]
	}
	return head[0], data, err
}
