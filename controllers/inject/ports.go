package inject

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// PortPair is a port that the sidecar listens on and the app's port behind it.
type PortPair struct {
	// Listen is the port that clients use; App is where the app listens on 127.0.0.1.
	Listen, App int32
}

// String returns listen:app.
func (p PortPair) String() string { return fmt.Sprintf("%d:%d", p.Listen, p.App) }

const (
	wantPort  = "port numbers from 1 to 65535, separated by commas, each once"
	wantPairs = `pairs listen:app such as "8080:18080", separated by commas, each port once`
	maxPorts  = 64
)

// parsePorts reads "9000,9001".
func parsePorts(field, value string) ([]int32, error) {
	items := strings.Split(value, ",")
	if len(items) > maxPorts {
		return nil, refuse(field, fmt.Sprintf("at most %d ports", maxPorts), "has %d ports", len(items))
	}
	var ports []int32
	for _, item := range items {
		p, ok := parsePort(item)
		if !ok {
			return nil, refuse(field, wantPort, "%q is not a port", item)
		}
		if p == RedirectPort || p == AdminPort {
			return nil, refuse(field, "ports of the app", "%d is the sidecar's own port", p)
		}
		if slices.Contains(ports, p) {
			return nil, refuse(field, wantPort, "%d comes twice", p)
		}
		ports = append(ports, p)
	}
	return ports, nil
}

// parsePairs reads "8080:18080,9090:19090".
func parsePairs(field, value string) ([]PortPair, error) {
	items := strings.Split(value, ",")
	if len(items) > maxPorts {
		return nil, refuse(field, fmt.Sprintf("at most %d pairs", maxPorts), "has %d pairs", len(items))
	}
	var pairs []PortPair
	var seen []int32
	for _, item := range items {
		listen, app, found := strings.Cut(item, ":")
		l, okListen := parsePort(listen)
		a, okApp := parsePort(app)
		if !found || !okListen || !okApp {
			return nil, refuse(field, wantPairs, "%q is not a pair of ports", item)
		}
		for _, p := range []int32{l, a} {
			if p == AdminPort {
				return nil, refuse(field, "ports of the app", "%d is the sidecar's own port", p)
			}
			if slices.Contains(seen, p) {
				return nil, refuse(field, wantPairs, "%d comes twice", p)
			}
			seen = append(seen, p)
		}
		pairs = append(pairs, PortPair{Listen: l, App: a})
	}
	return pairs, nil
}

// parsePort reads a decimal port without sign, blanks or leading zeros around it (blanks at the ends are let pass).
func parsePort(s string) (int32, bool) {
	s = strings.TrimSpace(s)
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != s {
		return 0, false
	}
	return int32(n), true
}

// appPort returns the port on 127.0.0.1 where the app answers what arrives at port, and whether port is captured.
func (s *settings) appPort(port int32) (int32, bool) {
	if port < 1 || port > 65535 {
		return 0, false // the API server will say so
	}
	if s.capture == Redirect {
		return port, port != RedirectPort && port != AdminPort && !slices.Contains(s.exclude, port)
	}
	for _, p := range s.ports {
		if port == p.Listen || port == p.App {
			return p.App, true
		}
	}
	return 0, false
}

// checkPorts refuses pods whose own ports collide with the sidecar's.
func (s *settings) checkPorts(pod *corev1.Pod) error {
	reserved := []int32{AdminPort}
	if s.capture == Redirect {
		reserved = append(reserved, RedirectPort)
	}
	for c := range containers(pod) {
		for i, p := range c.Ports {
			if slices.Contains(reserved, p.ContainerPort) && protocol(p) == corev1.ProtocolTCP {
				return refuse(fmt.Sprintf("%s.ports[%d].containerPort", c.field, i), "another port",
					"%d is the sidecar's own port", p.ContainerPort)
			}
		}
	}
	return nil
}

// portWarnings tells of ports that go around the sidecar.
func (s *settings) portWarnings(pod *corev1.Pod) []string {
	var out []string
	for _, p := range s.ports {
		for c := range containers(pod) {
			for i, have := range c.Ports {
				if have.ContainerPort == p.App && protocol(have) == corev1.ProtocolTCP {
					out = append(out, fmt.Sprintf("%s.ports[%d].containerPort: %d is the app's port behind the sidecar; "+
						"unless the app listens on 127.0.0.1 alone, clients that use it go around the sidecar", c.field, i, p.App))
				}
			}
		}
	}
	return out
}

func protocol(p corev1.ContainerPort) corev1.Protocol {
	if p.Protocol == "" {
		return corev1.ProtocolTCP
	}
	return p.Protocol
}
