//go:build !loops

package proxy

import (
	"context"
	"net"
)

// plane is what serves connections of HTTP/1.1: the relay. With the build tag loops it is what is to take the relay's place.
type plane struct{ proxy *Proxy }

func newPlane(p *Proxy) (plane, error) { return plane{p}, nil }

func (p plane) serve(c net.Conn, info connInfo, release func()) {
	p.proxy.relay.Serve(c, info, release)
}

func (p plane) secure(c net.Conn, info connInfo, release func()) {
	p.proxy.sockets.secure(c, info, release)
}

func (plane) retire()                    {}
func (plane) stay()                      {}
func (plane) clear()                     {}
func (plane) drain()                     {}
func (plane) wait(context.Context) error { return nil }
func (plane) close()                     {}
func (p plane) requests() int64          { return p.proxy.http2.calls.Load() }
func (p plane) waits() int               { return p.proxy.http2.places.waits() }
