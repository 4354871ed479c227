package proxy

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/go-logr/logr"

	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
)

// foreigners are the ports on which clients spoke another protocol than HTTP. It is safe for concurrent use.
type foreigners struct {
	log logr.Logger

	mu  sync.Mutex
	met map[PortProtocol]bool // guarded by mu
}

// PortProtocol is a port and another protocol than HTTP that clients spoke there.
type PortProtocol struct {
	Port     int
	Protocol head.Foreign
}

// mostForeign bounds what is remembered: clients choose ports.
const mostForeign = 64

// meet returns what is to be said of a connection on which f is spoken. The log says it once for each port.
func (f *foreigners) meet(p head.Foreign, info *exchange.Info) string {
	cause := fmt.Sprintf("port %d was sent %s: %s", info.Port, string(p), remedy(p, info.Captured))
	key := PortProtocol{info.Port, p}
	f.mu.Lock()
	known := f.met[key] || len(f.met) >= mostForeign
	if !known {
		if f.met == nil {
			f.met = map[PortProtocol]bool{}
		}
		f.met[key] = true
	}
	f.mu.Unlock()
	if !known {
		f.log.Info("a client speaks another protocol than HTTP; this is logged once for each port", "port", info.Port, "cause", cause)
	}
	return cause
}

// remedy says what to do if p is meant to be spoken.
func remedy(p head.Foreign, captured bool) string {
	switch {
	case p == head.NoTLS:
		return "it serves TLS; bearerguard.dev/tls-permissive (--tls-permissive) takes plaintext too"
	case p == head.Proxied:
		return "have the load balancer send HTTP alone, with X-Forwarded-For, and name it in bearerguard.dev/trust-forwarded (--trust-forwarded)"
	case p == head.TLS && captured:
		return "list it in bearerguard.dev/exclude-ports, or give the sidecar a certificate by bearerguard.dev/tls-cert"
	case p == head.TLS:
		return "give the sidecar a certificate by bearerguard.dev/tls-cert (--tls-cert)"
	case captured:
		return "list it in bearerguard.dev/exclude-ports if it is not HTTP"
	}
	return "only HTTP can be guarded"
}

// list returns them in order.
func (f *foreigners) list() []PortProtocol {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.SortedFunc(maps.Keys(f.met), func(a, b PortProtocol) int {
		if a.Port != b.Port {
			return a.Port - b.Port
		}
		return len(a.Protocol) - len(b.Protocol)
	})
}
