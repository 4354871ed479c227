package exposure

import (
	"context"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
)

// Config is what a Watch needs.
type Config struct {
	// Behind are the app's ports that the sidecar forwards to from others, so that the app itself need not be reachable there.
	// Empty where every port is captured.
	Behind []uint16
	// Captured says that every port is captured and requests go to the address that was dialled.
	Captured bool
	// Own are the sidecar's ports.
	Own []uint16
	// Found is told, after each look, of the ports that listen for others and, of those, the ones that lie behind the sidecar. Nil:
	// nobody is.
	Found func(open, bypass []uint16)
	Log   logr.Logger
	// Read returns the kernel's tables. Nil: those of this network namespace.
	Read func() ([]netip.AddrPort, error)
}

// Watch looks now and then. Make it with New; it runs once.
type Watch struct {
	c      Config
	bypass atomic.Int64
	hinted map[uint16]bool // ports on loopback that the log has spoken of
	past   []uint16
	broken bool
}

// How often it is looked: apps that start, often, then seldom.
const (
	soon   = 5 * time.Second
	seldom = 30 * time.Second
	early  = 12 // looks
)

// New returns a Watch that has not looked yet.
func New(c Config) *Watch {
	if c.Read == nil {
		c.Read = tables
	}
	if c.Found == nil {
		c.Found = func(_, _ []uint16) {}
	}
	return &Watch{c: c, hinted: map[uint16]bool{}}
}

// Bypassable returns how many ports of the app can be reached past the sidecar.
func (w *Watch) Bypassable() int { return int(w.bypass.Load()) }

// Run looks until ctx is done; then it returns nil.
func (w *Watch) Run(ctx context.Context) error {
	for i := 0; ; i++ {
		w.look()
		pause := soon
		if i >= early {
			pause = seldom
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

func (w *Watch) look() {
	all, err := w.c.Read()
	if err != nil {
		if !w.broken {
			w.c.Log.Error(err, "cannot see what listens in this pod, nor whether it can be reached past the sidecar")
		}
		w.broken = true
		return
	}
	w.broken = false
	open, local := split(all, w.c.Own)
	past := common(open, w.c.Behind)
	w.bypass.Store(int64(len(past)))
	for _, p := range past {
		if !slices.Contains(w.past, p) {
			w.c.Log.Info("the app's port can be reached past the sidecar: have the app listen on 127.0.0.1 alone, or close the port by a NetworkPolicy", "port", p)
		}
	}
	w.hint(open, local)
	w.past = past
	w.c.Found(open, past)
}

// hint tells of ports that listen on loopback alone, once, where requests for them are not sent there.
func (w *Watch) hint(open, local []uint16) {
	const most = 64
	for _, p := range local {
		if !w.c.Captured || w.hinted[p] || slices.Contains(open, p) || len(w.hinted) >= most {
			continue
		}
		w.hinted[p] = true
		w.c.Log.Info("the app listens on loopback alone, so clients do not reach this port; if they are to, set bearerguard.dev/app-address", "port", p)
	}
}

// split returns the ports that listen for others and those that listen on loopback, sorted, but for own ones.
func split(all []netip.AddrPort, own []uint16) (open, local []uint16) {
	for _, a := range all {
		switch {
		case slices.Contains(own, a.Port()):
		case a.Addr().IsLoopback():
			local = append(local, a.Port())
		default:
			open = append(open, a.Port())
		}
	}
	return sorted(open), sorted(local)
}

func sorted(ports []uint16) []uint16 {
	slices.Sort(ports)
	return slices.Compact(ports)
}

// common returns what is in both.
func common(a, b []uint16) []uint16 {
	var out []uint16
	for _, p := range a {
		if slices.Contains(b, p) {
			out = append(out, p)
		}
	}
	return out
}

// tables reads the kernel's tables. A pod may have no IPv6.
func tables() ([]netip.AddrPort, error) {
	four, err := table("/proc/net/tcp")
	if err != nil {
		return nil, err
	}
	six, err := table("/proc/net/tcp6")
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	return append(four, six...), nil
}

func table(name string) ([]netip.AddrPort, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return Parse(f)
}
