package flags

import (
	"errors"
	"net/url"
)

// The protocols of OTLP, by OpenTelemetry's names.
const (
	OTLPHTTP = "http/protobuf"
	OTLPGRPC = "grpc"
)

// Collector reads the URL of a collector of traces. For HTTP, a URL without a path gets /v1/traces; for gRPC there is none. The error is
// what is wrong with it, and has nothing of it.
func Collector(text, protocol string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "", u.Opaque != "":
		return nil, errors.New("is no URL of http or https with a host")
	case u.User != nil:
		return nil, errors.New("has a user; credentials are for --trace-headers")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("has a query or a fragment")
	case protocol == OTLPGRPC && u.Path != "" && u.Path != "/":
		return nil, errors.New("has a path, and gRPC has none")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/traces"
	}
	return u, nil
}
