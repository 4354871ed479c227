package authz

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/bearerguard/bearerguard/sidecar/authz/checkv3"
)

// certificate makes a self-signed certificate for 127.0.0.1, which is its own authority.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// Where a client certificate is asked for, nobody without one is answered, on neither port.
func TestOnlyGatewaysWithACertificateAreAnswered(t *testing.T) {
	t.Parallel()
	own, ownPool := certificate(t)
	gateway, gatewayPool := certificate(t)
	s, err := New(t.Context(), Config{
		Gate: newGate(t, spec()), ExtAuthz: "127.0.0.1:0", ForwardAuth: "127.0.0.1:0", Convention: XForwarded, Limits: testLimits(), Observer: &seen{}, Log: logr.Discard(),
		TLS: &tls.Config{
			MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{own}, NextProtos: []string{"h2", "http/1.1"},
			ClientCAs: gatewayPool, ClientAuth: tls.RequireAndVerifyClientCert,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	for name, with := range map[string][]tls.Certificate{"with a certificate": {gateway}, "without": nil, "with another's": {own}} {
		client := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: ownPool, Certificates: with}
		answered := name == "with a certificate"
		if got := askOverTLS(t, s.Addrs()[1].String(), client); (got == http.StatusOK) != answered {
			t.Errorf("forward-auth %s: %d", name, got)
		}
		if err := checkOverTLS(t, s.Addrs()[0].String(), client); (err == nil) != answered {
			t.Errorf("ext_authz %s: %v", name, err)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// askOverTLS returns the status; 0: there is no answer.
func askOverTLS(t *testing.T, address string, c *tls.Config) int {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: c}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+"/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header(XForwarded, nil)
	res, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		return 0
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

func checkOverTLS(t *testing.T, address string, c *tls.Config) error {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(c)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	out := new(checkv3.CheckResponse)
	if err := conn.Invoke(t.Context(), "/envoy.service.auth.v3.Authorization/Check", check(true, nil), out); err != nil {
		return err
	}
	if out.GetOkResponse() == nil {
		return status.Error(codes.PermissionDenied, out.String())
	}
	return nil
}

// What waits for keys ends before Envoy gives up, so that Envoy hears why.
func TestAnAnswerLeavesTimeForItsWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for given, want := range map[time.Duration]time.Duration{time.Second: 980 * time.Millisecond, 100 * time.Millisecond: 90 * time.Millisecond} {
			ctx, cancel := context.WithTimeout(t.Context(), given)
			ctx, done := withMargin(ctx)
			end, _ := ctx.Deadline()
			if got := time.Until(end); got != want {
				t.Errorf("of %s there are %s to use, want %s", given, got, want)
			}
			done()
			cancel()
		}
		if ctx, done := withMargin(t.Context()); ctx != t.Context() {
			t.Error("there is a deadline where there was none")
			done()
		}
	})
}
