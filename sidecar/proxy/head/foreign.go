package head

import "bytes"

// Foreign is another protocol than HTTP, by the name that people give it. It refuses a head.
type Foreign string

// Error returns what is wrong, without anything of the message.
func (f Foreign) Error() string { return "the client speaks " + string(f) }

// The protocols that are known by their first bytes.
const (
	TLS      Foreign = "TLS"
	SSH      Foreign = "SSH"
	Proxied  Foreign = "the PROXY protocol"
	Postgres Foreign = "PostgreSQL's protocol"
	Mongo    Foreign = "MongoDB's protocol"
	Redis    Foreign = "Redis's protocol"
	AMQP     Foreign = "AMQP"
	MQTT     Foreign = "MQTT"
	Kafka    Foreign = "Kafka's protocol"
	// NoTLS is whatever a client says to a server of TLS that is none.
	NoTLS Foreign = "something else than TLS"
)

// ForeignOf tells the protocol that the first bytes of a connection belong to; empty if that is not known. Nothing with which
// a message of HTTP can begin is taken for another protocol. Protocols in which the server speaks first cannot be told.
func ForeignOf(b []byte) Foreign {
	for i := range firsts {
		f := &firsts[i]
		if has(b, f.at, f.first) && has(b, f.then, f.second) {
			return f.protocol
		}
	}
	if isRedis(b) {
		return Redis
	}
	return ""
}

func has(b []byte, at int, s string) bool { return len(b) >= at+len(s) && string(b[at:at+len(s)]) == s }

// firsts are the first bytes of protocols, in one or two places.
var firsts = [...]struct {
	protocol Foreign
	at       int
	first    string
	then     int
	second   string
}{
	{TLS, 0, "\x16\x03", 0, ""}, // a handshake record (RFC 8446 section 5.1)
	{SSH, 0, "SSH-2.", 0, ""},   // RFC 4253 section 4.2
	{SSH, 0, "SSH-1.", 0, ""},
	{Proxied, 0, "PROXY TCP4 ", 0, ""},
	{Proxied, 0, "PROXY TCP6 ", 0, ""},
	{Proxied, 0, "PROXY UNKNOWN", 0, ""},
	{Proxied, 0, "\r\n\r\n\x00\r\nQUIT\n", 0, ""}, // version 2
	{Proxied, 0, "\r\n\x00\r\nQUIT\n", 0, ""},     // the same without the empty line that HTTP ignores
	{AMQP, 0, "AMQP\x00", 0, ""},
	{AMQP, 0, "AMQP\x03", 0, ""},
	{MQTT, 0, "\x10", 2, "\x00\x04MQTT"}, // CONNECT
	{MQTT, 0, "\x10", 2, "\x00\x06MQIs"},
	{Postgres, 0, "\x00\x00", 4, "\x00\x03\x00\x00"}, // version 3.0
	{Postgres, 0, "\x00\x00", 4, "\x04\xd2\x16\x2e"}, // a cancellation
	{Postgres, 0, "\x00\x00", 4, "\x04\xd2\x16\x2f"}, // a wish for TLS
	{Postgres, 0, "\x00\x00", 4, "\x04\xd2\x16\x30"}, // a wish for GSSAPI
	{Kafka, 0, "\x00\x00", 4, "\x00\x12\x00"},        // ApiVersions, which clients ask first
	{Mongo, 3, "\x00", 12, "\xdd\x07\x00\x00"},       // OP_MSG
	{Mongo, 3, "\x00", 12, "\xd4\x07\x00\x00"},       // OP_QUERY
}

// isRedis tells an array of bulk strings.
func isRedis(b []byte) bool {
	return len(b) > 1 && b[0] == '*' && b[1] >= '1' && b[1] <= '9' &&
		bytes.HasPrefix(bytes.TrimLeft(b[1:], "0123456789"), []byte("\r\n$"))
}
