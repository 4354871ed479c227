// Package frame is the protocol of HTTP/2 (RFC 9113) as a state machine of one connection, in the role of a server or of a
// client. It does no I/O, starts nothing, locks nothing and reads no clock.
//
// Whoever owns a Conn feeds it the bytes that were read, and writes what Output returns when it may. What the bytes mean
// comes out as calls of a Handler, before Feed returns; what is to be sent is said by methods, which a Handler may call.
// Streams go by their number, which no connection gives twice, so that one that is gone is never taken for another.
//
// Bodies are bounded by windows (section 5.2) in both directions. A peer may send as much as Config says and then no more
// than Took was told of. Data takes what fits into a stream's queue, says how much of it has gone to the output, and Sent
// tells of the rest. The output takes frames of DATA, at most 16 KiB each, from streams in turn, so none starves another; it
// grows beyond 64 KiB by heads and answers alone, and a server reads no more while 128 KiB are unwritten.
//
// What a peer does wrong ends the stream or the connection by the RFC's own code, with the rule that says so. What is right
// but wears a server down has budgets: resets a second, of the peer's and those that it provokes, and frames that move
// nothing. Fields are validated by the grammar of sidecar/proxy/head; one that HPACK's table gives again is the same string.
package frame
