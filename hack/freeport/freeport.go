// Package freeport finds ports of the loopback interface for programs that must be told one before they start.
//
// A port that the kernel picks (port 0) and that is closed again can be picked at once by somebody else, as another listener's or as the local
// port of a connection. So the ports here lie below those the kernel picks from (Linux: 32768 and above, ip(7), ip_local_port_range) and below
// the node ports of Kubernetes (30000 and above), and a process gets none twice.
package freeport

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

const (
	first = 20000
	count = 10000
)

var (
	mu    sync.Mutex
	given = map[int]bool{}
)

// Get returns a port that nobody listens on. It is safe for concurrent use.
func Get(ctx context.Context) (int, error) {
	for range 100 {
		if err := ctx.Err(); err != nil {
			return 0, fmt.Errorf("find a free port: %w", err)
		}
		port := first + rand.IntN(count)
		if take(port) && isFree(ctx, port) {
			return port, nil
		}
	}
	return 0, errors.New("find a free port: 100 of them were in use")
}

// Address returns 127.0.0.1 with a port that nobody listens on. It is safe for concurrent use.
func Address(ctx context.Context) (string, error) {
	port, err := Get(ctx)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), nil
}

// A Test is what a *testing.T does.
type Test interface {
	Context() context.Context
	Helper()
	Fatal(args ...any)
}

// For returns an Address for a test, which fails when there is none.
func For(t Test) string {
	t.Helper()
	address, err := Address(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return address
}

func take(port int) bool {
	mu.Lock()
	defer mu.Unlock()
	if given[port] {
		return false
	}
	given[port] = true
	return true
}

func isFree(ctx context.Context, port int) bool {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return l.Close() == nil
}
