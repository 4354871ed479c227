package push

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// half is a client's connection on which the answer to the first message is read and no other message is sent.
type half struct {
	net.Conn
	spoken bool
}

func (h *half) Write(b []byte) (int, error) {
	if h.spoken {
		return 0, io.ErrClosedPipe
	}
	h.spoken = true
	return h.Conn.Write(b)
}

// shake begins a handshake on the server, and returns the client's end and where the outcome comes.
func shake(h handshakes) (client net.Conn, outcome <-chan error) {
	client, server := net.Pipe()
	done := make(chan error, 1)
	go func() {
		_, _, err := h.ServerHandshake(server)
		if err != nil {
			_ = server.Close()
		}
		done <- err
	}()
	return client, done
}

func TestHandshakes(t *testing.T) {
	t.Parallel()
	cert := selfSigned(t)
	dial := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}} //nolint:gosec // of the test's own server
	cases := map[string]struct {
		client func(conn net.Conn)
		turn   time.Duration // until there is one
		ok     bool
		after  time.Duration
	}{
		"a client that speaks": {
			client: func(c net.Conn) { _ = tls.Client(c, dial).Handshake() }, ok: true,
		},
		"a client that waits long for its turn": {
			client: func(c net.Conn) { _ = tls.Client(c, dial).Handshake() }, turn: longestLine - time.Second, ok: true, after: longestLine - time.Second,
		},
		"a client that says nothing": {
			client: func(net.Conn) {}, after: handshakeStep,
		},
		"a client that does not answer": {
			client: func(c net.Conn) { _ = tls.Client(&half{Conn: c}, dial).Handshake() },
			turn:   time.Second, after: time.Second + handshakeStep,
		},
		"a client whose first message is too long": {
			client: func(c net.Conn) { _, _ = c.Write(append([]byte{22, 3, 1, 64, 0}, make([]byte, 16<<10)...)) },
		},
		"a client that would wait too long": {
			client: func(c net.Conn) { _ = tls.Client(c, dial).Handshake() }, turn: 2 * longestLine, after: longestLine,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				turns := newTurns(1)
				free := turns.free
				turns.free = 0
				began := time.Now()
				client, outcome := shake(newHandshakes(&tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}, turns, newStrangers(maxStrangers)))
				go c.client(client)
				time.AfterFunc(c.turn, func() {
					for range free {
						turns.next()
					}
				})
				if err := <-outcome; (err == nil) != c.ok {
					t.Errorf("handshake: %v", err)
				}
				if d := time.Since(began); d != c.after {
					t.Errorf("it was over after %s, want %s", d, c.after)
				}
				_ = client.Close()
				time.Sleep(c.turn + longestTurn)
				synctest.Wait()
				if turns.free != free {
					t.Errorf("%d of %d turns are free afterwards", turns.free, free)
				}
			})
		})
	}
}

// TestHalfHandshakesHoldUpNobody has one turn at a time, and many clients that do not answer.
func TestHalfHandshakesHoldUpNobody(t *testing.T) {
	t.Parallel()
	cert := selfSigned(t)
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(1)
		turns.free = 1
		h := newHandshakes(&tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}, turns, newStrangers(maxStrangers))
		dial := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}} //nolint:gosec // of the test's own server
		var halves []net.Conn
		began := time.Now()
		for range 100 {
			client, _ := shake(h)
			halves = append(halves, client)
			reads := make(chan struct{})
			go func() { // says its first message, takes the answer, and leaves it at that
				defer close(reads)
				_ = tls.Client(&half{Conn: client}, dial).Handshake()
			}()
			<-reads
		}
		client, outcome := shake(h)
		go func() { _ = tls.Client(client, dial).Handshake() }()
		if err := <-outcome; err != nil {
			t.Errorf("handshake after a hundred halves: %v", err)
		}
		if d := time.Since(began); d != 0 {
			t.Errorf("it was held up for %s", d)
		}
		for _, c := range append(halves, client) {
			_ = c.Close()
		}
	})
}

// TestWhoFindsNoPlaceIsClosedAtOnce has one connection that waits for its turn, and room for one of its address.
func TestWhoFindsNoPlaceIsClosedAtOnce(t *testing.T) {
	t.Parallel()
	cert := selfSigned(t)
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(1)
		turns.free = 0
		h := newHandshakes(&tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}, turns, newStrangers(2))
		dial := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}} //nolint:gosec // of the test's own server
		began := time.Now()
		first, waits := shake(h)
		go func() { _ = tls.Client(first, dial).Handshake() }()
		synctest.Wait()
		_, refused := shake(h)
		if err := <-refused; !errors.Is(err, errPlaces) {
			t.Errorf("the second of an address: %v; want %v", err, errPlaces)
		}
		turns.next()
		if err := <-waits; err != nil {
			t.Errorf("the first: %v", err)
		}
		_, refused = shake(h.Clone().(handshakes))
		if err := <-refused; !errors.Is(err, errPlaces) {
			t.Errorf("the third, while nobody knows whose the first is: %v; want %v", err, errPlaces)
		}
		if d := time.Since(began); d != 0 {
			t.Errorf("it took %s", d)
		}
		_ = first.Close()
	})
}

// asked is a client's connection that calls before once, when the client was asked for another first message and is about to send it. It
// sends that in pieces of piece bytes.
type asked struct {
	net.Conn
	spoken bool
	before func()
	piece  int
}

func (a *asked) Write(b []byte) (int, error) {
	if !a.spoken {
		a.spoken = true
		return a.Conn.Write(b)
	}
	if a.before != nil {
		a.before()
		a.before = nil
	}
	for piece := range slices.Chunk(b, a.piece) {
		if n, err := a.Conn.Write(piece); err != nil {
			return n, err
		}
	}
	return len(b), nil
}

// TestAnotherFirstMessageWaitsForATurnToo has clients that offer no share of a key that the server takes at once (RFC 8446 section
// 4.1.4), and lets others have all turns once the server has asked for another message.
func TestAnotherFirstMessageWaitsForATurnToo(t *testing.T) {
	t.Parallel()
	conf := &tls.Config{
		Certificates: []tls.Certificate{selfSigned(t)}, MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.CurveP256},
	}
	dial := &tls.Config{
		InsecureSkipVerify: true, NextProtos: []string{"h2"}, //nolint:gosec // of the test's own server
		CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256},
	}
	cases := map[string]struct {
		turn  time.Duration // until there is one
		piece int
		ok    bool
	}{
		"in one piece":              {turn: time.Second, piece: 1 << 10, ok: true},
		"byte by byte":              {turn: time.Second, piece: 1, ok: true},
		"when the line is long":     {turn: longestLine - time.Second, piece: 1 << 10, ok: true},
		"when the line is too long": {turn: longestLine + time.Second, piece: 1 << 10},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				turns := newTurns(1)
				turns.free = 1
				client, outcome := shake(newHandshakes(conf, turns, newStrangers(maxStrangers)))
				began, retried := time.Now(), false
				go func() {
					_ = tls.Client(&asked{Conn: client, piece: c.piece, before: func() {
						_, _ = io.ReadFull(client, make([]byte, 6)) // a change of cipher specs, which says nothing; a pipe keeps none
						synctest.Wait()                             // the server's turn is over
						retried = turns.free == 1
						turns.free = 0
						time.AfterFunc(c.turn, turns.next)
					}}, dial).Handshake()
				}()
				if err := <-outcome; (err == nil) != c.ok {
					t.Errorf("handshake: %v", err)
				}
				if d := time.Since(began); d != min(c.turn, longestLine) {
					t.Errorf("it was over after %s, want %s", d, min(c.turn, longestLine))
				}
				_ = client.Close()
				time.Sleep(c.turn + longestTurn)
				synctest.Wait()
				if !retried || turns.free != 1 {
					t.Errorf("asked for another message, with the turn free: %t; %d of 1 turns are free afterwards", retried, turns.free)
				}
			})
		})
	}
}
