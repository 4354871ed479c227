package fetch

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net/http"
	"time"
)

// idle is how long a kept connection may wait for the next request.
const idle = 60 * time.Second

// NewTransport makes a transport for an endpoint that is asked again and again, under the same rules as a fetch: the guard looks
// at the address of every connection that is made, no proxy is used, and certificates are checked against o.CA. Connections
// are kept, at most so many. cert is what the client shows; nil: nothing.
func NewTransport(o Options, most int, cert *tls.Certificate) (*http.Transport, error) {
	t, err := newTransport(o.withDefaults())
	if err != nil {
		return nil, err
	}
	t.DisableKeepAlives = false
	t.MaxConnsPerHost, t.MaxIdleConnsPerHost, t.IdleConnTimeout = most, most, idle
	// One request a connection: an answer cannot be taken for another's, nor does one that hangs hold up others.
	t.ForceAttemptHTTP2 = false
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	if cert != nil {
		// Whatever authorities the server names: it need not name those of self-signed certificates (RFC 8705 section 2.2).
		t.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
	}
	return t, nil
}

// Explain turns an error of net/http into one that repeats nothing that the server sent.
func Explain(err error, o Options) error { return explain(err, o.withDefaults()) }

// Uncoded refuses an answer in a content coding (RFC 9110 section 8.4), as none was asked for.
func Uncoded(h http.Header) error { return uncoded(h.Get("Content-Encoding")) }

// CheckIntrospection returns an error that says why an introspection endpoint cannot be asked, as far as can be told without asking, and
// the field of the policy's issuer that it is about. The endpoint is at address or, if that is empty, where the issuer's metadata
// says, which are at metadataURL or, if that is empty too, below the issuer.
func CheckIntrospection(address, metadataURL, issuer string, o Options) (field string, err error) {
	switch {
	case address != "":
		return "introspection.url", CheckURL(address, o)
	case metadataURL != "":
		return "introspection.discovery.url", CheckURL(metadataURL, o)
	}
	urls, err := wellKnown(issuer)
	if err == nil {
		err = CheckURL(urls[0], o)
	}
	return "issuer", err
}

// DiscoverIntrospection finds the address of an issuer's introspection endpoint in its metadata (RFC 8414 section 2), as Discover
// finds that of its JWK Set.
func DiscoverIntrospection(ctx context.Context, issuer, metadataURL string, o Options) (string, error) {
	return discover(ctx, issuer, metadataURL, memberIntrospection, o)
}

// DiscoverMTLSIntrospection is DiscoverIntrospection for a client that shows a certificate: where the metadata have an alias for
// these, that is where it has to ask (RFC 8705 section 5).
func DiscoverMTLSIntrospection(ctx context.Context, issuer, metadataURL string, o Options) (string, error) {
	return discover(ctx, issuer, metadataURL, member{memberIntrospection.name, func(m *metadata) string {
		var aliases metadata
		if json.Unmarshal(m.Aliases, &aliases) == nil && aliases.Introspection != "" {
			return aliases.Introspection
		}
		return m.Introspection
	}}, o)
}

var memberIntrospection = member{"introspection_endpoint", func(m *metadata) string { return m.Introspection }}
