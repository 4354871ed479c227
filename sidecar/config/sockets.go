package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/bearerguard/bearerguard/sidecar/proxy"
)

// loopback is where an app behind --map listens, unless --app-address says otherwise.
var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// sockets puts --listen, --upstream, --redirect and --map together.
func (r *raw) sockets(fail func(string, string, ...any)) []proxy.Listen {
	var out []proxy.Listen
	for _, address := range r.listen {
		if !isAddress(address) {
			fail("listen", "%q is no address; want host:port or :port", address)
		}
		out = append(out, proxy.Listen{Address: address, Upstream: r.upstream, Redirect: r.redirect, AppAddress: r.v.AppAddress})
	}
	switch {
	case len(r.listen) == 0 && len(r.maps) == 0:
		fail("listen", "give --listen ADDRESS, or --map LISTEN:APP")
	case len(r.listen) == 0 && (r.redirect || r.upstream != ""):
		fail("listen", "is missing; --redirect and --upstream go with it")
	case len(r.listen) > 0 && r.redirect == (r.upstream != ""):
		fail("upstream", "give exactly one of --upstream URL and --redirect with --listen")
	case r.upstream != "":
		checkUpstream(r.upstream, fail)
		if r.v.AppAddress.IsValid() {
			fail("app-address", "is given together with --upstream, which says where the app is; want one of the two")
		}
	}
	app := r.v.AppAddress
	if !app.IsValid() {
		app = loopback
	}
	for _, pair := range r.maps {
		listen, port, ok := ports(pair)
		if !ok {
			fail("map", "%q is no pair of ports; want listen:app such as 8080:18080", pair)
			continue
		}
		out = append(out, proxy.Listen{
			Address: fmt.Sprintf(":%d", listen), Upstream: "http://" + netip.AddrPortFrom(app, port).String(), Port: int(listen),
		})
	}
	return out
}

func checkUpstream(upstream string, fail func(string, string, ...any)) {
	u, err := url.Parse(upstream)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		fail("upstream", "%q is no plain http or https URL; want such as http://127.0.0.1:9000", upstream)
	}
}

func ports(pair string) (listen, app uint16, ok bool) {
	left, right, found := strings.Cut(pair, ":")
	l, err1 := strconv.ParseUint(left, 10, 16)
	a, err2 := strconv.ParseUint(right, 10, 16)
	return uint16(l), uint16(a), found && err1 == nil && err2 == nil && l > 0 && a > 0 && l != a
}
