package proxy

import (
	"context"
	"math"
	"runtime"
	"sync/atomic"
	"time"

	appside "github.com/bearerguard/bearerguard/sidecar/proxy/app"
	clientside "github.com/bearerguard/bearerguard/sidecar/proxy/client"
	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/frame"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// loops serve the connections of clients, each on one loop. There is a loop for each processor.
type loops struct {
	proxy *Proxy
	hosts []*host
	stop  context.CancelFunc // ends waits for verdicts

	calls  *clientside.Count // of HTTP/2
	places places            // for connections of HTTP/2
	http2  atomic.Int64      // how many there are

	handshakes places        // for TLS handshakes
	last       time.Duration // lastHandshake, but in tests

	relief relief
}

// host is what a loop's connections share.
type host struct {
	*exchange.Host
	clients clientside.Shared
	apps    appside.Shared
	shaking map[*loop.Conn]struct{} // whose TLS handshakes are under way

	looked   time.Time  // when it was last asked what the kernel holds
	tight    time.Time  // when that was last too much; zero: it is not, and has not been for a while
	relieves loop.Timer // has the loop wake up to ask again
}

func newLoops(p *Proxy) (*loops, error) {
	c := &exchange.Config{
		Gate: p.config.Gate, Gathered: exchange.NewGathered(), Heads: exchange.NewHeads(), Tracer: p.config.Tracer, Log: p.config.Log, Now: p.config.Now,
		Limits: exchange.Limits{
			Head:   head.Limits{Bytes: p.config.Limits.HeadBytes, Fields: p.config.Limits.Fields},
			Target: p.config.Limits.URL, Body: p.config.Limits.Body, BodyRate: max(p.config.Limits.BodyRate, 0),
			ReadHead: p.config.Limits.ReadHead, Idle: p.config.Limits.Idle, Write: p.config.Limits.Write,
			Dial: p.config.Limits.Dial, Response: p.config.Limits.Response,
			Waiting: int32(min(max(1, p.config.Limits.Streams/2), math.MaxInt32)), //nolint:gosec // it fits
		},
		Foreign: func(f head.Foreign, i *exchange.Info) string {
			return p.foreign.meet(f, i)
		},
	}
	if p.config.Observer != nil {
		c.Observe = p.config.Observer.Request
	}
	ctx, stop := context.WithCancel(context.Background())
	ls := &loops{
		proxy: p, stop: stop, last: lastHandshake, calls: &clientside.Count{Most: int64(p.config.Limits.HTTP2Requests)},
		places: places{
			most: p.config.Limits.HTTP2Connections, patience: p.config.Limits.ReadHead, cause: "as many of HTTP/2 are open as may be", log: p.config.Log,
		},
		handshakes: places{
			most: mostHandshakes, patience: p.config.Limits.ReadHead, cause: "as many TLS handshakes are under way as may be", log: p.config.Log,
		},
	}
	ls.places.full = pressure{
		waits: ls.places.crowds,
		relax: func() { ls.makeWay(ls.places.most, ofHTTP2) },
		say: func() {
			p.config.Log.Info("clients of HTTP/2 wait: as many are connected as --max-http2-connections and the memory limit allow", "connections", ls.places.most)
		},
	}
	for range runtime.GOMAXPROCS(0) {
		h := &host{
			shaking: map[*loop.Conn]struct{}{}, relieves: loop.Timer{Do: func() {}},
			clients: clientside.Shared{Requests: ls.calls, Config: frame.Config{
				Streams:   uint32(min(p.config.Limits.Streams, math.MaxInt32)), //nolint:gosec // it fits
				HeadBytes: p.config.Limits.HeadBytes, Fields: p.config.Limits.Fields, Queue: 256 << 10, Resets: p.config.Limits.Resets,
			}},
			apps: appside.Shared{HTTP2: protocols[p.config.AppProtocol], Roots: p.config.AppRoots, Resolver: p.config.Resolver},
		}
		o := loop.Options{Panicked: func(stack []byte) {
			p.config.Log.Error(nil, "panic while serving a connection, which is closed", "stack", string(stack))
		}}
		if p.config.Pressure != nil {
			o.Works = func(now time.Time) { ls.relieve(h, now) }
		}
		l, err := loop.New(o)
		if err != nil {
			ls.run()
			ls.close()
			return nil, err
		}
		h.Host = exchange.NewHost(ctx, c, l)
		ls.hosts = append(ls.hosts, h)
	}
	ls.run()
	return ls, nil
}

// run starts the loops, once all of them are there.
func (ls *loops) run() {
	for _, h := range ls.hosts {
		go func() {
			defer ls.proxy.config.Flush() // without recovering: a panic that gets here ends the program, with its own stack
			h.Loop.Run()
		}()
	}
}

func (ls *loops) each(do func(*host)) {
	for _, h := range ls.hosts {
		h.Loop.Post(func() { do(h) })
	}
}

func (ls *loops) retire() { ls.each(func(h *host) { h.Draining = true }) }
func (ls *loops) stay() {
	ls.each(func(h *host) {
		h.Draining = false
		h.Stay()
	})
}
func (ls *loops) clear() { ls.each(func(h *host) { h.Clear(false) }) }

// makeWay ends a few of those members of a kind that wait for a next request, most of which there may be: those that have waited for longest
// on each loop.
func (ls *loops) makeWay(most int, kind func(exchange.Member) bool) {
	ls.each(func(h *host) { h.MakeWay(max(most/16, 1), kind) })
}

func anyMember(exchange.Member) bool { return true }

func ofHTTP2(m exchange.Member) bool {
	_, is := m.(*clientside.HTTP2)
	return is
}

// lastHandshake is how long a handshake may go on once the sidecar drains, and the wait for the first request behind it.
const lastHandshake = 2 * time.Second

func (ls *loops) drain() {
	ls.places.close()
	ls.handshakes.close()
	ls.each(func(h *host) {
		h.Draining, h.Closing, h.Ends = true, true, h.Loop.Now().Add(ls.last)
		h.Clear(true)
		for c := range h.shaking {
			c.CutAfter(ls.last)
		}
	})
}

func (ls *loops) close() {
	ls.stop()
	for _, h := range ls.hosts {
		ended := make(chan struct{})
		if h.Loop.Post(func() { h.End(); close(ended) }) {
			<-ended
		}
		h.Loop.Close()
	}
}
