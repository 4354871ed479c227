package freeport

import (
	"context"
	"net"
	"strconv"
	"testing"
)

func TestNoPortIsGivenTwice(t *testing.T) {
	seen := map[int]bool{}
	for range 2000 {
		port, err := Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if seen[port] || port < first || port >= first+count {
			t.Fatalf("got port %d; it was given before: %v", port, seen[port])
		}
		seen[port] = true
	}
}

func TestAPortInUseIsNotFree(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, port, _ := net.SplitHostPort(l.Addr().String()); isFree(t.Context(), atoi(t, port)) {
		t.Fatalf("port %s is listened on, and yet it is free", port)
	}
}

func TestWhenTheContextEndsNoPortIsFound(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if address, err := Address(ctx); err == nil {
		t.Fatalf("got %s, want an error", address)
	}
}

func atoi(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
