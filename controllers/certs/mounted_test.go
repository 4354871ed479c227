package certs

import (
	"bytes"
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
)

// write makes the files of a folder those of a certificate.
func (i issued) write(t *testing.T, dir string) {
	t.Helper()
	for name, text := range map[string][]byte{certEntry: i.cert, keyEntry: i.key} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func ownOf(t *testing.T, i issued) *tls.Config {
	t.Helper()
	cert, err := tls.X509KeyPair(i.cert, i.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &cert, nil }}
}

// shown is which of some certificates a client sees that calls the server by a name.
func shown(t *testing.T, conf *tls.Config, name string, of map[string]issued) string {
	t.Helper()
	c, err := conf.GetCertificate(&tls.ClientHelloInfo{ServerName: name})
	if err != nil {
		return err.Error()
	}
	for what, i := range of {
		if cert, err := tls.X509KeyPair(i.cert, i.key); err == nil && bytes.Equal(cert.Certificate[0], c.Certificate[0]) {
			return what
		}
	}
	return "another"
}

func TestACertificateOfTheUsers(t *testing.T) {
	t.Parallel()
	const inside, outside = "bearerguard-events.bearerguard-system.svc", "logout.example.com"
	of := map[string]issued{"own": issue(t, inside), "first": issue(t, outside), "second": issue(t, outside)}
	mixed := issued{cert: of["first"].cert, key: of["second"].key}
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		var told atomic.Int64
		conf := ownOf(t, of["own"])
		m := NewMounted(dir, funcr.New(func(string, string) { told.Add(1) }, funcr.Options{}))
		m.Beside(conf)
		go func() { _ = m.Run(t.Context()) }()
		expect := func(what, name, want string) {
			t.Helper()
			if got := shown(t, conf, name, of); got != want {
				t.Errorf("%s: %s is shown %s, want %s", what, name, got, want)
			}
		}
		wait := func() {
			<-time.After(readEvery + 1)
			synctest.Wait()
		}
		expect("no files yet", outside, "own")
		of["first"].write(t, dir)
		wait()
		expect("there are files", outside, "first")
		expect("there are files", "", "first")
		expect("there are files", inside, "own")
		mixed.write(t, dir)
		before := told.Load()
		wait()
		wait()
		expect("a key of another certificate", outside, "first")
		if n := told.Load() - before; n != 1 {
			t.Errorf("told %d times of unusable files, want once", n)
		}
		of["second"].write(t, dir)
		wait()
		expect("they are changed", outside, "second")
	})
	if m := NewMounted(t.TempDir(), logr.Discard()); m.now.Load() != nil {
		t.Error("a folder without files has a certificate")
	}
	none := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errors.New("none yet") }}
	dir := t.TempDir()
	of["first"].write(t, dir)
	NewMounted(dir, logr.Discard()).Beside(none)
	if got := shown(t, none, inside, of); got != "first" {
		t.Errorf("while there is no own certificate, %s is shown", got)
	}
}
