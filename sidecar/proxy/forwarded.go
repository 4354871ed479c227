package proxy

import (
	"net/http/httputil"
	"net/netip"
	"strconv"
	"strings"

	ends "github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
)

// setForwarded says who the client is and what it asked for: X-Forwarded-* and Forwarded (RFC 7239). What the client
// says of that itself is dropped, unless it is a proxy that Config.TrustForwarded names: then it is kept and added to. Who
// the user is, no client can say: the gate alone does.
func (f *forwarder) setForwarded(pr *httputil.ProxyRequest, info *connInfo) {
	trusted := f.proxy.trusts(info.Remote)
	for name := range pr.Out.Header {
		if kind := head.KindOf(name); kind == head.Forwarded || kind == head.Identity {
			delete(pr.Out.Header, name)
		}
	}
	if trusted {
		for name, values := range pr.In.Header {
			if head.KindOf(name) == head.Forwarded && ends.Believed(name) {
				pr.Out.Header[name] = values
			}
		}
	}
	proto := "http"
	if info.Secure {
		proto = "https"
	}
	h := pr.Out.Header
	add := func(name, value string) {
		if old := h[name]; len(old) > 0 {
			value = strings.Join(old, ", ") + ", " + value
		}
		h[name] = []string{value}
	}
	set := func(name, value string) {
		if len(h[name]) == 0 {
			h[name] = []string{value}
		}
	}
	set("X-Forwarded-Host", pr.Out.Host)
	set("X-Forwarded-Proto", proto)
	set("X-Forwarded-Port", strconv.Itoa(info.Port))
	if info.Remote.IsValid() {
		add("X-Forwarded-For", info.Remote.String())
		add("Forwarded", "for="+ends.Node(info.Remote)+";host="+string(ends.AppendQuoted(nil, pr.Out.Host))+";proto="+proto)
	}
}

func (p *Proxy) trusts(a netip.Addr) bool {
	for _, prefix := range p.trusted {
		if prefix.Contains(a) {
			return true
		}
	}
	return false
}
