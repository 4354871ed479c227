package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Defaults and bounds of one fetch.
const (
	// DefaultTimeout bounds a fetch from name resolution to the last byte.
	DefaultTimeout = 10 * time.Second
	// DefaultMaxBytes bounds an answer's body.
	DefaultMaxBytes = 1 << 20

	maxHeaderBytes = 64 << 10
	maxRedirects   = 3
	maxURL         = 2048
)

// Options are the operator's rules for fetching. The zero value is the strictest.
type Options struct {
	// AllowHTTP takes http URLs too.
	AllowHTTP bool
	// AllowNets are networks to connect to although they are loopback, link-local, multicast and so on.
	AllowNets []netip.Prefix
	// CA is PEM certificates to trust instead of the system's. Empty: the system's.
	CA []byte
	// Timeout bounds the whole fetch. Default DefaultTimeout.
	Timeout time.Duration
	// MaxBytes bounds the body. Default DefaultMaxBytes.
	MaxBytes int64
	// Vet checks a JWK Set and returns what to keep of it; its error is the fetch's. Default: keep all.
	Vet func([]byte) ([]byte, error)
}

func (o Options) withDefaults() Options {
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	return o
}

// StatusError says that a server answered with a status other than 200.
type StatusError struct {
	// Status is the HTTP status code.
	Status int
}

// Error names the status.
func (e *StatusError) Error() string { return fmt.Sprintf("answered %d; want 200", e.Status) }

// get fetches rawURL, which must pass CheckURL, under the rules of o, and hands the answer to use, which is to keep no more
// of a large body than it needs.
func get(ctx context.Context, rawURL string, o Options, use func([]byte, http.Header) error) error {
	o = o.withDefaults()
	if err := CheckURL(rawURL, o); err != nil {
		return err
	}
	transport, err := newTransport(o)
	if err != nil {
		return err
	}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, rawURL, nil)
	if err != nil {
		return errors.New("not a URL that can be fetched")
	}
	req.Header.Set("Accept", "application/json, application/jwk-set+json")
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", "bearerguard")
	client := &http.Client{Transport: transport, CheckRedirect: sameOrigin}
	resp, err := client.Do(req)
	if err != nil {
		return explain(err, o)
	}
	defer func() { _ = resp.Body.Close() }() // the connection is not used again
	if err := acceptable(resp, o); err != nil {
		return err
	}
	place := &place{}
	defer place.leave()
	body, err := place.read(ctx, resp.Body, o.MaxBytes+1)
	if err != nil {
		return explain(err, o)
	}
	if int64(len(body)) > o.MaxBytes {
		return tooLarge(o)
	}
	return use(body, resp.Header)
}

// acceptable looks at what comes before the body.
func acceptable(resp *http.Response, o Options) error {
	if resp.StatusCode != http.StatusOK {
		return &StatusError{Status: resp.StatusCode}
	}
	if err := uncoded(resp.Header.Get("Content-Encoding")); err != nil {
		return err
	}
	if resp.ContentLength > o.MaxBytes {
		return tooLarge(o)
	}
	return nil
}

// uncoded refuses an answer in a content coding (RFC 9110 section 8.4), as none was asked for.
func uncoded(coding string) error {
	switch coding = strings.ToLower(strings.TrimSpace(coding)); coding {
	case "", "identity":
		return nil
	case "gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress":
		return fmt.Errorf("answer is compressed (Content-Encoding %s), which was not asked for; want none", coding)
	}
	return errors.New("answer has a Content-Encoding that is no compression, such as a character set; want none")
}

func tooLarge(o Options) error { return fmt.Errorf("answer is larger than %d bytes", o.MaxBytes) }

// CheckURL returns an error that says what is wrong with a URL to fetch from: its scheme, its form, its length.
func CheckURL(rawURL string, o Options) error {
	if len(rawURL) > maxURL {
		return fmt.Errorf("URL is longer than %d bytes", maxURL)
	}
	u, err := url.Parse(rawURL)
	if err != nil || u.Opaque != "" || u.Hostname() == "" {
		return errors.New("not an absolute URL; want https://host/path")
	}
	switch {
	case u.Scheme == "http" && !o.AllowHTTP:
		return errors.New("scheme is http; want https, or the operator's leave to use http")
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("scheme is neither http nor https; want https")
	case u.User != nil:
		return errors.New("URL has a user or password; want none")
	case u.Fragment != "":
		return errors.New("URL has a fragment; want none")
	}
	return nil
}

// CheckCA returns an error if Options.CA could not be so. It reads on after the name of what holds it.
func CheckCA(ca []byte) error {
	_, err := pool(ca)
	return err
}

func pool(ca []byte) (*x509.CertPool, error) {
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM(ca) {
		return nil, errors.New("holds no PEM certificate that can be read")
	}
	return p, nil
}

// newTransport makes a transport for one fetch. Connections are not kept, so that each fetch resolves the name, checks
// the address and checks the certificate anew.
func newTransport(o Options) (*http.Transport, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(o.CA) > 0 {
		var err error
		if conf.RootCAs, err = pool(o.CA); err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
	}
	g := newGuard(o.AllowNets)
	dialer := &net.Dialer{Control: func(_, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return &AddressError{Kind: "not an IP address"}
		}
		return g.check(ap.Addr())
	}}
	return &http.Transport{
		Proxy:                  nil, // a proxy would resolve and connect where the guard cannot see
		DialContext:            dialer.DialContext,
		TLSClientConfig:        conf,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeaderBytes,
		ForceAttemptHTTP2:      true,
	}, nil
}

// sameOrigin follows a few redirects, none to another origin (RFC 6454 section 4).
func sameOrigin(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return errRedirects
	}
	first := via[0].URL
	if req.URL.Scheme != first.Scheme || !strings.EqualFold(req.URL.Host, first.Host) || req.URL.User != nil {
		return errRedirect
	}
	return nil
}

var (
	errRedirect  = errors.New("redirects to another origin; want the key set's own address")
	errRedirects = fmt.Errorf("redirects more than %d times", maxRedirects)
)

// named reports whether a certificate has a subjectAltName (RFC 5280 section 4.2.1.6).
func named(c *x509.Certificate) bool {
	return c == nil || c.Subject.CommonName == "" || slices.ContainsFunc(c.Extensions, func(e pkix.Extension) bool {
		return e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 17})
	})
}

// explain turns an error of net/http into one that repeats nothing the server sent.
func explain(err error, o Options) error {
	var (
		addr     *AddressError
		dns      *net.DNSError
		host     x509.HostnameError
		unknown  x509.UnknownAuthorityError
		invalid  x509.CertificateInvalidError
		record   tls.RecordHeaderError
		alert    tls.AlertError
		deadline interface{ Timeout() bool }
	)
	switch {
	case errors.As(err, &addr):
		return addr
	case errors.Is(err, errRedirect), errors.Is(err, errRedirects):
		return errors.Unwrap(err)
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.As(err, &deadline) && deadline.Timeout():
		return fmt.Errorf("no answer within %s", o.Timeout)
	case errors.As(err, &dns):
		return errors.New("host name does not resolve")
	case errors.As(err, &host) && !named(host.Certificate):
		return errors.New("certificate names its host in the Common Name alone, which nothing reads any more; want it in subjectAltName")
	case errors.As(err, &host):
		return errors.New("certificate is for another host name")
	case errors.As(err, &unknown):
		return errors.New("certificate is signed by an authority that is not trusted; want a CA that signed it")
	case errors.As(err, &invalid):
		return errors.New("certificate is expired or not valid for a server")
	case errors.As(err, &record):
		return errors.New("server does not speak TLS")
	case errors.As(err, &alert):
		return errors.New("server refused the TLS handshake")
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("connection refused")
	}
	return errors.New("connection broke off or the answer is not HTTP")
}
