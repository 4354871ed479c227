// Package head reads the head of an HTTP/1.1 request strictly, and follows the framing of its body.
//
// Where RFC 9112 lets a recipient be lenient, this package is not: a line ends in CRLF, a field is not folded, a name
// touches its colon, a length is one number, a body is framed in one way. Two parsers that both stay inside this
// grammar cannot come to different ends of a request, which is what request smuggling needs.
package head
