package proxy

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
)

// records writes records of TLS 1.3 that crypto/tls would not (RFC 8446 section 5.2).
type records struct {
	t      *testing.T
	c      net.Conn
	secret []byte
	aead   cipher.AEAD
	iv     []byte
	n      uint64
}

// expand is HKDF-Expand-Label of RFC 8446 section 7.1.
func (r *records) expand(label string, n int) []byte {
	label = "tls13 " + label
	info := append(binary.BigEndian.AppendUint16(nil, uint16(n)), byte(len(label)))
	out, err := hkdf.Expand(sha256.New, r.secret, string(append(info, label...))+"\x00", n)
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

func (r *records) use(secret []byte) {
	r.secret, r.n = secret, 0
	block, err := aes.NewCipher(r.expand("key", 16))
	if err != nil {
		r.t.Fatal(err)
	}
	if r.aead, err = cipher.NewGCM(block); err != nil {
		r.t.Fatal(err)
	}
	r.iv = r.expand("iv", 12)
}

// record appends a record of a type.
func (r *records) record(b []byte, typ byte, content string) []byte {
	inner := append([]byte(content), typ)
	head := binary.BigEndian.AppendUint16([]byte{23, 3, 3}, uint16(len(inner)+r.aead.Overhead()))
	nonce := bytes.Clone(r.iv)
	for i := range 8 {
		nonce[4+i] ^= byte(r.n >> (56 - 8*i))
	}
	r.n++
	return r.aead.Seal(append(b, head...), nonce, inner, head)
}

// update appends a KeyUpdate that asks for another in return (RFC 8446 section 4.6.3).
func (r *records) update(b []byte) []byte {
	b = r.record(b, 22, "\x18\x00\x00\x01\x01")
	r.use(r.expand("traffic upd", 32))
	return b
}

// shakeHands does a handshake, and returns who writes from then on.
func shakeHands(t *testing.T, c net.Conn) *records {
	t.Helper()
	var keys bytes.Buffer
	s := tls.Client(c, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, KeyLogWriter: &keys}) //nolint:gosec // a test
	if err := s.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.ConnectionState().CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
		t.Skip("this machine chooses another cipher")
	}
	r := &records{t: t, c: c}
	for line := range strings.Lines(keys.String()) {
		if f := strings.Fields(line); f[0] == "CLIENT_TRAFFIC_SECRET_0" {
			secret, err := hex.DecodeString(f[2])
			if err != nil {
				t.Fatal(err)
			}
			r.use(secret)
		}
	}
	return r
}

// A client that has TLS answer and reads nothing of it, while its request goes on for ever, makes the sidecar hold no more and more.
func TestKeyUpdatesThatNobodyReads(t *testing.T) {
	t.Parallel()
	a := app(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	upstream, err := url.Parse(a.URL)
	if err != nil {
		t.Fatal(err)
	}
	p := open(t, Config{TLS: certificate(t), Limits: Limits{Drain: time.Second}})
	c, server := pair(t)
	_ = server.SetWriteBuffer(4096)
	_ = c.SetReadBuffer(64 << 10) // with much less the kernel drops segments, and the acknowledgements that they carry
	left := make(chan struct{})
	p.loops.secure(server, exchange.Info{Port: 80, Upstream: upstream, Remote: netip.MustParseAddr("127.0.0.1"), Secure: true}, func(netip.Addr) { close(left) })
	r := shakeHands(t, c)
	b := r.record(nil, 23, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
	for sent := 0; sent < 1<<20; sent += len(b) {
		if _, err := c.Write(b); err != nil {
			break
		}
		b = b[:0]
		for range 12 { // crypto/tls takes 16 in a row
			b = r.update(b)
		}
		b = r.record(b, 23, "x")
	}
	select {
	case <-left:
	case <-time.After(20 * time.Second): // less than Idle
		t.Error("1 MiB of key updates is taken, and as much is queued that nobody reads")
	}
}
