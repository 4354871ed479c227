package source_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/bundle/pushv1"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/hack/freeport"
	"github.com/bearerguard/bearerguard/sidecar/source"
)

// controller is a push service under a test's control: it hands each stream to the test.
type controller struct {
	pushv1.UnimplementedPushServer
	streams chan *session
}

// session is one stream; the test speaks for the server through it.
type session struct {
	pushv1.Push_StreamServer
	token string
	end   chan error
}

// Stream waits until the test ends it.
func (c *controller) Stream(s pushv1.Push_StreamServer) error {
	md, _ := metadata.FromIncomingContext(s.Context())
	n := &session{Push_StreamServer: s, token: strings.Join(md.Get("authorization"), "|"), end: make(chan error, 1)}
	c.streams <- n
	select {
	case err := <-n.end:
		return err
	case <-s.Context().Done():
		return s.Context().Err()
	}
}

// certificate is self-signed, for a name.
func certificate(t *testing.T, name string) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// serve starts a push service on an address, "127.0.0.1:0" for any.
func serve(t *testing.T, address string, cert tls.Certificate) (c *controller, at string, stop func()) {
	t.Helper()
	lis, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c = &controller{streams: make(chan *session, 10)}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13})))
	pushv1.RegisterPushServer(server, c)
	go func() { _ = server.Serve(lis) }()
	t.Cleanup(server.Stop)
	return c, lis.Addr().String(), server.Stop
}

func (c *controller) accept(t *testing.T) *session {
	t.Helper()
	select {
	case s := <-c.streams:
		return s
	case <-time.After(patience):
		t.Fatal("no stream came")
		return nil
	}
}

// hears returns the next message, but for what the sidecar says of itself.
func (s *session) hears(t *testing.T) *pushv1.ClientMessage {
	t.Helper()
	for {
		if m := s.hearsAny(t); m.GetState() == nil {
			return m
		}
	}
}

func (s *session) hearsAny(t *testing.T) *pushv1.ClientMessage {
	t.Helper()
	type result struct {
		m   *pushv1.ClientMessage
		err error
	}
	got := make(chan result, 1)
	go func() {
		m, err := s.Recv()
		got <- result{m, err}
	}()
	select {
	case r := <-got:
		if r.err != nil {
			t.Fatalf("stream: %v", r.err)
		}
		return r.m
	case <-time.After(patience):
		t.Fatal("the sidecar says nothing")
		return nil
	}
}

func (s *session) says(t *testing.T, data []byte, version string) {
	t.Helper()
	if err := s.Send(&pushv1.ServerMessage{Version: version, Bundle: data}); err != nil {
		t.Fatal(err)
	}
}

// files are what a pod's projected volume has.
type files struct{ dir string }

func (f files) token(t *testing.T, token string) { write(t, f.dir, "token", token+"\n") }
func (f files) ca(t *testing.T, pem string)      { write(t, f.dir, "ca.crt", pem) }

// follow runs a Push for the length of the test, or until stop.
func follow(t *testing.T, address string, f files, s *sink, l source.LastGood) (p *source.Push, stop func()) {
	t.Helper()
	p = source.NewPush(source.PushConfig{
		Address: address, ServerName: "push.test", CAFile: filepath.Join(f.dir, "ca.crt"), TokenFile: filepath.Join(f.dir, "token"),
		Release: "v1", Apply: s.apply, Revoke: s.revoked.Store, Checked: s.check, LastGood: l, Log: s.log,
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(stop)
	return p, stop
}

func TestPushTakesBundlesAndAnswersEach(t *testing.T) {
	t.Parallel()
	cert, ca := certificate(t, "push.test")
	c, at, _ := serve(t, "127.0.0.1:0", cert)
	f, s, l := files{t.TempDir()}, newSink(), source.LastGood{Dir: t.TempDir()}
	f.ca(t, ca)
	f.token(t, "token-one")
	follow(t, at, f, s, l)

	stream := c.accept(t)
	if stream.token != "Bearer token-one" {
		t.Errorf("authorization %q, want the file's token", stream.token)
	}
	hello := stream.hears(t).GetHello()
	if hello.GetVersion() != "" || hello.GetFeatures() != uint64(bundle.KnownFeatures) || hello.GetSidecarVersion() != "v1" {
		t.Errorf("hello: %v", hello)
	}
	first, v1 := encoded(t, "first")
	stream.says(t, first, v1)
	if ack := stream.hears(t).GetAck(); ack.GetVersion() != v1 {
		t.Errorf("want an ACK of %s, got %v", v1, ack)
	}
	if got := s.next(t).Policies[0].Name; got != "first" {
		t.Errorf("policy %q in force, want first", got)
	}

	for name, bad := range map[string]struct{ data, version string }{
		"another version":  {string(first), strings.Repeat("0", 64)},
		"garbage":          {"canary", bundle.Version([]byte("canary"))},
		"unknown features": {string(first) + "\x08\xff\xff\x03", bundle.Version([]byte(string(first) + "\x08\xff\xff\x03"))},
	} {
		stream.says(t, []byte(bad.data), bad.version)
		if nack := stream.hears(t).GetNack(); nack.GetVersion() != bad.version || nack.GetReason() == "" {
			t.Errorf("%s: want a NACK with a reason, got %v", name, nack)
		}
	}
	if len(s.applied) != 0 {
		t.Error("a bad bundle is in force")
	}
	if _, version, err := l.Load(); version != v1 || err != nil {
		t.Errorf("last good version %s, %v; want %s", version, err, v1)
	}

}

func TestPushAsksForKeysAndTellsWhenTheyAreInForce(t *testing.T) {
	t.Parallel()
	cert, ca := certificate(t, "push.test")
	c, at, _ := serve(t, "127.0.0.1:0", cert)
	f, s := files{t.TempDir()}, newSink()
	f.ca(t, ca)
	f.token(t, "token")
	p, _ := follow(t, at, f, s, source.LastGood{})
	stream := c.accept(t)
	stream.hears(t) // Hello
	bundleOf := func(keyID string) (data []byte, version, id string, keys []byte) {
		spec := policy.Spec{Issuers: []policy.Issuer{{Name: "corp", Issuer: "https://corp.example", Audiences: []string{"orders"},
			Keys: policy.KeySource{JWKSURL: "https://corp.example/jwks"}}}, Rules: []policy.Rule{{Name: "all", Allow: &policy.Allow{Authenticated: true}}}}
		set, err := keyset.Parse([]byte(jwks(keyID)), keyset.Public)
		if err != nil {
			t.Fatal(err)
		}
		id = bundle.SourceID("default", spec.Issuers[0])
		data, err = bundle.Encode(bundle.Assemble([]bundle.Object{{Namespace: "default", Name: "a", Spec: spec}},
			map[string]bundle.KeySet{id: {JWKS: set.Canonical()}}))
		if err != nil {
			t.Fatal(err)
		}
		return data, bundle.Version(data), id, set.Canonical()
	}
	answer := func(id string, keys []byte) {
		digest := sha256.Sum256(keys)
		m := &pushv1.KeysChecked{KeySet: id, Digest: digest[:], BeganAfterMs: 2000, NextAfterMs: 30_000}
		if err := stream.Send(&pushv1.ServerMessage{KeysChecked: m}); err != nil {
			t.Fatal(err)
		}
	}
	first, v1, id, oldKeys := bundleOf("one")
	stream.says(t, first, v1)
	stream.hears(t)     // ACK
	answer(id, oldKeys) // which nobody asked for
	stream.says(t, first, v1)
	stream.hears(t) // ACK: it has been passed over

	if in, ok := p.UnknownKey(id); in != 0 || !ok {
		t.Errorf("at first the look is due in %s, %t; want at once", in, ok)
	}
	asked := time.Now()
	if k := stream.hears(t).GetUnknownKey(); k.GetKeySet() != id || !k.GetAnswer() {
		t.Errorf("asks %v, want for the key set, and an answer", k)
	}
	for range 1000 { // a flood
		p.UnknownKey(id)
	}
	answer(id, oldKeys)
	told := s.hearsChecked(t)
	if told.id != id || told.began.Before(asked.Add(-time.Second)) || told.began.After(asked.Add(3*time.Second)) {
		t.Errorf("told of %s since %s; want about 2 s after it was asked for", told.id, told.began.Sub(asked))
	}
	in, _ := p.UnknownKey(id)
	if in < 20*time.Second || in > 30*time.Second {
		t.Errorf("the next look is due in %s, want what the controller said", in)
	}
	if got := stream.hears(t).GetUnknownKey().GetKeySet(); got != id { // once for all of the flood, and not before the answer
		t.Errorf("asks for %q", got)
	}

	second, v2, _, newKeys := bundleOf("two")
	answer(id, newKeys) // before the bundle that has them
	stream.says(t, second, v2)
	for range 3 {
		s.next(t)
	}
	s.hearsChecked(t)
	if len(s.checked) != 0 {
		t.Error("told of looks that nobody asked for")
	}
}

func TestPushResumesWithItsVersionAndANewToken(t *testing.T) {
	t.Parallel()
	cert, ca := certificate(t, "push.test")
	c, at, stop := serve(t, "127.0.0.1:0", cert)
	f, s := files{t.TempDir()}, newSink()
	f.ca(t, ca)
	f.token(t, "token-one")
	p, _ := follow(t, at, f, s, source.LastGood{})
	stream := c.accept(t)
	stream.hears(t)
	data, version := encoded(t, "first")
	stream.says(t, data, version)
	stream.hears(t)
	s.next(t)

	f.token(t, "token-two")
	stream.end <- status.Error(codes.Unavailable, "this replica stops")
	stream = c.accept(t)
	if got := stream.hears(t).GetHello().GetVersion(); got != version || stream.token != "Bearer token-two" {
		t.Errorf("resumed with version %q and %q; want %q and the renewed token", got, stream.token, version)
	}

	stop() // another replica, with another authority, on the same address
	eventually(t, func() bool { return strings.Count(s.text(), "push stream ended") >= 2 }, s.text)
	cert, ca = certificate(t, "push.test")
	f.ca(t, ca)
	p.UnknownKey("url:a") // reported once connected again
	c, _, _ = serve(t, at, cert)
	stream = c.accept(t)
	if got := stream.hears(t).GetHello().GetVersion(); got != version {
		t.Errorf("resumed with version %q, want %q", got, version)
	}
	if got := stream.hears(t).GetUnknownKey().GetKeySet(); got != "url:a" {
		t.Errorf("unknown key of %q reported, want that of url:a", got)
	}
	if len(s.applied) != 0 {
		t.Error("a reconnect changed the rules")
	}
}

func TestPushTrustsNoOtherServer(t *testing.T) {
	t.Parallel()
	_, ca := certificate(t, "push.test")
	other, otherCA := certificate(t, "other.test")
	imposter, _ := certificate(t, "push.test")
	tests := map[string]struct {
		cert tls.Certificate
		ca   string
	}{
		"of another authority": {imposter, ca},
		"with another name":    {other, otherCA},
		"without an authority": {imposter, "no PEM"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, at, _ := serve(t, "127.0.0.1:0", test.cert)
			f, s := files{t.TempDir()}, newSink()
			f.ca(t, test.ca)
			f.token(t, "canary-token")
			follow(t, at, f, s, source.LastGood{})
			eventually(t, func() bool { return strings.Count(s.text(), "push stream ended") >= 2 }, s.text)
			if len(c.streams) > 0 {
				t.Error("the sidecar talks to the server")
			}
			if strings.Contains(s.text(), "canary") {
				t.Errorf("the token is in the log:\n%s", s.text())
			}
		})
	}
}

func TestPushStartsFromTheLastGoodCopy(t *testing.T) {
	t.Parallel()
	f, s, l := files{t.TempDir()}, newSink(), source.LastGood{Dir: t.TempDir()}
	data, version := encoded(t, "kept")
	if err := l.Save(data, version); err != nil {
		t.Fatal(err)
	}
	cert, ca := certificate(t, "push.test")
	at := freeport.For(t)
	f.ca(t, ca)
	f.token(t, "token")
	_, stop := follow(t, at, f, s, l)
	if got := s.next(t).Policies[0].Name; got != "kept" {
		t.Errorf("policy %q in force without a controller, want kept", got)
	}
	c, _, _ := serve(t, at, cert)
	if got := c.accept(t).hears(t).GetHello().GetVersion(); got != version {
		t.Errorf("hello with version %q, want %q", got, version)
	}
	stop()

	write(t, l.Dir, "last-good-bundle", "spoilt")
	s2 := newSink()
	follow(t, at, f, s2, l)
	if got := c.accept(t).hears(t).GetHello().GetVersion(); got != "" {
		t.Errorf("hello with version %q after the copy was spoilt, want none", got)
	}
	s2.logged(t, "the last good copy is of no use")
	if len(s2.applied) != 0 {
		t.Error("a spoilt copy is in force")
	}
}

func TestPushKeepsKeysThatTheControllerHasNotReadYet(t *testing.T) {
	t.Parallel()
	cert, ca := certificate(t, "push.test")
	c, at, _ := serve(t, "127.0.0.1:0", cert)
	f, s, l := files{t.TempDir()}, newSink(), source.LastGood{Dir: t.TempDir()}
	f.ca(t, ca)
	f.token(t, "token")
	follow(t, at, f, s, l)
	stream := c.accept(t)
	stream.hears(t)
	data, version := encoded(t, "orders")
	stream.says(t, data, version)
	stream.hears(t)
	full := s.next(t)

	bare, err := bundle.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	bare.KeySets = map[string]bundle.KeySet{}
	if data, err = bundle.Encode(bare); err != nil {
		t.Fatal(err)
	}
	stream.says(t, data, bundle.Version(data))
	if ack := stream.hears(t).GetAck(); ack.GetVersion() != bundle.Version(data) {
		t.Errorf("want an ACK of the version that was sent, got %v", ack)
	}
	if d := cmp.Diff(full.KeySets, s.next(t).KeySets); d != "" {
		t.Errorf("keys in force (-want +got):\n%s", d)
	}
	saved, _, err := l.Load()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(full.KeySets, saved.KeySets); d != "" {
		t.Errorf("keys on disk (-want +got):\n%s", d)
	}
}

func TestPushSaysWhichKeySetsItHolds(t *testing.T) {
	t.Parallel()
	cert, ca := certificate(t, "push.test")
	c, at, _ := serve(t, "127.0.0.1:0", cert)
	f, s, l := files{t.TempDir()}, newSink(), source.LastGood{Dir: t.TempDir()}
	f.ca(t, ca)
	f.token(t, "token")
	follow(t, at, f, s, l)
	stream := c.accept(t)
	stream.hears(t)
	data, _ := encoded(t, "orders")
	full, err := bundle.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	bare := *full
	bare.KeySets = nil
	send := func(b *bundle.Bundle) *pushv1.ClientMessage {
		data, err := bundle.Encode(b)
		if err != nil {
			t.Fatal(err)
		}
		stream.says(t, data, bundle.Version(data))
		if m := stream.hearsAny(t); m.GetAck() == nil {
			t.Fatalf("got %v, want an ACK first", m)
		}
		return stream.hearsAny(t)
	}
	var id string
	var keys []byte
	for i, k := range full.KeySets {
		id, keys = i, k.JWKS
	}
	digest := sha256.Sum256(keys)
	none, some := &pushv1.HeldKeySet{Id: id}, &pushv1.HeldKeySet{Id: id, Digest: digest[:], Count: 1}
	want := func(m *pushv1.ClientMessage, sets ...*pushv1.HeldKeySet) {
		t.Helper()
		if d := cmp.Diff(&pushv1.State{KeySets: sets}, m.GetState(), protocmp.Transform()); d != "" {
			t.Errorf("state (-want +got):\n%s", d)
		}
	}
	want(send(&bare), none)
	want(send(full), some)
	stream.end <- nil
	stream = c.accept(t)
	stream.hears(t)
	want(stream.hearsAny(t), some) // each stream is told, perhaps by another replica
}

func TestPushKnowsHowNewItsRulesAre(t *testing.T) {
	t.Parallel()
	cert, ca := certificate(t, "push.test")
	c, at, stopServer := serve(t, "127.0.0.1:0", cert)
	f, s, l := files{t.TempDir()}, newSink(), source.LastGood{Dir: t.TempDir()}
	f.ca(t, ca)
	f.token(t, "token")
	data, version := encoded(t, "kept")
	if err := l.Save(data, version); err != nil {
		t.Fatal(err)
	}
	hourAgo := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(l.Dir, "last-good-bundle"), hourAgo, hourAgo); err != nil {
		t.Fatal(err)
	}
	told := make(chan bool, 10)
	p := source.NewPush(source.PushConfig{
		Address: at, ServerName: "push.test", CAFile: filepath.Join(f.dir, "ca.crt"), TokenFile: filepath.Join(f.dir, "token"),
		Apply: s.apply, LastGood: l, Log: s.log, MaxStaleness: 30 * time.Minute, Stale: func(is bool) { told <- is },
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	defer func() { cancel(); <-done }()

	stream := c.accept(t)
	stream.hears(t)
	if !<-told {
		t.Error("a copy of an hour is not stale")
	}
	if got := p.Freshness(); !got.Known || got.Connected || got.Age < time.Hour {
		t.Errorf("with the copy alone: %+v, want an age of an hour", got)
	}
	if err := stream.Send(&pushv1.ServerMessage{Current: strings.Repeat("0", 64)}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return p.Freshness().Connected }, s.text)
	if got := p.Freshness(); got.Age < time.Hour {
		t.Errorf("another version is the newest: %+v, want an age of an hour still", got)
	}
	if err := stream.Send(&pushv1.ServerMessage{Current: version}); err != nil {
		t.Fatal(err)
	}
	if <-told {
		t.Error("stale though the controller says that the rules are the newest")
	}
	if got := p.Freshness(); !got.Connected || got.Age != 0 {
		t.Errorf("with the newest rules: %+v", got)
	}
	if age := time.Since(l.Confirmed()); age > time.Minute {
		t.Errorf("the copy on disk says that it is of %s ago", age)
	}
	stream.says(t, []byte("no bundle"), bundle.Version([]byte("no bundle")))
	if stream.hears(t).GetNack() == nil {
		t.Error("no NACK")
	}
	if got := p.Freshness(); !got.Connected || got.Age == 0 {
		t.Errorf("with a bundle that was refused: %+v, want an age", got)
	}
	newer, v2 := encoded(t, "newer")
	stream.says(t, newer, v2)
	stream.hears(t)
	if got := p.Freshness(); !got.Connected || got.Age != 0 {
		t.Errorf("with newer rules: %+v", got)
	}
	stopServer()
	eventually(t, func() bool { return !p.Freshness().Connected }, s.text)
}

// A sidecar says so while it cannot save its rules, and when it can again.
func TestPushTellsThatRulesAreNotSaved(t *testing.T) {
	t.Parallel()
	cert, ca := certificate(t, "push.test")
	c, at, _ := serve(t, "127.0.0.1:0", cert)
	f, s := files{t.TempDir()}, newSink()
	f.ca(t, ca)
	f.token(t, "token")
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // a file, where the folder should be
		t.Fatal(err)
	}
	follow(t, at, f, s, source.LastGood{Dir: dir})
	stream := c.accept(t)
	stream.hears(t)
	give := func(name string, unsaved bool) {
		t.Helper()
		data, version := encoded(t, name)
		stream.says(t, data, version)
		if m := stream.hearsAny(t); m.GetAck() == nil {
			t.Fatalf("got %v, want an ACK: the rules are in force all the same", m)
		}
		if m := stream.hearsAny(t).GetState(); m.GetUnsaved() != unsaved {
			t.Fatalf("state %v, want unsaved %v", m, unsaved)
		}
	}
	give("orders", true)
	if err := errors.Join(os.Remove(dir), os.Mkdir(dir, 0o700)); err != nil {
		t.Fatal(err)
	}
	give("other", false)
}

func TestPushTellsOfPorts(t *testing.T) {
	t.Parallel()
	cert, ca := certificate(t, "push.test")
	c, at, _ := serve(t, "127.0.0.1:0", cert)
	f, s := files{t.TempDir()}, newSink()
	f.ca(t, ca)
	f.token(t, "token")
	p, _ := follow(t, at, f, s, source.LastGood{})
	stream := c.accept(t)
	stream.hears(t)
	want := &pushv1.State{
		OpenPorts: []*pushv1.OpenPort{{Port: 18080}}, ForeignPorts: []*pushv1.ForeignPort{{Port: 8443, Protocol: "TLS"}},
	}
	p.SetPorts([]uint16{18080}, []source.ForeignPort{{Port: 8443, Protocol: "TLS"}})
	if d := cmp.Diff(want, stream.hearsAny(t).GetState(), protocmp.Transform()); d != "" {
		t.Errorf("state (-want +got):\n%s", d)
	}
	p.SetPorts([]uint16{18080}, []source.ForeignPort{{Port: 8443, Protocol: "TLS"}}) // nothing new
	data, version := encoded(t, "orders")
	stream.says(t, data, version)
	if m := stream.hearsAny(t); m.GetAck() == nil {
		t.Errorf("got %v, want an ACK", m)
	}
	if m := stream.hearsAny(t).GetState(); len(m.GetKeySets()) == 0 || len(m.GetOpenPorts()) != 1 {
		t.Errorf("state %v, want key sets and ports", m)
	}
	p.SetPorts(nil, nil)
	if m := stream.hearsAny(t).GetState(); len(m.GetKeySets()) == 0 || len(m.GetOpenPorts()) != 0 {
		t.Errorf("state %v, want key sets and no ports", m)
	}
	stream.end <- nil
	stream = c.accept(t)
	stream.hears(t)
	if m := stream.hearsAny(t).GetState(); len(m.GetKeySets()) == 0 {
		t.Errorf("state %v on another stream, want all of it", m)
	}
}
