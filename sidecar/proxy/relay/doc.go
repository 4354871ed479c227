// Package relay carries HTTP/1.1 between a client and the app: one goroutine a client connection, which reads a head, has
// the gate judge it, writes the head that the app is to see, and copies the answer back.
//
//	client -> stream -> head.ParseRequest -> gate.Judge -> outgoing head + body -> upstream
//	client <- answer head + body <- head.ParseResponse <- stream <- upstream
//
// # What it costs
//
// In the steady state a request allocates nothing. Buffers come from pools when bytes arrive, and go back when there are
// none: an idle connection, and one that waits, hold no buffer. What belongs to one request (exchange) is pooled too.
//
// What is waited for long is waited for without a goroutine (park.go): for a client's next request or the rest of one, for
// the app's answer, for more of it, for a client that takes nothing of it, for either end of a tunnel. The sweep finds such
// waits; the goroutine that waits leaves everything in its conn, its exchange or its tunnel, and ends. One epoll instance
// for reading and one for writing wait for all of them (lot_linux.go), and another goroutine goes on where the first has
// stopped. In a crowd (Config.Crowd), waits that are likely to be long are parked at once. Under TLS what is waited for is the
// socket below (below.go).
//
// # Connections to the app
//
// A client connection has a connection to the app of its own, which is closed once the client has been idle for a
// moment. No connection to the app ever serves two clients, so an app that answers more than it was asked can only
// confuse the client that asked.
//
// # HTTP/2
//
// A client that speaks HTTP/2 has a server of HTTP/2 that reads its requests (net/http's) and calls HTTP2.Serve for each.
// From there on it is the same: the same grammar, judge, head and reader of answers, and connections to the app that are
// this client's alone, as many as it has requests at a time.
//
// # Time
//
// Timeouts are not timers: each connection notes what it does and since when, and one goroutine looks at all of them a
// few times a second (sweep.go). A timeout is therefore late by a quarter at most.
package relay
