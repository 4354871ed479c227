package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync"
	"time"
)

// certificates are read again no more often than this.
const certificateGlance = 5 * time.Second

// Server returns the configuration of a listener that presents the certificate and asks for clients' ones, or nil if TLS
// is not configured. The files are read again when they have changed; if they cannot be used then, what was read before
// stays in use and problem is told. TLS 1.3 is the default, 1.2 is allowed.
func (t TLS) Server(problem func(error)) (*tls.Config, error) {
	if t.Cert == "" {
		return nil, nil //nolint:nilnil // no TLS is what no files ask for
	}
	first, err := t.read()
	if err != nil {
		return nil, err
	}
	w := &watched{files: t, problem: problem, current: first, stamp: t.stamp(), looked: time.Now()}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return w.get(time.Now()), nil
		},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return &w.get(time.Now()).Certificates[0], nil
		},
	}, nil
}

// watched is a configuration that follows its files.
type watched struct {
	files   TLS
	problem func(error)

	mu      sync.Mutex
	current *tls.Config // guarded by mu, as are the following
	stamp   string
	looked  time.Time
}

func (w *watched) get(now time.Time) *tls.Config {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now.Sub(w.looked) < certificateGlance {
		return w.current
	}
	w.looked = now
	stamp := w.files.stamp()
	if stamp == w.stamp {
		return w.current
	}
	next, err := w.files.read()
	if err != nil {
		w.problem(err)
		return w.current
	}
	w.current, w.stamp = next, stamp
	return next
}

func (t TLS) read() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert, --tls-key: %w", err)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}}
	if t.RequestClientCert {
		c.ClientAuth = tls.RequestClientCert // the proxy has rules see nothing of what no authority has vouched for
	}
	if t.ClientCA == "" {
		return c, nil
	}
	pem, err := os.ReadFile(t.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("--tls-client-ca: %w", err)
	}
	c.ClientCAs = x509.NewCertPool()
	if !c.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--tls-client-ca: %s has no PEM certificate", t.ClientCA)
	}
	c.ClientAuth = tls.RequireAndVerifyClientCert
	return c, nil
}

// stamp changes when a file does.
func (t TLS) stamp() string {
	var s string
	for _, f := range []string{t.Cert, t.Key, t.ClientCA} {
		if info, err := os.Stat(f); err == nil {
			s += info.ModTime().String() + "/"
		}
	}
	return s
}
