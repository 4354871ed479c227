package head

import (
	"bufio"
	"bytes"
	"net/http"
	"testing"
)

func TestForeignOf(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		give string
		want Foreign
	}{
		"a ClientHello":                 {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", TLS},
		"SSH":                           {"SSH-2.0-OpenSSH_9.2\r\n", SSH},
		"PROXY, version 1":              {"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\nGET / HTTP/1.1\r\n", Proxied},
		"PROXY, version 1, of nobody":   {"PROXY UNKNOWN\r\n", Proxied},
		"PROXY, version 2":              {"\r\n\r\n\x00\r\nQUIT\n\x21\x11", Proxied},
		"its rest after an empty line":  {"\r\n\x00\r\nQUIT\n\x21\x11", Proxied},
		"PostgreSQL asks for TLS":       {"\x00\x00\x00\x08\x04\xd2\x16\x2f", Postgres},
		"PostgreSQL begins":             {"\x00\x00\x00\x54\x00\x03\x00\x00user\x00app\x00", Postgres},
		"MongoDB":                       {"\x3b\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\xdd\x07\x00\x00", Mongo},
		"MongoDB, an old driver":        {"\x3b\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\xd4\x07\x00\x00", Mongo},
		"Redis":                         {"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n", Redis},
		"AMQP 0-9-1":                    {"AMQP\x00\x00\x09\x01", AMQP},
		"AMQP 1.0 with SASL":            {"AMQP\x03\x01\x00\x00", AMQP},
		"MQTT 3.1.1":                    {"\x10\x10\x00\x04MQTT\x04", MQTT},
		"MQTT 3.1":                      {"\x10\x10\x00\x06MQIsdp", MQTT},
		"Kafka":                         {"\x00\x00\x00\x23\x00\x12\x00\x03", Kafka},
		"HTTP":                          {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", ""},
		"HTTP/2":                        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ""},
		"a method that begins like SSH": {"SSH / HTTP/1.1\r\n", ""},
		"a method like PROXY":           {"PROXY / HTTP/1.1\r\n", ""},
		"OPTIONS *":                     {"OPTIONS * HTTP/1.1\r\n", ""},
		"nothing":                       {"", ""},
		"one byte":                      {"\x16", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := ForeignOf([]byte(tc.give)); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// No request that net/http or this package takes is taken for another protocol.
func FuzzForeignOf(f *testing.F) {
	for _, seed := range []string{"\x16\x03\x01", "SSH-2.0", "*1\r\n$4\r\nPING\r\n", "\x00\x00\x00\x08\x04\xd2\x16\x2f", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		protocol := ForeignOf(b)
		if protocol == "" {
			return
		}
		var q Request
		if end := End(b, 0); end > 0 && ParseRequest(b[:end], Limits{Bytes: 1 << 16, Fields: 100}, &q) == nil {
			t.Errorf("a request is taken for %s", protocol)
		}
		if _, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b))); err == nil && !bytes.HasPrefix(b, []byte("\r\n")) {
			t.Errorf("net/http reads a request in what is taken for %s", protocol)
		}
	})
}
