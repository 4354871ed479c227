package check

import (
	"fmt"
	"strings"
)

// What a request has that says nothing else.
const (
	// DefaultPort is what the client dials.
	DefaultPort = 8080
	// DefaultRemote is the client's address (RFC 5737).
	DefaultRemote = "192.0.2.1"
	// defaultHost is whom it asks for.
	defaultHost = "localhost"
)

// Target reads a path with a query, or an http or https URL, into the host and the target of a request, as they are written.
func Target(text string) (host, target string, err error) {
	host, target = defaultHost, text
	if scheme, rest, isURL := strings.Cut(text, "://"); isURL && (scheme == "http" || scheme == "https") {
		var path string
		host, path, _ = strings.Cut(rest, "/")
		target = "/" + path
	}
	switch {
	case strings.Contains(target, " "):
		return "", "", fmt.Errorf("%q: a target has no spaces", text)
	case !strings.HasPrefix(target, "/") && target != "*":
		return "", "", fmt.Errorf("%q: the path must begin with /", text)
	}
	return host, target, nil
}
