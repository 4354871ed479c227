package proxy

import (
	"crypto/sha256"
	"crypto/tls"
	"net/netip"
	"sync"

	"github.com/bearerguard/bearerguard/api/decision"
)

// clients counts the connections of each address.
type clients struct {
	most int // 0: no bound, and nothing is counted

	mu   sync.Mutex
	open map[netip.Addr]int // guarded by mu
}

// enter counts one more connection. It returns false if the address has too many now; leave is called all the same.
func (c *clients) enter(a netip.Addr) bool {
	if c.most == 0 {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[a]++
	return c.open[a] <= c.most
}

func (c *clients) leave(a netip.Addr) {
	if c.most == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[a]--; c.open[a] <= 0 {
		delete(c.open, a)
	}
}

// clientCert is the certificate of a client, whose key the handshake has proved to be his. What it says of him counts if an
// authority vouches for it.
func clientCert(s *tls.ConnectionState) *decision.ClientCert {
	if len(s.PeerCertificates) == 0 {
		return nil
	}
	cert := s.PeerCertificates[0]
	if len(s.VerifiedChains) == 0 {
		return &decision.ClientCert{SANs: []string{}, Hash: sha256.Sum256(cert.Raw)}
	}
	out := &decision.ClientCert{
		Subject: cert.Subject.String(), SANs: append([]string{}, cert.DNSNames...), Hash: sha256.Sum256(cert.Raw),
	}
	for _, ip := range cert.IPAddresses {
		out.SANs = append(out.SANs, ip.String())
	}
	out.SANs = append(out.SANs, cert.EmailAddresses...)
	for _, uri := range cert.URIs {
		out.SANs = append(out.SANs, uri.String())
	}
	return out
}
