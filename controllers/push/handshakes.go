package push

import (
	"crypto/tls"
	"errors"
	"net"
	"time"

	"google.golang.org/grpc/credentials"
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
	// maxHello bounds what a caller may send until we answer, in bytes: crypto/tls keeps it, and what it says, up to 15 times over while the
	// caller waits. A sidecar sends some 1,540.
	maxHello = 3 << 10
)

// handshakes are the TLS handshakes of a server. Turns go to client addresses in rotation, so that who opens thousands of connections
// from one address does not hold up those from others, and last until our part is sent, so that who does not answer holds up nobody.
// Those for whom there is no place are closed at once.
type handshakes struct {
	credentials.TransportCredentials
	places *places
}

var _ credentials.TransportCredentials = handshakes{}

var (
	errPlaces = errors.New("too many shake hands")
	errLine   = errors.New("the line is too long")
	errHello  = errors.New("the first message is too long")
)

// newHandshakes returns credentials with the certificates of conf.
func newHandshakes(conf *tls.Config, turns *turns) handshakes {
	conf = conf.Clone()
	conf.SessionTicketsDisabled = true // sidecars keep no sessions
	next := conf.GetConfigForClient
	conf.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if g, ok := hello.Conn.(*greeting); ok && !g.wait(turns) {
			return nil, errLine
		}
		if next == nil {
			return nil, nil //nolint:nilnil // conf holds
		}
		return next(hello)
	}
	return handshakes{credentials.NewTLS(conf), newPlaces(maxPlaces)}
}

// ServerHandshake implements credentials.TransportCredentials.
func (h handshakes) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	address := conn.RemoteAddr().String()
	if host, _, err := net.SplitHostPort(address); err == nil {
		address = host
	}
	if !h.places.take(address) {
		return nil, nil, errPlaces
	}
	defer h.places.leave(address)
	if err := conn.SetDeadline(time.Now().Add(handshakeStep)); err != nil {
		return nil, nil, err
	}
	g := &greeting{Conn: conn, address: address, room: maxHello}
	defer g.done()
	out, info, err := h.TransportCredentials.ServerHandshake(g)
	if err != nil {
		return nil, nil, err
	}
	return out, info, conn.SetDeadline(time.Now().Add(handshakeStep)) // gRPC takes it away once HTTP/2 has begun
}

// Clone implements credentials.TransportCredentials.
func (h handshakes) Clone() credentials.TransportCredentials {
	h.TransportCredentials = h.TransportCredentials.Clone()
	return h
}

// greeting is a connection that may have its turn to shake hands.
type greeting struct {
	net.Conn
	address  string
	room     int    // bytes that it may still send until it is answered
	end      func() // nil: it has none
	answered bool
}

// wait waits for the connection's turn. It is called once the client's first message is here. false: it took too long.
func (g *greeting) wait(turns *turns) bool {
	begun := make(chan func(), 1)
	turns.take(g.address, func(end func()) { begun <- end })
	late := time.NewTimer(longestLine)
	defer late.Stop()
	select {
	case g.end = <-begun:
		return g.SetDeadline(time.Now().Add(handshakeStep)) == nil
	case <-late.C:
		go func() { (<-begun)() }() // its turn will come all the same, and goes to the next
		return false
	}
}

// Read bounds what is read until we answer.
func (g *greeting) Read(b []byte) (int, error) {
	n, err := g.Conn.Read(b)
	if g.answered {
		return n, err
	}
	if g.room -= n; g.room < 0 {
		return 0, errHello
	}
	return n, err
}

// Write ends the turn: our part has been computed.
func (g *greeting) Write(b []byte) (int, error) {
	n, err := g.Conn.Write(b)
	if !g.answered {
		g.answered = true
		g.done()
	}
	return n, err
}

func (g *greeting) done() {
	if g.end != nil {
		g.end()
		g.end = nil
	}
}
