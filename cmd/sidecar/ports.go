package main

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bearerguard/bearerguard/sidecar/config"
	"github.com/bearerguard/bearerguard/sidecar/exposure"
	"github.com/bearerguard/bearerguard/sidecar/source"
)

// watchPorts makes what looks for ports of the app that can be reached past the sidecar.
func (s *sidecar) watchPorts() {
	own := s.ownPorts()
	s.ports = exposure.New(exposure.Config{
		Behind: behind(s.conf), Captured: redirects(s.conf) && !s.conf.AppAddress.IsValid(), Own: own, Log: s.log.WithName("ports"),
		Found: func(open, past []uint16) {
			if push, ok := s.rules.(*source.Push); ok {
				push.SetPorts(past, s.foreign(append(open, own...)))
			}
		},
	})
	s.reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "bearerguard_bypassable_ports", Help: "Ports of the app, behind the sidecar, that are open to others than the sidecar.",
	}, func() float64 { return float64(s.ports.Bypassable()) }))
}

// foreign returns those of the ports on which another protocol than HTTP was spoken: clients choose ports, so only such count on
// which something listens.
func (s *sidecar) foreign(listening []uint16) []source.ForeignPort {
	var out []source.ForeignPort
	for _, f := range s.proxy.Foreign() {
		if slices.Contains(listening, uint16(f.Port)) { //nolint:gosec // a port
			out = append(out, source.ForeignPort{Port: f.Port, Protocol: string(f.Protocol)})
		}
	}
	return out
}

func redirects(c config.Config) bool {
	for _, l := range c.Listen {
		if l.Redirect {
			return true
		}
	}
	return false
}

// behind returns the app's ports that the sidecar of a pod forwards to from other ones. Where the app is elsewhere, outside of a
// pod, that is nobody's business.
func behind(c config.Config) []uint16 {
	var out []uint16
	for _, l := range c.Listen {
		u, err := url.Parse(l.Upstream)
		if err != nil || l.Port == 0 {
			continue
		}
		if n, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
			out = append(out, uint16(n))
		}
	}
	return out
}

// ownPorts returns the ports that the sidecar listens on.
func (s *sidecar) ownPorts() []uint16 {
	var out []uint16
	for _, a := range append(addresses(s.server), s.conf.Admin) {
		if at, err := netip.ParseAddrPort(a); err == nil {
			out = append(out, at.Port())
			continue
		}
		if u, err := url.Parse("tcp://" + a); err == nil {
			if n, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
				out = append(out, uint16(n))
			}
		}
	}
	return out
}
