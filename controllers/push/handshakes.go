package push

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/bearerguard/bearerguard/api/fair"
)

const (
	// handshakesAtATime is how many TLS handshakes for each processor are computed at a time. When thousands of sidecars come at once, each
	// handshake is then over soon after it has begun, in the order in which they came, instead of all of them at the end and too late.
	handshakesAtATime = 4
	// handshakeStep is how long a caller may take for what is its part: to send its first message, to answer ours, and to begin HTTP/2.
	// What it waits for its turn does not count.
	handshakeStep = 10 * time.Second
	// longestLine bounds what it waits. Sidecars do not wait as long.
	longestLine = time.Minute
	// maxHello bounds what a caller may send until we answer, in bytes: crypto/tls keeps it, and what it says, up to 13 times over while the
	// caller waits. A sidecar sends some 1,540.
	maxHello = 3 << 10
	// maxStrangers is how many may shake hands, or have done so and not shown who they are, at a time. One that waits for its turn takes 18 KiB,
	// stack included, so all of them take 72 MiB; if all say the worst that fits into maxHello, 200 MiB. One that has shaken hands takes less
	// than with a stream, which is 42 KiB at most. An address may have half of them. A sidecar that finds no place, or makes way, comes again
	// after a second or two.
	maxStrangers = 4096
	// leastAnswer is shorter than what we send once we have computed, a certificate in it, and longer than what asks for another first
	// message (HelloRetryRequest, RFC 8446 section 4.1.4), in bytes.
	leastAnswer = 400
)

// handshakes are the TLS handshakes of a server. Turns go to client addresses in rotation, so that who opens thousands of connections
// from one address does not hold up those from others, and last until our part is sent, so that who does not answer holds up nobody.
// Those for whom there is no place are closed at once. Who has shaken hands keeps its place until it has shown who it is, or makes way for one
// of another address, of those of an address that has most.
type handshakes struct {
	credentials.TransportCredentials
	turns     *turns
	strangers *fair.Bound
}

var _ credentials.TransportCredentials = handshakes{}

var (
	errPlaces = errors.New("too many shake hands")
	errLine   = errors.New("the line is too long")
	errHello  = errors.New("the first message is too long")
)

// newHandshakes returns credentials with the certificates of conf.
func newHandshakes(conf *tls.Config, turns *turns, strangers *fair.Bound) handshakes {
	conf = conf.Clone()
	conf.SessionTicketsDisabled = true // sidecars keep no sessions
	next := conf.GetConfigForClient
	conf.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if g, ok := hello.Conn.(*greeting); ok && !g.wait() {
			return nil, errLine
		}
		if next == nil {
			return nil, nil //nolint:nilnil // conf holds
		}
		return next(hello)
	}
	return handshakes{credentials.NewTLS(conf), turns, strangers}
}

// newStrangers bounds n connections.
func newStrangers(n int) *fair.Bound { return fair.NewBound(fair.Limits{All: n, Place: n / 2}) }

// ServerHandshake implements credentials.TransportCredentials.
func (h handshakes) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	leave, ok := h.strangers.Enter(fair.Host(conn.RemoteAddr().String()), func() { _ = conn.Close() })
	if !ok {
		return nil, nil, errPlaces
	}
	out, info, err := h.greet(conn)
	if err != nil {
		leave()
		return nil, nil, err
	}
	return &stranger{out, leave}, strangerInfo{info, leave}, nil // gRPC closes it, whatever comes: what it writes first fits into its buffer
}

// greet shakes hands.
func (h handshakes) greet(conn net.Conn) (out net.Conn, info credentials.TLSInfo, err error) {
	address := conn.RemoteAddr().String()
	if host, _, err := net.SplitHostPort(address); err == nil {
		address = host
	}
	g := &greeting{Conn: conn, turns: h.turns, address: address, room: maxHello, patience: longestLine}
	defer g.answer()
	if err := g.step(); err != nil {
		return nil, info, err
	}
	out, auth, err := h.TransportCredentials.ServerHandshake(g)
	if err != nil {
		return nil, info, err
	}
	info, ok := auth.(credentials.TLSInfo)
	if !ok {
		return nil, info, errors.New("the handshake is of no TLS")
	}
	return out, info, g.step() // gRPC takes it away once HTTP/2 has begun
}

// stranger is the connection of somebody who has shaken hands. It has its place until it is closed, or is found to be of somebody known.
type stranger struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (s *stranger) Close() error {
	s.leave()
	return s.Conn.Close()
}

// strangerInfo is the credentials.AuthInfo of a stranger.
type strangerInfo struct {
	credentials.TLSInfo
	leave func()
}

// strangerOf returns what is known of the connection of a stream; false: nothing. Who finds out whose it is calls leave, so that it counts no
// more among those of strangers.
func strangerOf(ctx context.Context) (strangerInfo, bool) {
	from, ok := peer.FromContext(ctx)
	if !ok {
		return strangerInfo{}, false
	}
	info, ok := from.AuthInfo.(strangerInfo)
	return info, ok
}

// Clone implements credentials.TransportCredentials.
func (h handshakes) Clone() credentials.TransportCredentials {
	h.TransportCredentials = h.TransportCredentials.Clone()
	return h
}

// greeting is a connection that may have its turn to shake hands. One goroutine uses it until it is answered; then it is as safe as Conn.
type greeting struct {
	net.Conn
	turns    *turns
	address  string
	end      func()        // nil: it has no turn
	until    time.Time     // its deadline
	patience time.Duration // how long it may still wait in line
	room     int           // bytes that it may still send
	again    bool          // it was asked for another first message
	answered bool
}

// step begins one of the caller's steps.
func (g *greeting) step() error {
	g.until = time.Now().Add(handshakeStep)
	return g.SetDeadline(g.until)
}

// wait waits for the connection's turn. It is called once the client's first message is here. false: it took too long.
func (g *greeting) wait() bool {
	began := time.Now()
	begun := make(chan func(), 1)
	g.turns.take(g.address, func(end func()) { begun <- end })
	late := time.NewTimer(g.patience)
	defer late.Stop()
	select {
	case g.end = <-begun:
		waited := time.Since(began)
		g.patience -= waited
		g.until = g.until.Add(waited)
		return g.SetDeadline(g.until) == nil
	case <-late.C:
		go func() { (<-begun)() }() // its turn will come all the same, and goes to the next
		return false
	}
}

// Read ends the turn, since nothing is computed meanwhile. What comes after we asked for another first message waits for a turn again.
func (g *greeting) Read(b []byte) (int, error) {
	if g.answered {
		return g.Conn.Read(b)
	}
	g.done()
	n, err := g.Conn.Read(b)
	if g.room -= n; g.room < 0 {
		return 0, errHello
	}
	if g.again && n > 0 && !g.wait() {
		return 0, errLine
	}
	return n, err
}

// Write ends the turn: our part has been computed, unless it asks for another first message.
func (g *greeting) Write(b []byte) (int, error) {
	if g.answered {
		return g.Conn.Write(b)
	}
	if err := g.step(); err != nil {
		return 0, err
	}
	n, err := g.Conn.Write(b)
	if len(b) >= leastAnswer {
		g.answer()
		return n, err
	}
	g.done()
	g.again, g.room = true, maxHello
	return n, err
}

// answer notes that our part is sent.
func (g *greeting) answer() {
	g.done()
	g.answered = true
}

func (g *greeting) done() {
	if g.end != nil {
		g.end()
		g.end = nil
	}
}
