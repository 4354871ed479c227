// Package probe is how an app's own probes get from the injector, which finds them in the pod, to the sidecar, which runs
// them. The sidecar gets them as JSON in the environment variable Env; "container/kind" is asked for at
// /probe/container/kind.
package probe

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// HoldPath is what the app's containers ask in their preStop hook: the answer comes when the container may end. HoldMore is how long
// that is after the sidecar's --drain-wait in a pod that is about to stop.
const (
	HoldPath = "/hold"
	HoldMore = 3 * time.Second
)

// Env is the environment variable of the sidecar that has the probes.
const Env = "BEARERGUARD_PROBES"

// Probe is one of the app's own probes, run against the app where it listens as a kubelet would: a status from 200 to 399, an
// open connection, or the status SERVING. Exactly one of HTTPGet, TCPSocket, GRPC is given.
type Probe struct {
	HTTPGet   *HTTPGet   `json:"httpGet,omitempty"`
	TCPSocket *TCPSocket `json:"tcpSocket,omitempty"`
	GRPC      *GRPC      `json:"grpc,omitempty"`
	// TimeoutSeconds bounds one run; 0 means 1.
	TimeoutSeconds int32 `json:"timeoutSeconds"`
}

// HTTPGet is a GET request to the app.
type HTTPGet struct {
	// Scheme is HTTP (default) or HTTPS; a certificate is not verified, as a kubelet does not either.
	Scheme string `json:"scheme"`
	Port   int32  `json:"port"`
	// Path is what the pod has: a path with perhaps a query, without a leading slash in some.
	Path string `json:"path"`
	// HTTPHeaders come as often as they are given, and instead of the prober's own.
	HTTPHeaders []Header `json:"httpHeaders,omitempty"`
}

// Header is one header of an HTTPGet. Host among them sets the request's host.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// TCPSocket is a connection that is opened and closed.
type TCPSocket struct {
	Port int32 `json:"port"`
}

// GRPC is a call of grpc.health.v1.Health/Check.
type GRPC struct {
	Port    int32  `json:"port"`
	Service string `json:"service,omitempty"`
}

// Parse reads the probes that the injector wrote, by "container/kind"; none for no text.
func Parse(text string) (map[string]Probe, error) {
	if text == "" {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	var probes map[string]Probe
	if err := d.Decode(&probes); err != nil {
		return nil, errors.New("is not the JSON that the injector writes")
	}
	for name, p := range probes {
		if strings.Count(name, "/") != 1 {
			return nil, fmt.Errorf("%q is no name of a probe; want container/kind", name)
		}
		if err := p.validate(); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return probes, nil
}

func (p Probe) validate() error {
	var given []int32
	if p.HTTPGet != nil {
		given = append(given, p.HTTPGet.Port)
	}
	if p.TCPSocket != nil {
		given = append(given, p.TCPSocket.Port)
	}
	if p.GRPC != nil {
		given = append(given, p.GRPC.Port)
	}
	if len(given) != 1 {
		return fmt.Errorf("has %d of httpGet, tcpSocket, grpc; want exactly one", len(given))
	}
	if p.HTTPGet != nil && !slices.Contains([]string{"", "HTTP", "HTTPS"}, p.HTTPGet.Scheme) {
		return errors.New("httpGet.scheme: is neither HTTP nor HTTPS")
	}
	if given[0] < 1 || given[0] > 65535 {
		return fmt.Errorf("port: is %d; want 1 to 65535", given[0])
	}
	return nil
}
