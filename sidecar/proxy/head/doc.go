// Package head reads the heads of HTTP/1.1 messages strictly, and follows the framing of their bodies.
//
// Where RFC 9112 lets a recipient be lenient, this package is not: a line ends in CRLF, a field is not folded, a name
// touches its colon, a length is one number, a body is framed in one way. Two parsers that both stay inside this
// grammar cannot come to different ends of a message, which is what request smuggling needs.
//
// Parsing copies nothing and, with storage that is used again, allocates nothing: slices point into the head.
package head
