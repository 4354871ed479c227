package proxy

import (
	"bufio"
	"bytes"
	"crypto/sha1" //nolint:gosec // RFC 6455 section 4.2.2
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// webSocket is an app that greets, then echoes frames unmasked until it gets a close frame, which it answers.
func webSocket(t *testing.T) string {
	t.Helper()
	return app(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" {
			http.Error(w, "no upgrade", http.StatusBadRequest)
			return
		}
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // as above
		fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n", base64.StdEncoding.EncodeToString(sum[:]))
		if offer := r.Header.Get("Sec-WebSocket-Protocol"); offer != "" {
			fmt.Fprintf(rw, "Sec-WebSocket-Protocol: %s\r\n", strings.Split(offer, ",")[0])
		}
		_, _ = rw.WriteString("\r\n")
		greeting := fmt.Sprintf("user=%s token=%v", r.Header.Get("X-User"), r.Header.Get("Authorization") != "")
		_, _ = rw.Write(append([]byte{0x81, byte(len(greeting))}, greeting...))
		_ = rw.Flush()
		for {
			op, payload, err := readFrame(rw.Reader)
			if err != nil {
				return
			}
			_, _ = rw.Write(append([]byte{0x80 | op, byte(len(payload))}, payload...))
			_ = rw.Flush()
			if op == 8 {
				return
			}
		}
	}).URL
}

// readFrame reads one short frame of either direction.
func readFrame(r *bufio.Reader) (op byte, payload []byte, err error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(r, head); err != nil {
		return 0, nil, err
	}
	var mask [4]byte
	if head[1]&0x80 != 0 {
		if _, err := io.ReadFull(r, mask[:]); err != nil {
			return 0, nil, err
		}
	}
	payload = make([]byte, head[1]&0x7f)
	_, err = io.ReadFull(r, payload)
	for i := range payload {
		payload[i] ^= mask[i%4]
	}
	return head[0] & 0x0f, payload, err
}

// masked is a frame of a client.
func masked(op byte, payload string) []byte {
	out := []byte{0x80 | op, 0x80 | byte(len(payload)), 1, 2, 3, 4}
	for i := range len(payload) {
		out = append(out, payload[i]^byte(i%4+1))
	}
	return out
}

// upgrade opens a WebSocket and returns the answer and what follows.
func upgrade(t *testing.T, addr, path string, headers ...string) (net.Conn, *bufio.Reader, *http.Response) {
	t.Helper()
	c := dial(t, addr)
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n", path, strings.Join(headers, ""))
	br := bufio.NewReader(c)
	res, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c, br, res
}

func TestWebSocket(t *testing.T) {
	t.Parallel()
	g := protect(t, webSocket(t), nil)
	c, br, res := upgrade(t, g.addr, "/orders/live", "Authorization: Bearer "+token()+"\r\n", "X-User: root\r\n")
	if res.StatusCode != 101 || res.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Fatalf("answer: %d %v", res.StatusCode, res.Header)
	}
	if op, payload, err := readFrame(br); err != nil || op != 1 || string(payload) != "user=alice token=true" {
		t.Errorf("greeting: %d %q %v", op, payload, err)
	}
	for _, text := range []string{"hello", "GET /orders/admin/x HTTP/1.1\r\n\r\n", "\n\x00"} {
		_, _ = c.Write(masked(1, text))
		if _, payload, err := readFrame(br); err != nil || string(payload) != text {
			t.Errorf("echo of %q: %q, %v", text, payload, err)
		}
	}
	_, _ = c.Write(masked(8, "\x03\xe8"))
	if op, _, err := readFrame(br); err != nil || op != 8 {
		t.Errorf("close: %d %v", op, err)
	}
	if _, err := br.ReadByte(); err != io.EOF { //nolint:errorlint // the end of the connection
		t.Errorf("after the close: %v", err)
	}
}

func TestWebSocketIsRefusedBeforeTheUpgrade(t *testing.T) {
	t.Parallel()
	g := protect(t, webSocket(t), nil)
	_, br, res := upgrade(t, g.addr, "/orders/live")
	body, _ := io.ReadAll(res.Body)
	if res.StatusCode != 401 || res.Header.Get("Upgrade") != "" || !bytes.Contains(body, []byte("NoToken")) || br.Buffered() > 0 {
		t.Errorf("%d %v %s", res.StatusCode, res.Header, body)
	}
}

// Bytes right behind the head, before the answer, are frames for an app that switches, or end the connection; to an app
// that does not switch they are a next request, which is judged like any other.
func TestBytesBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	const head = "GET /docs/live HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: "
	g := protect(t, webSocket(t), nil)
	got := raw(t, g.addr, head+"websocket\r\n\r\n"+string(masked(8, "")))
	if strings.Contains(got, "200 OK") {
		t.Errorf("switching: %q", got)
	}
	got = raw(t, g.addr, head+"other\r\n\r\nGET /orders/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if diff := cmp.Diff([]int{400, 401}, answers(t, got)); diff != "" {
		t.Errorf("not switching: %s\n%s", diff, got)
	}
}

func TestTokenInASubprotocol(t *testing.T) {
	t.Parallel()
	spec := orders()
	spec.Issuers[0].From = []policy.TokenLocation{{WebSocketProtocol: "bearer"}}
	g := protect(t, webSocket(t), nil, gatetest.Policy("orders", spec))
	for name, tt := range map[string]struct{ offer, want string }{
		"alone":          {"bearer, " + token(), "bearer"},
		"beside another": {"bearer, " + token() + ", chat", "chat"},
	} {
		_, br, res := upgrade(t, g.addr, "/orders/live", "Sec-WebSocket-Protocol: "+tt.offer+"\r\n")
		if res.StatusCode != 101 {
			t.Fatalf("%s: %d", name, res.StatusCode)
		}
		if diff := cmp.Diff([]string{tt.want}, res.Header["Sec-Websocket-Protocol"]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if _, payload, _ := readFrame(br); string(payload) != "user=alice token=false" {
			t.Errorf("%s: %q", name, payload)
		}
	}
}

// When the proxy drains, a WebSocket's client is told to go away, and its answer reaches the app.
func TestDrainClosesWebSockets(t *testing.T) {
	t.Parallel()
	g := protect(t, webSocket(t), nil)
	c, br, _ := upgrade(t, g.addr, "/docs/live")
	if _, _, err := readFrame(br); err != nil {
		t.Fatal(err)
	}
	g.stop()
	op, payload, err := readFrame(br)
	if err != nil || op != 8 || !bytes.Equal(payload, []byte{0x03, 0xe9}) {
		t.Fatalf("got %d %v %v, want a close frame with 1001", op, payload, err)
	}
	_, _ = c.Write(masked(8, "\x03\xe9"))
	if _, err := br.ReadByte(); err != io.EOF { //nolint:errorlint // the end of the connection
		t.Errorf("after the close: %v", err)
	}
	if err := <-g.stopped; err != nil {
		t.Error(err)
	}
	g.stopped <- nil
}

// TestTheEndOfADrainIsNoReset has a client that reads nothing of what the app says in a tunnel until the proxy has stopped.
func TestTheEndOfADrainIsNoReset(t *testing.T) {
	t.Parallel()
	said := bytes.Repeat([]byte("x"), 128<<10)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_, _ = rw.Write(said)
		_ = rw.Flush()
		_, _ = io.Copy(io.Discard, c)
	}))
	t.Cleanup(app.Close)
	g := protect(t, app.URL, func(c *Config) { c.Limits.Drain = 200 * time.Millisecond })
	c, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
	_, _ = io.WriteString(c, "GET /docs/live HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	br := bufio.NewReaderSize(c, 16)
	if line, err := br.ReadString('\n'); err != nil || !strings.Contains(line, "101") {
		t.Fatal(line, err)
	}
	g.stop()
	if err := <-g.stopped; err != nil {
		t.Error(err)
	}
	g.stopped <- nil
	if got, err := io.ReadAll(br); err != nil || !bytes.HasSuffix(got, said) {
		t.Errorf("%d bytes of the tunnel arrive, and %v; want %d and the end", len(got), err, len(said))
	}
}
