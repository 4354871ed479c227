// Package loopback guards pages that are for whoever is in the pod itself, as kubectl port-forward is.
package loopback

import (
	"net"
	"net/http"
	"net/netip"
)

// Only lets in clients on this host's loopback alone. They have to ask for this host, too: a name that somebody points at it is for
// a browser that is led here (DNS rebinding).
func Only(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !peer.Addr().Unmap().IsLoopback() {
			http.Error(w, "only from the pod itself: use kubectl port-forward", http.StatusForbidden)
			return
		}
		if !named(r.Host) {
			http.Error(w, "the Host has to be localhost or an address of loopback", http.StatusForbidden)
			return
		}
		h(w, r)
	}
}

// named reports whether a Host header names this host's loopback.
func named(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// Address reports whether "host:port" is one that only this host reaches, by its form: no name is resolved but localhost.
func Address(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && named(host)
}
