package flags

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Check reads what pflag left as text and returns every value that is wrong.
func (v *Values) Check() []Problem {
	var c checker
	c.oneOf("app-protocol", v.AppProtocol)
	c.oneOf("readiness", v.Readiness)
	c.oneOf("log-level", v.LogLevel)
	c.oneOf("log-format", v.LogFormat)
	v.Traces.check(&c)
	v.TrustForwarded = c.networks("trust-forwarded", v.trust)
	if v.address != "" {
		v.AppAddress = c.address("app-address", v.address)
	}
	for _, n := range []struct {
		flag               string
		value, least, most int
	}{
		{"max-header-bytes", v.HeadBytes, 1 << 10, 1 << 20},
		{"max-headers", v.Headers, 1, 10000},
		{"max-url-bytes", v.URLBytes, 16, 1 << 20},
		{"max-connections", v.Connections, 1, 1 << 20},
		{"max-connections-per-client", v.PerClient, 0, 1 << 20},
		{"max-streams", v.Streams, 1, 100000},
		{"max-http2-connections", v.HTTP2Connections, 1, 1 << 20},
		{"max-http2-requests", v.HTTP2Requests, 1, 1 << 20},
		{"max-resets", v.Resets, 1, 1 << 20},
	} {
		if n.value < n.least || n.value > n.most {
			c.add(n.flag, fmt.Sprintf("is %d", n.value), fmt.Sprintf("%d to %d", n.least, n.most))
		}
	}
	for _, n := range []struct {
		flag  string
		value int64
	}{{"max-body-bytes", v.BodyBytes}, {"min-body-rate", v.BodyRate}, {"token-cache-bytes", v.TokenCacheBytes}} {
		if n.value < 0 {
			c.add(n.flag, fmt.Sprintf("is %d", n.value), "0 or more")
		}
	}
	v.checkTimes(&c)
	return c.problems
}

func (v *Values) checkTimes(c *checker) {
	for _, d := range []struct {
		flag  string
		value time.Duration
	}{
		{"read-header-timeout", v.ReadHeader}, {"idle-timeout", v.Idle}, {"write-timeout", v.Write}, {"dial-timeout", v.Dial},
		{"drain", v.Drain},
	} {
		if d.value <= 0 || d.value > time.Hour {
			c.add(d.flag, fmt.Sprintf("is %s", d.value), "more than 0 and at most 1h")
		}
	}
	if v.Response < 0 {
		c.add("response-timeout", fmt.Sprintf("is %s", v.Response), "0 or more")
	}
	if v.MaxStaleness != 0 && (v.MaxStaleness < 30*time.Second || v.MaxStaleness > 30*24*time.Hour) {
		c.add("max-staleness", fmt.Sprintf("is %s", v.MaxStaleness), "0, or 30s to 720h")
	}
	if v.DrainWait < 0 || v.DrainWait > time.Hour {
		c.add("drain-wait", fmt.Sprintf("is %s", v.DrainWait), "0 to 1h")
	}
}

// checker gathers problems.
type checker struct{ problems []Problem }

func (c *checker) add(flag, text, want string) {
	c.problems = append(c.problems, Problem{Flag: flag, Text: text, Want: want})
}

// choices returns the values of a flag that takes a word; nil for other flags.
func choices(flag string) []string {
	return map[string][]string{
		"readiness":    {"keys", "snapshot"},
		"app-protocol": {"auto", "http1", "h2c"}, "log-level": {"error", "info", "debug"}, "log-format": {"json", "text"},
		"trace-protocol": {OTLPHTTP, OTLPGRPC},
	}[flag]
}

func (c *checker) oneOf(flag, value string) {
	known := choices(flag)
	if !slices.Contains(known, value) {
		last := len(known) - 1
		c.add(flag, fmt.Sprintf("%q is not known", value), strings.Join(known[:last], ", ")+" or "+known[last])
	}
}

func (c *checker) networks(flag string, texts []string) []netip.Prefix {
	out, bad := Networks(texts)
	for _, t := range bad {
		c.add(flag, fmt.Sprintf("%q is no network", t), "CIDR such as 10.0.0.0/8")
	}
	return out
}

// Networks reads networks in CIDR notation, with blanks around them let pass, and returns those that are none in bad.
func Networks(texts []string) (networks []netip.Prefix, bad []string) {
	for _, t := range texts {
		p, err := netip.ParsePrefix(strings.TrimSpace(t))
		if err != nil {
			bad = append(bad, t)
			continue
		}
		networks = append(networks, p.Masked())
	}
	return networks, bad
}

// address reads an address that a socket of a pod can have.
func (c *checker) address(flag, text string) netip.Addr {
	a, err := netip.ParseAddr(text)
	if err != nil || a.IsUnspecified() || a.IsMulticast() || a.Zone() != "" {
		c.add(flag, fmt.Sprintf("%q is no IP address of an app", text), "such as 127.0.0.1 or ::1")
		return netip.Addr{}
	}
	return a.Unmap()
}
