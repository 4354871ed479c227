package otlp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
)

// files are what is read anew for each batch.
type files struct{ ca, headers string }

// maxFile bounds a file, in bytes.
const maxFile = 1 << 20

// readFile reads a file that is not too large. The error has no content of it.
func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s is larger than %d bytes", name, maxFile)
	}
	return os.ReadFile(name) //nolint:gosec // the operator names it
}

// authority returns the bytes of the CA file; nil: there is none.
func (f files) authority() ([]byte, error) {
	if f.ca == "" {
		return nil, nil
	}
	pem, err := readFile(f.ca)
	if err != nil {
		return nil, fmt.Errorf("--trace-ca: %w", err)
	}
	return pem, nil
}

// tlsConfig trusts the authorities of a PEM file; nil: those of the system.
func tlsConfig(pem []byte) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if pem == nil {
		return c, nil
	}
	if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New("--trace-ca: the file has no certificate")
	}
	return c, nil
}

// untrusted reports whether an error is about a collector's certificate, which another try does not change. It may be a text alone, as gRPC's are.
func untrusted(err error) bool { return strings.Contains(err.Error(), "x509: ") }

// distrust is such an error, with the flag that says whom to trust.
func distrust(err error) error { return fmt.Errorf("%w; see --trace-ca", err) }

// field of the header.
type headerField struct{ name, value string }

// header reads the file of headers: "name: value" a line; empty lines and those that begin with # say nothing. An error tells
// the line, and nothing of it.
func (f files) header() ([]headerField, error) {
	if f.headers == "" {
		return nil, nil
	}
	text, err := readFile(f.headers)
	if err != nil {
		return nil, fmt.Errorf("--trace-headers: %w", err)
	}
	out, err := readHeader(string(text))
	if err != nil {
		return nil, fmt.Errorf("--trace-headers: %w", err)
	}
	return out, nil
}

// maxFields bounds the header fields.
const maxFields = 32

func readHeader(text string) ([]headerField, error) {
	var out []headerField
	line := 0
	for l := range strings.Lines(text) {
		line++
		l = strings.TrimSpace(l)
		if l == "" || l[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(l, ":")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if !ok || !isName(name) || !isValue(value) || len(out) == maxFields {
			return nil, fmt.Errorf(`line %d of the headers is no "name: value", or one too many`, line)
		}
		out = append(out, headerField{name, value})
	}
	return out, nil
}

// isName reports whether a name can be a header field's of both HTTP and gRPC, and is not one that frames a message.
func isName(name string) bool {
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	switch name {
	case "", "host", "content-length", "content-type", "transfer-encoding", "connection", "te", "trailer", "upgrade":
		return false
	}
	return !strings.HasPrefix(name, "grpc-") && !strings.HasSuffix(name, "-bin")
}

func isValue(value string) bool {
	for i := range len(value) {
		if c := value[i]; c < ' ' || c > '~' {
			return false
		}
	}
	return value != ""
}
