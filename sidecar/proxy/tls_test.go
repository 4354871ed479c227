package proxy

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// signed makes a certificate; without a parent, one that signs others.
func signed(t *testing.T, template *x509.Certificate, parent *tls.Certificate) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	by := &tls.Certificate{Leaf: template, PrivateKey: key}
	if parent != nil {
		by = parent
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.Leaf, &key.PublicKey, by.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// secure is a client that speaks TLS; connections end with the test.
func secure(t *testing.T, h2 bool, cert ...tls.Certificate) *http.Client {
	t.Helper()
	tr := &http.Transport{Protocols: &http.Protocols{}, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: cert}} //nolint:gosec // a test
	tr.Protocols.SetHTTP1(!h2)
	tr.Protocols.SetHTTP2(h2)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 10 * time.Second}
}

// Rules see who a client's verified certificate is of; without one they see nobody.
func TestClientCertificates(t *testing.T) {
	t.Parallel()
	ca := signed(t, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil)
	alice := signed(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "alice", Organization: []string{"shop"}}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		DNSNames: []string{"alice.shop"}, URIs: []*url.URL{{Scheme: "spiffe", Host: "shop", Path: "/alice"}},
	}, &ca)
	forged := signed(t, &x509.Certificate{Subject: pkix.Name{CommonName: "alice", Organization: []string{"shop"}}}, nil)
	pool := x509.NewCertPool()
	pool.AddCert(ca.Leaf)
	g := protect(t, echo(t).URL, func(c *Config) {
		c.TLS = certificate(t)
		c.TLS.ClientCAs, c.TLS.ClientAuth = pool, tls.VerifyClientCertIfGiven
	}, certPolicy())
	for _, h2 := range []bool{false, true} {
		for path, want := range map[string]string{"/subject": "200", "/san": "200", "/nobody": "401 NoToken"} {
			if got := verdict(t, secure(t, h2, alice), request(t, "GET", "https://"+g.addr+path, nil)); got != want {
				t.Errorf("with a certificate, h2 %v, %s: %s, want %s", h2, path, got, want)
			}
		}
		for path, want := range map[string]string{"/subject": "401 NoToken", "/san": "401 NoToken", "/nobody": "200"} {
			if got := verdict(t, secure(t, h2), request(t, "GET", "https://"+g.addr+path, nil)); got != want {
				t.Errorf("without, h2 %v, %s: %s, want %s", h2, path, got, want)
			}
		}
		liar := secure(t, h2)
		liar.Transport.(*http.Transport).TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &forged, nil
		}
		if res, err := liar.Do(request(t, "GET", "https://"+g.addr+"/nobody", nil)); err == nil {
			_ = res.Body.Close()
			t.Errorf("with a certificate of its own making, h2 %v: %s", h2, res.Status)
		}
	}
}

// A certificate that nobody vouches for (--tls-request-client-cert) is good for tokens that are bound to it, and for nothing else: whatever it says, whoever else's
// certificates come with it, and over a session that is resumed.
func TestCertificatesThatNobodyVouchesFor(t *testing.T) {
	t.Parallel()
	ca := signed(t, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil)
	like := func(parent *tls.Certificate) tls.Certificate {
		return signed(t, &x509.Certificate{
			Subject: pkix.Name{CommonName: "alice", Organization: []string{"shop"}}, DNSNames: []string{"alice.shop"}, URIs: []*url.URL{{Scheme: "spiffe", Host: "shop", Path: "/alice"}},
		}, parent)
	}
	own, real := like(nil), like(&ca)
	dressed := own
	dressed.Certificate = [][]byte{own.Certificate[0], real.Certificate[0], ca.Certificate[0]}
	hash := sha256.Sum256(own.Leaf.Raw)
	certs := certPolicy()
	certs.Spec.Issuers[0].Proof = &policy.Proof{MTLS: policy.BindingIfBound}
	certs.Spec.Rules = append(certs.Spec.Rules, policy.Rule{Name: "bound", Match: []policy.Match{{Paths: []string{"/bound"}}}, Allow: &policy.Allow{Authenticated: true}})
	g := protect(t, echo(t).URL, func(c *Config) {
		c.TLS = certificate(t)
		c.TLS.ClientAuth = tls.RequestClientCert
	}, certs)
	bound := corp.Token(time.Now(), map[string]any{"cnf": map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(hash[:])}})
	for name, tt := range map[string]struct {
		show  []tls.Certificate
		bound string
	}{
		"no certificate":                          {nil, "401 KeyMismatch"},
		"of its own making":                       {[]tls.Certificate{own}, "200"},
		"of its own making, with those of others": {[]tls.Certificate{dressed}, "200"},
		"of an authority that nobody asked for":   {[]tls.Certificate{real}, "401 KeyMismatch"},
	} {
		for _, h2 := range []bool{false, true} {
			client := secure(t, h2, tt.show...)
			client.Transport.(*http.Transport).TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			for _, resumed := range []bool{false, true} {
				client.CloseIdleConnections()
				for path, want := range map[string]string{"/subject": "401 NoToken", "/san": "401 NoToken", "/nobody": "200"} {
					if got := verdict(t, client, request(t, "GET", "https://"+g.addr+path, nil)); got != want {
						t.Errorf("%s, h2 %v, resumed %v, %s: %s, want %s", name, h2, resumed, path, got, want)
					}
				}
				if got := verdict(t, client, request(t, "GET", "https://"+g.addr+"/bound", nil, "Authorization", "Bearer "+bound)); got != tt.bound {
					t.Errorf("%s, h2 %v, resumed %v, a bound token: %s, want %s", name, h2, resumed, got, tt.bound)
				}
			}
		}
	}
}

func certPolicy() bundle.Object {
	rule := func(name, when string) policy.Rule {
		return policy.Rule{
			Name: name, Match: []policy.Match{{Paths: []string{"/" + name}}},
			Allow: &policy.Allow{Anonymous: true, Conditions: policy.Conditions{When: when}},
		}
	}
	return gatetest.Policy("certs", policy.Spec{Issuers: []policy.Issuer{corp.Policy("corp")}, Rules: []policy.Rule{
		rule("subject", `request.tls.subject == "CN=alice,O=shop"`),
		rule("san", `"spiffe://shop/alice" in request.tls.san && "alice.shop" in request.tls.san`),
		rule("nobody", `request.tls.subject == "" && request.tls.san == []`),
	}})
}

// With Plaintext, one port takes both, in both versions of HTTP; without, plaintext gets no answer of the app's.
func TestTLSAndPlaintextOnOnePort(t *testing.T) {
	t.Parallel()
	upstream := echo(t).URL
	both := protect(t, upstream, func(c *Config) { c.TLS = certificate(t); c.Plaintext = true })
	strict := protect(t, upstream, func(c *Config) { c.TLS = certificate(t) })
	for _, h2 := range []bool{false, true} {
		if got := verdict(t, secure(t, h2), request(t, "GET", "https://"+both.addr+"/docs/a", nil)); got != "200" {
			t.Errorf("TLS, h2 %v: %s", h2, got)
		}
		if got := verdict(t, client(t, h2), request(t, "GET", "http://"+both.addr+"/docs/a", nil)); got != "200" {
			t.Errorf("plaintext, h2 %v: %s", h2, got)
		}
		if res, err := client(t, h2).Do(request(t, "GET", "http://"+strict.addr+"/docs/a", nil)); err == nil {
			_ = res.Body.Close()
			t.Errorf("plaintext where TLS is a must, h2 %v: %s", h2, res.Status)
		}
	}
}

// A renewed certificate is presented to new connections; what is open goes on.
func TestCertificateReload(t *testing.T) {
	t.Parallel()
	var current atomic.Pointer[tls.Certificate]
	renew := func(name string) {
		c := signed(t, &x509.Certificate{DNSNames: []string{name}}, nil)
		current.Store(&c)
	}
	renew("one.test")
	g := protect(t, echo(t).URL, func(c *Config) {
		c.TLS = &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*current.Load()}, NextProtos: []string{"h2", "http/1.1"}}, nil
		}}
	})
	open := secure(t, true)
	for _, name := range []string{"one.test", "two.test"} {
		renew(name)
		d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // a test
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		c, err := d.DialContext(ctx, "tcp", g.addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.(*tls.Conn).ConnectionState().PeerCertificates[0].DNSNames[0]; got != name {
			t.Errorf("certificate of %s, want %s", got, name)
		}
		_ = c.Close()
		if got := verdict(t, open, request(t, "GET", "https://"+g.addr+"/docs/a", nil)); got != "200" {
			t.Errorf("an open connection: %s", got)
		}
	}
}

// An answer that breaks off is not closed in order under TLS, where an orderly close may be an answer's end.
func TestTLSBrokenAnswerHasNoOrderlyEnd(t *testing.T) {
	t.Parallel()
	g := protect(t, script(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
	}), func(c *Config) { c.TLS = certificate(t) })
	c, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(t.Context(), "tcp", g.addr) //nolint:gosec // a test
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "GET /docs/a HTTP/1.0\r\nHost: a\r\n\r\n")
	if b, err := io.ReadAll(c); err == nil {
		t.Errorf("%q ends in order", b)
	}
}

// A client that starts HTTP/2 without having agreed on it in the handshake is served, over TLS.
func TestHTTP2OverTLSByPriorKnowledge(t *testing.T) {
	t.Parallel()
	g := protect(t, echo(t).URL, func(c *Config) { c.TLS = certificate(t) })
	c := tls.Client(dial(t, g.addr), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a test
	w := &wire2{conn: c, Framer: http2.NewFramer(c, c)}
	w.enc = hpack.NewEncoder(&w.block)
	_, _ = io.WriteString(c, http2.ClientPreface)
	_ = w.WriteSettings()
	_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.fields("GET", "/docs/a"), EndHeaders: true, EndStream: true})
	if got := w.end(); got != "200" {
		t.Errorf("got %s", got)
	}
}

// A handshake waits for its turn where as many are under way as may be, and those have little time.
func TestHandshakesTakeTurns(t *testing.T) {
	t.Parallel()
	g := protect(t, echo(t).URL, func(c *Config) { c.TLS, c.Limits = certificate(t), Limits{ReadHead: time.Minute, Drain: time.Second} })
	turns := &g.loops.handshakes
	turns.mu.Lock()
	turns.most = 1
	turns.mu.Unlock()
	taken := func(n, queue int) func() bool {
		return func() bool {
			turns.mu.Lock()
			defer turns.mu.Unlock()
			return turns.taken == n && len(turns.queue) == queue
		}
	}
	first := dial(t, g.addr)
	_, _ = io.WriteString(first, "\x16\x03\x01\x02\x00\x01\x00")
	eventually(t, "a handshake is under way", taken(1, 0))
	second := tls.Client(dial(t, g.addr), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a test
	done := make(chan error, 1)
	go func() { done <- second.HandshakeContext(t.Context()) }()
	eventually(t, "another one waits", taken(1, 1))
	if _, err := first.Read(make([]byte, 1)); err != io.EOF { //nolint:errorlint // io.Reader's contract
		t.Errorf("the first: %v, want its end", err)
	}
	if err := <-done; err != nil {
		t.Errorf("the second: %v", err)
	}
	eventually(t, "none is under way", taken(0, 0))
}
