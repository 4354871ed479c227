package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// server is an app over TLS that knows its connections.
type server struct {
	address string
	closed  chan struct{} // one for each connection that ends

	mu     sync.Mutex
	tokens map[string]int // requests with each
	conns  map[string]bool
}

func start(t *testing.T, status int) *server {
	t.Helper()
	s := &server{tokens: map[string]int{}, conns: map[string]bool{}, closed: make(chan struct{}, 1000)}
	ts := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.tokens[r.Proto+" "+r.URL.Path+" "+r.Header.Get("Authorization")]++
		s.conns[r.RemoteAddr] = true
		s.mu.Unlock()
		w.WriteHeader(status)
	}))
	ts.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			s.closed <- struct{}{}
		}
	}
	ts.EnableHTTP2 = true
	ts.StartTLS()
	t.Cleanup(ts.Close)
	s.address = ts.Listener.Addr().String()
	return s
}

func TestConnectionsAreHeldUntilInputEnds(t *testing.T) {
	t.Parallel()
	const count = 3*inTurns + 1
	s := start(t, http.StatusOK)
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte("a\nb\nc\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	in, release := io.Pipe()
	line, out := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(t.Context(), []string{"-c", "49", "-p", "/x", "-t", file, "-k", "2", s.address}, in, out)
		out.Close()
	}()
	var got result
	if err := json.NewDecoder(line).Decode(&got); err != nil || got.Requests != count {
		t.Fatalf("%+v, %v; want %d requests", got, err, count)
	}
	s.mu.Lock()
	if a, b := s.tokens["HTTP/1.1 /x Bearer a"], s.tokens["HTTP/1.1 /x Bearer b"]; a != 25 || b != 24 || len(s.conns) != count {
		t.Errorf("%v on %d connections; want tokens a and b in turn, each request on a connection of its own", s.tokens, len(s.conns))
	}
	s.mu.Unlock()
	if len(s.closed) != 0 {
		t.Errorf("%d connections are closed", len(s.closed))
	}
	release.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for range count {
		<-s.closed
	}
}

func TestWhatIsNotAnsweredIsAnError(t *testing.T) {
	t.Parallel()
	refuses := start(t, http.StatusUnauthorized).address
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"a request is refused":       {[]string{"-c", "3", refuses}, "401 Unauthorized"},
		"nothing listens":            {[]string{"-c", "3", "127.0.0.1:1"}, "connection refused"},
		"no address":                 {nil, "usage"},
		"no connections":             {[]string{"-c", "0", refuses}, "usage"},
		"a file that is not there":   {[]string{"-t", "/nowhere/tokens", refuses}, "/nowhere/tokens"},
		"a file that has no token":   {[]string{"-t", os.DevNull, refuses}, "has no token"},
		"a flag that does not exist": {[]string{"-x", refuses}, "-x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			err := run(t.Context(), tt.args, strings.NewReader(""), &out)
			if err == nil || !strings.Contains(err.Error(), tt.want) || out.Len() > 0 {
				t.Errorf("%v and %q, want an error with %q and no line", err, out.String(), tt.want)
			}
		})
	}
}
