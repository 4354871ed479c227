package head

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What ParseResponse accepts, net/http accepts too, with the same status, fields and framing.
func FuzzParseResponse(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A: b\r\n\r\nabc"))
	f.Add([]byte("HTTP/1.0 304 \r\nConnection: keep-alive\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		end := End(b, 0)
		var r Response
		if end == 0 || ParseResponse(b[:end], Limits{Bytes: 1 << 16, Fields: 100}, &r) != nil {
			return
		}
		want, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), nil)
		if r.bodiless() { // net/http looks at framing nobody asks for
			if r.Chunked || r.KeepAlive && bytes.Contains(bytes.ToLower(b[:end]), []byte("\r\ntransfer-encoding:")) {
				t.Errorf("status %d: chunked %v, and the connection is used again", r.Status, r.Chunked)
			}
			return
		}
		if err != nil {
			t.Fatalf("net/http refuses it: %v", err)
		}
		if r.Status != want.StatusCode || r.Chunked != (len(want.TransferEncoding) > 0) {
			t.Errorf("status %d, chunked %v; net/http %d, %v", r.Status, r.Chunked, want.StatusCode, want.TransferEncoding)
		}
		if r.Status >= 200 && !r.Chunked && r.Length != want.ContentLength {
			t.Errorf("length %d; net/http %d", r.Length, want.ContentLength)
		}
		sameFields(t, r.Fields, want.Header)
	})
}

// sameFields compares fields with net/http's; those of framing, which it takes out, are left aside.
func sameFields(t *testing.T, got []Field, want http.Header) {
	t.Helper()
	all := http.Header{}
	for _, f := range got {
		switch f.Kind {
		case Host, ContentLength, TransferEncoding, Trailer, Connection:
		default:
			name := textproto.CanonicalMIMEHeaderKey(string(f.Name))
			all[name] = append(all[name], string(f.Value))
		}
	}
	for name, values := range all {
		if !slices.Equal(values, want[name]) {
			t.Errorf("%q: %q; net/http %q", name, values, want[name])
		}
	}
}

// What ParseRequest accepts, net/http accepts too, with the same method, target, fields and framing.
func FuzzParseRequest(f *testing.F) {
	f.Add([]byte("GET /a?b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"))
	f.Add([]byte("POST http://a/b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"))
	f.Add([]byte("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"))
	f.Add([]byte("OPTIONS * HTTP/1.1\r\nHost:\r\nX-A: \tb \r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		end := End(b, 0)
		var r Request
		if end == 0 || ParseRequest(b[:end], Limits{Bytes: 1 << 16, Fields: 100}, &r) != nil {
			return
		}
		want, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b)))
		if err != nil {
			// It also looks into the target and the host, which package gate does for us: it must be about these.
			if want, err = http.ReadRequest(bufio.NewReader(strings.NewReader(harmless(&r)))); err != nil {
				t.Fatalf("net/http refuses it: %v", err)
			}
			r.Target = []byte("/")
		}
		if string(r.Method) != want.Method || string(r.Target) != want.RequestURI {
			t.Errorf("request line: %q %q, net/http %q %q", r.Method, r.Target, want.Method, want.RequestURI)
		}
		chunked := len(want.TransferEncoding) > 0
		if r.Chunked != chunked || !chunked && r.Length != max(0, want.ContentLength) && string(r.Method) != "PRI" {
			t.Errorf("framing: chunked %v, length %d; net/http %v, %d", r.Chunked, r.Length, chunked, want.ContentLength)
		}
		if r.KeepAlive == want.Close {
			t.Errorf("keep-alive %v; net/http closes: %v", r.KeepAlive, want.Close)
		}
		sameFields(t, r.Fields, want.Header)
	})
}

// harmless is the request with another target, and another host if it has one.
func harmless(r *Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s / HTTP/1.%d\r\n", r.Method, r.Minor)
	for _, f := range r.Fields {
		if f.Kind == Host {
			f.Value = []byte("a")
		}
		fmt.Fprintf(&b, "%s: %s\r\n", f.Name, f.Value)
	}
	return b.String() + "\r\n"
}

// Where Chunks finds the end of a body, net/http's reader finds it too, whatever the steps.
func FuzzChunks(f *testing.F) {
	f.Add([]byte("3\r\nabc\r\n0\r\n\r\n"), 1)
	f.Add([]byte("1;a=b\r\nx\r\n0\r\nA: b\r\n\r\nrest"), 3)
	f.Fuzz(func(t *testing.T, b []byte, step int) {
		rest, done, err := scanAll(string(b), max(1, step))
		all, allDone, allErr := scanAll(string(b), len(b)+1)
		if done != allDone || err != allErr || err == nil && rest != all { //nolint:errorlint // constants
			t.Fatalf("steps of %d: %q %v %v; at once: %q %v %v", step, rest, done, err, all, allDone, allErr)
		}
		if !done || err != nil {
			return
		}
		const head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
		br := bufio.NewReader(strings.NewReader(head + string(b)))
		r, err := http.ReadRequest(br)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return // stricter about trailers, say; then it closes
		}
		left, err := io.ReadAll(br)
		if err != nil || string(left) != all {
			t.Errorf("net/http leaves %s, we %s", strconv.Quote(string(left)), strconv.Quote(all))
		}
	})
}
