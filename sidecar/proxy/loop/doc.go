// Package loop owns connections: one goroutine for many of them, which is the only one that touches them.
//
// A Loop waits for its connections to become readable or writable, for its timers, and for what others Post to it, and calls
// the Handler of a connection, a Timer's function, or what was posted, one after the other. So nothing that belongs to a
// connection needs a lock, and nothing that is called may block: connecting is not waited for, what the kernel does not take at
// once is queued, and a TLS handshake has a goroutine of its own until it is done.
//
// A connection that waits holds no buffer. What is read lies in a buffer of the loop's until the next read, and whoever wants to
// keep some of it takes a block of its own (Buffer).
//
// Systems other than Linux on its usual processors have poll(2) in place of epoll(7), no splice(2), and no knowledge of what peers have taken, for
// trying things out. The tag loop_poll makes Linux such a system, as make test does once more with the tests of the loop and of the proxy.
//
// # Why it is our own
//
// gnet (v2.9) and netpoll (v0.7) have no TLS and no splice. gnet bounds no queue of what is to be written and has one ticker in place of
// timers; netpoll gives each readable connection a goroutine again, so that what belongs to several connections needs locks. Most of
// this package would have had to be written around either.
package loop
