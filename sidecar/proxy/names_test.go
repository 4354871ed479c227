package proxy

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// An app whose name has several addresses is found at whichever it listens on; a name that cannot be looked up is answered for within
// the time that connecting may take.
func TestNamesWithSeveralAddresses(t *testing.T) {
	t.Parallel()
	resolver := serveNames(t, map[string][]string{
		"first.test.": {"127.0.0.1", "127.0.0.9"}, "second.test.": {"127.0.0.9", "127.0.0.1"}, "both.test.": {"::1", "127.0.0.1"},
		"dead.test.": {"127.0.0.9", "127.0.0.8"}, "silent.test.": nil,
	})
	const timeout, none = "504 UpstreamTimeout", "502 UpstreamUnavailable"
	for listen, names := range map[string]map[string]string{
		"127.0.0.1:0": {"first": "200", "second": "200", "both": "200", "dead": none, "unknown": none, "silent": timeout},
		"[::1]:0":     {"dead": none, "both": "200"}, // another app may have the port at 127.0.0.1
	} {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", listen)
		if err != nil {
			t.Logf("no app at %s: %v", listen, err) // a machine without IPv6
			continue
		}
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		_ = s.Listener.Close()
		s.Listener = l
		s.Start()
		t.Cleanup(s.Close)
		_, port, _ := net.SplitHostPort(l.Addr().String())
		for name, want := range names {
			g := protect(t, "http://"+name+".test:"+port, func(c *Config) { c.AppProtocol, c.Resolver, c.Limits.Dial = AppH2C, resolver, time.Second })
			if got := verdict(t, client(t, false), request(t, "GET", "http://"+g.addr+"/docs/a", nil)); got != want {
				t.Errorf("an app at %s, by the name %s: %s, want %s", listen, name, got, want)
			}
		}
	}
}

// serveNames has names looked up here. A name without addresses gets no answer.
func serveNames(t *testing.T, names map[string][]string) *net.Resolver {
	t.Helper()
	s, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := s.ReadFrom(b)
			if err != nil {
				return
			}
			if out := lookUp(b[:n], names); out != nil {
				_, _ = s.WriteTo(out, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", s.LocalAddr().String())
	}}
}

func lookUp(query []byte, names map[string][]string) []byte {
	var m dnsmessage.Message
	if m.Unpack(query) != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	addrs, known := names[q.Name.String()]
	if known && len(addrs) == 0 {
		return nil
	}
	m.Response, m.Additionals = true, nil
	if !known {
		m.RCode = dnsmessage.RCodeNameError
	}
	h := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 1}
	for _, a := range addrs {
		switch ip := netip.MustParseAddr(a); {
		case ip.Is4() && q.Type == dnsmessage.TypeA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: ip.As4()}})
		case ip.Is6() && q.Type == dnsmessage.TypeAAAA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: ip.As16()}})
		}
	}
	out, _ := m.Pack()
	return out
}
