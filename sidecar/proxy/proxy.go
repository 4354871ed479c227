package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync/atomic"
	"time"
)

// Proxy serves clients. It is made by New and runs once.
type Proxy struct {
	config  Config // with defaults
	listens []target

	sockets  *sockets
	loops    *loops
	foreign  foreigners
	draining atomic.Bool
	leaving  atomic.Bool   // what was said last, by Leave or Stay
	said     chan struct{} // holds one when one of them was called
}

// target is a Listen with its upstream parsed; url is nil with Redirect.
type target struct {
	Listen
	url *url.URL
}

// New checks the configuration and opens the sockets, so that an address in use is an error here. Run must be called
// to serve them.
func New(ctx context.Context, c Config) (*Proxy, error) {
	if c.Gate == nil {
		return nil, errors.New("proxy: no gate")
	}
	if len(c.Listen) == 0 {
		return nil, errors.New("listen: no address; want at least one")
	}
	if err := c.Limits.validate(); err != nil {
		return nil, err
	}
	c.Limits, c.AppProtocol = c.Limits.withDefaults(), cmp.Or(c.AppProtocol, AppAuto)
	if _, ok := protocols[c.AppProtocol]; !ok {
		return nil, fmt.Errorf("app protocol: %q is none; want %s, %s or %s", c.AppProtocol, AppAuto, AppHTTP1, AppH2C)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Flush == nil {
		c.Flush = func() {}
	}
	if c.TLS != nil {
		c.TLS = c.TLS.Clone()
		c.TLS.NextProtos = []string{"h2", "http/1.1"}
	}
	p := &Proxy{config: c, foreign: foreigners{log: c.Log}, said: make(chan struct{}, 1)}
	for _, l := range c.Listen {
		u, err := l.upstream()
		if err != nil {
			return nil, err
		}
		p.listens = append(p.listens, target{Listen: l, url: u})
	}
	var err error
	if p.sockets, err = p.listen(ctx); err != nil {
		return nil, err
	}
	if p.loops, err = newLoops(p); err != nil {
		p.sockets.close()
		return nil, err
	}
	return p, nil
}

// Addrs returns the addresses that are listened on, in the order of Config.Listen.
func (p *Proxy) Addrs() []net.Addr {
	out := make([]net.Addr, 0, len(p.sockets.list))
	for _, l := range p.sockets.list {
		out = append(out, l.Addr())
	}
	return out
}

// Foreign returns the ports on which clients spoke another protocol than HTTP; at most 64.
func (p *Proxy) Foreign() []PortProtocol { return p.foreign.list() }

// Draining reports whether the proxy has been told to stop, and so must not be sent new connections.
func (p *Proxy) Draining() bool { return p.draining.Load() }

// Run serves until ctx ends, then drains: sockets are closed, idle connections too, HTTP/2 clients get GOAWAY and
// WebSockets a close frame (1001); requests that run may finish for as long as Limits.Drain allows. It returns nil
// after an orderly end.
func (p *Proxy) Run(ctx context.Context) error {
	p.sockets.serve()
	p.await(ctx)
	p.config.Log.Info("draining", "atMost", p.config.Limits.Drain.String())
	// The context has ended; what drains needs one of its own.
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.config.Limits.Drain)
	defer cancel()
	p.sockets.close()
	p.loops.drain()
	if err := p.sockets.wait(drain); err != nil {
		p.config.Log.Info("drain ended before all connections did")
	}
	p.loops.close()
	return nil
}

// await returns when ctx has ended, and who sends requests here has had time to learn of it: by Leave, or for as long as Limits.Linger. It does
// what Leave and Stay say.
func (p *Proxy) await(ctx context.Context) {
	linger := p.config.Limits.Linger
	var over <-chan time.Time
	for away := false; ; {
		select {
		case <-p.said:
			switch {
			case p.leaving.Load() == away:
				continue
			case away:
				p.config.Log.Info("stays after all")
				p.loops.stay()
				over = nil
			default:
				p.config.Log.Info("about to leave", "in", linger.String())
				p.loops.retire()
				over = time.After(linger)
			}
			away = !away
		case <-over:
			p.loops.clear()
		case <-ctx.Done():
			if p.draining.Store(true); !away && linger > 0 {
				p.config.Log.Info("about to drain", "in", linger.String())
				p.loops.retire()
				<-time.After(linger)
			}
			return
		}
	}
}

// Leave tells the proxy that it is to stop later, after the app, so that clients can be sent elsewhere while the app still
// answers them. Every answer asks for its connection's end from now on; after Limits.Linger idle connections are closed,
// HTTP/2 clients get GOAWAY and WebSockets a close frame. New connections are taken until Run's context ends.
func (p *Proxy) Leave() { p.say(true) }

// Stay takes Leave back: connections are kept again.
func (p *Proxy) Stay() { p.say(false) }

func (p *Proxy) say(leaving bool) {
	p.leaving.Store(leaving)
	select {
	case p.said <- struct{}{}:
	default:
	}
}
