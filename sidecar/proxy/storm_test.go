package proxy

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
)

// Whatever clients begin and give up, no goroutine stays behind, and nobody gets another's bytes.
func TestAbortedRequestsLeaveNothing(t *testing.T) { //nolint:paralleltest // counts all goroutines of the process
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Of", r.Header.Get("X-From"))
		w.Header().Set("Trailer", "X-End")
		rc := http.NewResponseController(w)
		_ = rc.EnableFullDuplex()
		buf := make([]byte, 4096)
		for {
			n, err := r.Body.Read(buf)
			if _, werr := w.Write(buf[:n]); werr != nil || err != nil {
				break
			}
			_ = rc.Flush()
		}
		w.Header().Set("X-End", r.Trailer.Get("X-End"))
	}))
	upstream, _ := url.Parse(app.URL)
	p := open(t, Config{Limits: Limits{ReadHead: patience, Idle: patience, Write: patience}})
	before := runtime.NumGoroutine()
	var all sync.WaitGroup
	for i := range 200 {
		client, server := pair(t)
		all.Go(func() {
			ended := make(chan struct{})
			p.loops.serve(server, exchange.Info{Port: 80, Upstream: upstream, Remote: netip.MustParseAddr("127.0.0.1")}, func(netip.Addr) { close(ended) })
			<-ended
		})
		all.Go(func() {
			defer client.Close()
			_ = client.SetDeadline(time.Now().Add(patience))
			mark := fmt.Sprintf("%04d", i)
			piece := "1000\r\n" + strings.Repeat(mark, 1024) + "\r\n"
			send := "POST /a HTTP/1.1\r\nHost: a\r\nX-From: " + mark + "\r\nTrailer: X-End\r\nTransfer-Encoding: chunked\r\n\r\n" +
				strings.Repeat(piece, 20) + "0\r\nX-End: " + mark + "\r\n\r\n"
			whole := i%4 == 3
			if whole {
				send = strings.Replace(send, "Host: a", "Host: a\r\nConnection: close", 1)
			} else {
				send = send[:len(send)*(i%7)/7]
			}
			go func() {
				_, _ = io.WriteString(client, send)
				_ = client.CloseWrite()
			}()
			switch {
			case whole || i%4 == 0:
				checkMarks(t, client, mark, whole)
			case i%4 == 1:
				_, _ = io.ReadFull(client, make([]byte, 200))
			}
			_ = client.SetLinger(i % 2 * -1) // half of them with a reset
		})
	}
	all.Wait()
	app.Close()
	for end := time.Now().Add(patience); runtime.NumGoroutine() > before; <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// checkMarks reads an answer in which only one mark may be.
func checkMarks(t *testing.T, r io.Reader, mark string, whole bool) {
	b, err := io.ReadAll(r)
	if whole && (err != nil || !strings.HasSuffix(string(b), "0\r\nX-End: "+mark+"\r\n\r\n")) {
		t.Errorf("%s: %v, %d bytes ending in %q", mark, err, len(b), b[max(0, len(b)-40):])
	}
	_, body, _ := strings.Cut(string(b), "\r\n\r\n")
	for _, line := range strings.Split(body, "\r\n") {
		if len(line) >= 1000 && !strings.Contains(strings.Repeat(mark, len(line)/len(mark)+2), line) {
			t.Errorf("%s: other bytes: %.80q", mark, line)
		}
	}
}
