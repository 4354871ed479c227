package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"sync"
	"time"
)

// keyServer publishes the keys of the drill's issuer over TLS, as well or as badly as a case says. Safe for concurrent use.
type keyServer struct {
	url string
	ca  []byte // PEM: the authority to trust

	mu      sync.Mutex
	answer  http.HandlerFunc // guarded by mu
	fetches int              // guarded by mu
	server  *http.Server
}

// startKeyServer serves on an address of the node that pods reach.
func startKeyServer(address string) (*keyServer, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	cert, ca, err := selfSigned(host)
	if err != nil {
		return nil, err
	}
	lis, err := tls.Listen("tcp", address, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	if err != nil {
		return nil, err
	}
	s := &keyServer{url: "https://" + address + "/keys", ca: ca}
	s.server = &http.Server{ReadHeaderTimeout: 5 * time.Second, ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(s.serve)}
	go func() { _ = s.server.Serve(lis) }()
	return s, nil
}

func (s *keyServer) close() { _ = s.server.Close() }

func (s *keyServer) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	answer := s.answer
	s.fetches++
	s.mu.Unlock()
	answer(w, r)
}

// set changes how the server answers from now on.
func (s *keyServer) set(answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// publish answers with a set of keys.
func (s *keyServer) publish(signers ...*signer) {
	s.set(text(string(jwks(signers...))))
}

func (s *keyServer) fetched() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fetches
}

// text answers with a text, whatever it is.
func text(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }
}

// jwks is a JWK Set (RFC 7517 section 5).
func jwks(signers ...*signer) []byte {
	keys := make([]any, len(signers))
	for i, s := range signers {
		keys[i] = s.jwk()
	}
	data, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		panic(err) // plain values
	}
	return data
}

// broken are the ways in which a key server fails: by a name, an answer.
func broken() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"down":    func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"slow":    func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"500":     func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "broken", http.StatusInternalServerError) },
		"garbage": text("<html>we will be back soon</html>"),
		"empty":   text(`{"keys":[]}`),
	}
}

func selfSigned(host string) (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "drill"}, IPAddresses: []net.IP{net.ParseIP(host)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}
