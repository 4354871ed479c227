package traces

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// newCertificate makes a certificate for 127.0.0.1 that vouches for itself, and its authority as PEM.
func newCertificate(t *testing.T) (*tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func write(t *testing.T, name string, content []byte) string {
	t.Helper()
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

const credential = "Bearer collector-secret"

// A collector with TLS gets traces, with the credential, where its authority is the one of --trace-ca. With another one, and without the file, it
// gets nothing, the log names the flag, and once the file is right, as when a Secret comes after the pod, traces go on.
func TestACollectorWithTLS(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"http/protobuf", "grpc"} {
		for _, first := range []string{"right", "wrong", "missing", "no certificate"} {
			t.Run(protocol+", at first "+first, func(t *testing.T) {
				t.Parallel()
				certificate, authority := newCertificate(t)
				_, other := newCertificate(t)
				c, a, dir := newSecureCollector(t, protocol, certificate), newApp(t), t.TempDir()
				ca, headers := filepath.Join(dir, "ca.crt"), write(t, filepath.Join(dir, "headers"), []byte("Authorization: "+credential+"\n"))
				if content := map[string][]byte{"right": authority, "wrong": other, "no certificate": []byte("none")}[first]; content != nil {
					write(t, ca, content)
				}
				p := guard(t, a, nil, "--trace-endpoint", c.url, "--trace-protocol", protocol, "--trace-ratio", "1", "--trace-ca", ca, "--trace-headers", headers)
				fetch(t, http.DefaultClient, p.url+"/public", "first", nil)
				if first != "right" {
					want := map[string]string{"wrong": "; see --trace-ca", "missing": "--trace-ca: stat", "no certificate": "--trace-ca: the file has no certificate"}[first]
					eventually(t, "the log names the flag", func() bool { return strings.Contains(p.log.String(), want) })
					if all, _ := c.spans(); len(all) != 0 {
						t.Errorf("a collector that is not trusted got %+v", all)
					}
					write(t, ca, authority)
					fetch(t, http.DefaultClient, p.url+"/public", "later", nil)
				}
				id := map[bool]string{true: "first", false: "later"}[first == "right"]
				eventually(t, "the span has come", func() bool { own, _ := c.server(id); return own.id != "" })
				p.stop(t) // all of its log is there then
				c.mu.Lock()
				defer c.mu.Unlock()
				for _, got := range c.tokens {
					if got != credential {
						t.Errorf("the credential was %q", got)
					}
				}
				if strings.Contains(p.log.String(), "collector-secret") {
					t.Error("the log tells the credential")
				}
			})
		}
	}
}

// A file of header fields that is missing or cannot be read keeps traces back, and nothing else; the log names the flag and the line, and nothing of it.
func TestHeadersThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"http/protobuf", "grpc"} {
		for want, content := range map[string][]byte{"--trace-headers: stat": nil, "--trace-headers: line 2": []byte("a: b\ncollector-secret\n")} {
			c, a := newCollector(t, protocol), newApp(t)
			name := filepath.Join(t.TempDir(), "headers")
			if content != nil {
				write(t, name, content)
			}
			p := guard(t, a, nil, "--trace-endpoint", c.url, "--trace-protocol", protocol, "--trace-ratio", "1", "--trace-headers", name)
			if status, body := fetch(t, http.DefaultClient, p.url+"/public", "first", nil); status != http.StatusOK {
				t.Fatal(status, body)
			}
			eventually(t, "the log names the flag", func() bool { return strings.Contains(p.log.String(), want) })
			write(t, name, bytes.TrimSpace([]byte("Authorization: "+credential)))
			fetch(t, http.DefaultClient, p.url+"/public", "later", nil)
			eventually(t, "the span has come", func() bool { own, _ := c.server("later"); return own.id != "" })
			p.stop(t)
			if own, _ := c.server("first"); own.id != "" || strings.Contains(p.log.String(), "collector-secret") {
				t.Errorf("%s: traces were sent without a credential, or the log tells it", want)
			}
		}
	}
}

// OpenTelemetry's variable tells which pod the spans are of.
func TestAttributesOfTheResource(t *testing.T) {
	t.Parallel()
	c, a := newCollector(t, "http/protobuf"), newApp(t)
	p := guard(t, a, []string{"OTEL_RESOURCE_ATTRIBUTES=k8s.namespace.name=shop,k8s.pod.name=orders-1,k8s.node.name=,service.name=other,note=a%20b"}, "--trace-endpoint", c.url, "--trace-ratio", "1")
	fetch(t, http.DefaultClient, p.url+"/public", "one", nil)
	p.stop(t)
	_, resource := c.spans()
	_, node := resource["k8s.node.name"]
	if resource["k8s.namespace.name"] != "shop" || resource["k8s.pod.name"] != "orders-1" || resource["note"] != "a b" || resource["service.name"] != "bearerguard-sidecar" || node {
		t.Errorf("resource %v", resource)
	}
}
