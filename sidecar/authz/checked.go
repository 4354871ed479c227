package authz

import (
	"crypto/sha256"
	"encoding/pem"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/authz/checkv3"
	"github.com/bearerguard/bearerguard/sidecar/gate"
)

// The causes of checks that are not taken.
const (
	errNoRequest    decision.Because    = "the check describes no HTTP request"
	errBothHeaders  decision.Because    = "the check has headers in both forms, merged and raw"
	errMerged       decision.Because    = "the check has merged headers, in which fields that come twice may be hidden; want encode_raw_headers, or --ext-authz-headers merged"
	errNoSource     decision.Because    = "the check does not say the client's IP address"
	errPseudo       decision.Because    = "a pseudo-header says otherwise than the check itself"
	errQueryRepeats decision.ShapeError = "the query has a token and a parameter twice, and the gateway would make another query of it without the token"
)

// CheckHeaders says in which form Envoy may send the header of a request.
type CheckHeaders string

// The forms.
const (
	// RawHeaders is every field by itself (encode_raw_headers).
	RawHeaders CheckHeaders = "raw"
	// MergedHeaders is also one value for each name: joined by commas, or in older versions the last one. A field that comes twice, which the app
	// may read otherwise than the guard did, is hidden then.
	MergedHeaders CheckHeaders = "merged"
)

// Checked returns the request that a check of Envoy's describes. Method, path and host are as sent: it is for the gate to judge
// them.
func Checked(c *checkv3.CheckRequest, form CheckHeaders) (gate.Request, decision.Refusal) {
	refuse := func(why decision.Cause) (gate.Request, decision.Refusal) {
		return gate.Request{}, decision.Refusal{Reason: decision.BadRequest, Cause: why}
	}
	described := c.GetAttributes().GetRequest().GetHttp()
	if described.GetMethod() == "" || described.GetPath() == "" {
		return refuse(errNoRequest)
	}
	raw := described.GetHeaderMap().GetHeaders()
	switch merged := len(described.GetHeaders()) > 0; {
	case merged && len(raw) > 0:
		return refuse(errBothHeaders)
	case merged && form != MergedHeaders:
		return refuse(errMerged)
	}
	r := gate.Request{Method: described.GetMethod(), Target: described.GetPath(), Host: described.GetHost()}
	h := make(http.Header, len(raw)+len(described.GetHeaders()))
	for name, value := range described.GetHeaders() {
		if !addField(h, &r, name, value) {
			return refuse(errPseudo)
		}
	}
	for _, f := range raw {
		value := f.GetValue()
		if len(f.GetRawValue()) > 0 {
			value = string(f.GetRawValue())
		}
		if !addField(h, &r, f.GetKey(), value) {
			return refuse(errPseudo)
		}
	}
	r.Header = h
	a, err := netip.ParseAddr(c.GetAttributes().GetSource().GetAddress().GetSocketAddress().GetAddress())
	if err != nil {
		return refuse(errNoSource)
	}
	r.ClientCert = certificateOf(c.GetAttributes().GetSource().GetCertificate())
	r.Remote, r.Body = a.Unmap(), bodyOf(described, h)
	if r.Target[0] != '/' {
		return gate.Request{}, decision.Refusal{Reason: decision.BadPath, Cause: errNotOrigin}
	}
	return r, decision.Refusal{}
}

// addField takes in a field of the request's. It returns false for a pseudo-header that contradicts the request.
func addField(h http.Header, r *gate.Request, name, value string) bool {
	if strings.HasPrefix(name, ":") {
		switch name {
		case ":method":
			return value == r.Method
		case ":path":
			return value == r.Target
		case ":authority":
			return value == r.Host
		}
		return true
	}
	name = textproto.CanonicalMIMEHeaderKey(name)
	if name != "Host" { // said by the request itself
		h[name] = append(h[name], value)
	}
	return true
}

// partialBody says in a check, and to nobody else, whether the body in it is but a part.
const partialBody = "X-Envoy-Auth-Partial-Body"

// bodyOf returns the body as far as the check has it: without with_request_body it has none. It is whole only if its length is the one
// that the request says, as Envoy has seen to, and if nobody says that it is not.
func bodyOf(described *checkv3.AttributeContext_HttpRequest, h http.Header) *gate.Body {
	data := described.GetRawBody()
	if len(data) == 0 {
		data = []byte(described.GetBody())
	}
	whole := len(data) > 0 && contentLength(h) == int64(len(data))
	for _, said := range h.Values(partialBody) {
		whole = whole && said == "false"
	}
	return &gate.Body{Data: data, Whole: whole}
}

// contentLength returns how many bytes a request's body has; -1: the header does not say, once.
func contentLength(h http.Header) int64 {
	values := h.Values("Content-Length")
	if len(values) != 1 {
		return -1
	}
	n, err := strconv.ParseUint(values[0], 10, 63)
	if err != nil {
		return -1
	}
	return int64(n) //nolint:gosec // 63 bits
}

// certificateOf returns the certificate of a client, as far as tokens may be bound to it (RFC 8705 section 3): its handshake with Envoy
// has proved that the key is the client's. Whether an authority vouches for it, a check does not say. Nil: there is none.
func certificateOf(encoded string) *decision.ClientCert {
	text, err := url.PathUnescape(encoded)
	if err != nil || encoded == "" {
		return nil
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" {
		return nil
	}
	return &decision.ClientCert{SANs: []string{}, Hash: sha256.Sum256(block.Bytes)}
}
