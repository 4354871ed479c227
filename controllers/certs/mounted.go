package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
)

// Mounted is a certificate of the user's, for a port that others than sidecars reach: tls.crt and tls.key of a folder, as a kubernetes.io/tls
// Secret is mounted. It is safe for concurrent use.
type Mounted struct {
	dir string
	log logr.Logger
	now atomic.Pointer[material]
}

// NewMounted returns one that has read its files; they need not be usable yet.
func NewMounted(dir string, log logr.Logger) *Mounted {
	m := &Mounted{dir: dir, log: log}
	m.tell("", m.load())
	return m
}

// Run reads the files again whenever they may have changed, until ctx is done.
func (m *Mounted) Run(ctx context.Context) error {
	tick := time.NewTicker(readEvery)
	defer tick.Stop()
	last := "" // New has told it, but that was perhaps long ago
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			last = m.tell(last, m.load())
		}
	}
}

// tell logs why the files are unusable, unless that was the last cause too, and returns it.
func (m *Mounted) tell(last string, err error) string {
	if err == nil {
		return ""
	}
	if cause := err.Error(); cause != last {
		m.log.Info("the certificate of the port for events is unusable; the last good one stays, or else the controller's own", "cause", cause)
	}
	return err.Error()
}

func (m *Mounted) load() error {
	var data [2][]byte
	for i, name := range []string{certEntry, keyEntry} {
		var err error
		if data[i], err = os.ReadFile(filepath.Join(m.dir, name)); err != nil {
			return fmt.Errorf("read certificate: %w", err)
		}
	}
	if old := m.now.Load(); old != nil && bytes.Equal(old.certPEM, data[0]) && bytes.Equal(old.keyPEM, data[1]) {
		return nil
	}
	cert, err := tls.X509KeyPair(data[0], data[1])
	if err != nil {
		return fmt.Errorf("tls.crt and tls.key: %w", err)
	}
	m.now.Store(&material{cert: cert, certPEM: data[0], keyPEM: data[1]})
	return nil
}

// Beside makes conf, which serves the controller's own certificate, serve this one to all but those who call the controller by one of the names
// of its own: providers in the cluster trust its authority.
func (m *Mounted) Beside(conf *tls.Config) {
	own := conf.GetCertificate
	conf.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		mine := m.now.Load()
		if mine == nil {
			return own(hello)
		}
		if c, err := own(hello); err == nil && hello.ServerName != "" && c.Leaf != nil && c.Leaf.VerifyHostname(hello.ServerName) == nil {
			return c, nil
		}
		return &mine.cert, nil
	}
}
