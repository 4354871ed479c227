package otlp

import (
	"net"
	"net/url"
	"time"

	"github.com/go-logr/logr"
)

// Protocol is how spans get to the collector.
type Protocol string

// The protocols, by the names that OpenTelemetry has for them.
const (
	HTTP Protocol = "http/protobuf"
	GRPC Protocol = "grpc"
)

// Bounds of what waits to be sent.
const (
	// room is how many bytes of spans wait at most; further ones are dropped. As many may be on the way.
	room = 512 << 10
	// enough is how many bytes are sent at once without waiting for more.
	enough = 64 << 10
	// every is how long spans wait for others.
	every = 5 * time.Second
	// attempt bounds one try, patience all tries of one batch, and farewell the last ones once told to stop.
	attempt  = 10 * time.Second
	patience = time.Minute
	farewell = 3 * time.Second
	// firstPause is the pause after the first failure; they double up to lastPause.
	firstPause, lastPause = time.Second, 30 * time.Second
)

// Config is what an Exporter is made from.
type Config struct {
	// Endpoint is the collector's http or https URL, for gRPC without its path.
	Endpoint *url.URL
	// Protocol is HTTP or GRPC.
	Protocol Protocol
	// CAFile is a PEM file with the authority of the collector's certificate; empty: those of the system.
	CAFile string
	// HeadersFile has header fields for every request, one "name: value" a line, such as a token; empty: none. Both files are read again
	// for every batch.
	HeadersFile string
	// Service, Version and Host are the resource's service.name, service.version and host.name; empty ones are left out.
	Service, Version, Host string
	// Resource are further attributes of the resource.
	Resource []Attribute
	// Log gets when sending begins to fail and when it works again.
	Log logr.Logger
}

// address is what a URL is dialled at.
func address(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}
