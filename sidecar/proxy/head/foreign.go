package head

import (
	"bytes"
	"encoding/binary"
)

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
	for _, p := range [...]struct {
		start    string
		protocol Foreign
	}{
		{"\x16\x03", TLS}, // a handshake record (RFC 8446 section 5.1)
		{"SSH-2.", SSH},   // RFC 4253 section 4.2
		{"SSH-1.", SSH},
		{"PROXY TCP4 ", Proxied},
		{"PROXY TCP6 ", Proxied},
		{"PROXY UNKNOWN", Proxied},
		{"\r\n\r\n\x00\r\nQUIT\n", Proxied}, // version 2
		{"\r\n\x00\r\nQUIT\n", Proxied},     // the same without the empty line that HTTP ignores
		{"AMQP\x00", AMQP},
		{"AMQP\x03", AMQP},
	} {
		if len(b) >= len(p.start) && string(b[:len(p.start)]) == p.start {
			return p.protocol
		}
	}
	return binaryForeign(b)
}

// binaryForeign is ForeignOf for protocols whose first bytes are numbers, and for Redis's.
func binaryForeign(b []byte) Foreign {
	for _, p := range []struct {
		least    int // bytes that it takes to tell
		begins   func([]byte) bool
		protocol Foreign
	}{
		{4, isRedis, Redis}, {8, isMQTT, MQTT}, {8, isPostgres, Postgres}, {8, isKafka, Kafka}, {16, isMongo, Mongo},
	} {
		if len(b) >= p.least && p.begins(b) {
			return p.protocol
		}
	}
	return ""
}

// isRedis tells an array of bulk strings.
func isRedis(b []byte) bool {
	return b[0] == '*' && b[1] >= '1' && b[1] <= '9' && bytes.HasPrefix(bytes.TrimLeft(b[1:], "0123456789"), []byte("\r\n$"))
}

// isMQTT tells a CONNECT of version 3 or later.
func isMQTT(b []byte) bool {
	return b[0] == 0x10 && (bytes.HasPrefix(b[2:], []byte("\x00\x04MQTT")) || bytes.HasPrefix(b[2:], []byte("\x00\x06MQIs")))
}

// isKafka tells ApiVersions, which clients ask first.
func isKafka(b []byte) bool { return b[0] == 0 && b[1] == 0 && string(b[4:7]) == "\x00\x12\x00" }

// isMongo tells OP_MSG and OP_QUERY.
func isMongo(b []byte) bool {
	return b[3] == 0 && (string(b[12:16]) == "\xdd\x07\x00\x00" || string(b[12:16]) == "\xd4\x07\x00\x00")
}

// isPostgres tells a first message by its code: version 3.0, a wish for TLS or GSSAPI, a cancellation.
func isPostgres(b []byte) bool {
	code := binary.BigEndian.Uint32(b[4:])
	return b[0] == 0 && b[1] == 0 && (code == 3<<16 || code >= 80877102 && code <= 80877104)
}
