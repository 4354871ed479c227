package authz

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/fold"
	"github.com/bearerguard/bearerguard/sidecar/gate"
)

// Convention is a set of header fields in which a gateway describes the request that it asks about. Which one it is has to be
// said: whoever believes the other one too lets clients describe their requests themselves.
type Convention string

// The conventions. Both take the client's address from the last element of X-Forwarded-For, which is the gateway's own.
const (
	// XForwarded is Traefik's and Caddy's: X-Forwarded-Method, X-Forwarded-Uri and X-Forwarded-Host.
	XForwarded Convention = "x-forwarded"
	// XOriginal is that of nginx, whose configuration sets them: X-Original-Method and either X-Original-URI with
	// X-Original-Host, or X-Original-URL, an absolute URL (ingress-nginx).
	XOriginal Convention = "x-original"
)

// Conventions returns all of them.
func Conventions() []Convention { return []Convention{XForwarded, XOriginal} }

// The fields of the conventions, in canonical MIME form.
const (
	forwardedMethod = "X-Forwarded-Method"
	forwardedURI    = "X-Forwarded-Uri"
	forwardedHost   = "X-Forwarded-Host"
	forwardedFor    = "X-Forwarded-For"
	originalMethod  = "X-Original-Method"
	originalURI     = "X-Original-Uri"
	originalHost    = "X-Original-Host"
	originalURL     = "X-Original-Url"
)

// fields returns the fields of a convention, and those of the other one, which only a client can have sent.
func (c Convention) fields() (own, foreign []string) {
	forwarded := []string{forwardedMethod, forwardedURI, forwardedHost}
	original := []string{originalMethod, originalURI, originalHost, originalURL}
	if c == XForwarded {
		return append(forwarded, forwardedFor), original
	}
	// Other parts of the gateway may set X-Forwarded-Host for the app; nobody sets the other two beside X-Original.
	return append(original, forwardedFor), forwarded[:2]
}

// The causes of descriptions that are not taken.
const (
	errConvention   decision.Because = "no convention for the headers of the original request is chosen"
	errForeignField decision.Because = "a header of the other convention came, which only a client can have sent"
	errSpelling     decision.Because = "a header came that an app may take for one that describes the original request"
	errNoMethod     decision.Because = "the gateway does not say the original method, once"
	errNoURI        decision.Because = "the gateway does not say the original URI, once"
	errNoHost       decision.Because = "the gateway does not say the original host, once"
	errTwoURIs      decision.Because = "the original URI came in two headers"
	errNoAddress    decision.Because = "the gateway does not say the client's address at the end of one X-Forwarded-For"
	errURL          decision.Because = "the original URL is no http or https URL with a host and a path"
	errNotOrigin    decision.Because = "the original URI does not begin with a slash"
)

// Original returns the request that a gateway describes in the header of its own. What is missing, comes twice, or may be
// taken for another field of the kind is refused. Method, path and host are as sent: it is for the gate to judge them.
func Original(h http.Header, c Convention) (gate.Request, decision.Refusal) {
	if c != XForwarded && c != XOriginal {
		return gate.Request{}, decision.Refusal{Reason: decision.InternalError, Cause: errConvention}
	}
	if why := c.confused(h); why != nil {
		return gate.Request{}, decision.Refusal{Reason: decision.BadRequest, Cause: why}
	}
	r := gate.Request{Header: h}
	var no decision.Refusal
	if c == XForwarded {
		no = describe(&r, h, forwardedMethod, forwardedURI, forwardedHost)
	} else {
		no = described(&r, h)
	}
	if no.Refused() {
		return gate.Request{}, no
	}
	if r.Remote, no = remote(h.Values(forwardedFor)); no.Refused() {
		return gate.Request{}, no
	}
	return r, decision.Refusal{}
}

// confused says which field may be taken for one of the convention and is none.
func (c Convention) confused(h http.Header) decision.Cause {
	own, foreign := c.fields()
	for name := range h {
		for _, f := range foreign {
			if fold.Same(name, f) {
				return errForeignField
			}
		}
		for _, f := range own {
			if fold.Same(name, f) && name != f {
				return errSpelling
			}
		}
	}
	return nil
}

// described reads what nginx's configuration sets.
func described(r *gate.Request, h http.Header) decision.Refusal {
	if len(h.Values(originalURL)) == 0 {
		return describe(r, h, originalMethod, originalURI, originalHost)
	}
	absolute, ok := one(h, originalURL)
	switch {
	case !ok:
		return decision.Refusal{Reason: decision.BadRequest, Cause: errNoURI}
	case len(h.Values(originalURI)) > 0 || len(h.Values(originalHost)) > 0:
		return decision.Refusal{Reason: decision.BadRequest, Cause: errTwoURIs}
	}
	if r.Method, ok = one(h, originalMethod); !ok {
		return decision.Refusal{Reason: decision.BadRequest, Cause: errNoMethod}
	}
	scheme, rest, ok := strings.Cut(absolute, "://")
	slash := strings.IndexByte(rest, '/')
	if !ok || slash < 1 || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") ||
		strings.ContainsAny(rest[:slash], "?#") {
		return decision.Refusal{Reason: decision.BadPath, Cause: errURL}
	}
	r.Host, r.Target = rest[:slash], rest[slash:]
	return decision.Refusal{}
}

// describe reads the fields of these names.
func describe(r *gate.Request, h http.Header, method, uri, host string) decision.Refusal {
	var ok bool
	if r.Method, ok = one(h, method); !ok {
		return decision.Refusal{Reason: decision.BadRequest, Cause: errNoMethod}
	}
	if r.Target, ok = one(h, uri); !ok {
		return decision.Refusal{Reason: decision.BadRequest, Cause: errNoURI}
	}
	if r.Host, ok = one(h, host); !ok {
		return decision.Refusal{Reason: decision.BadRequest, Cause: errNoHost}
	}
	if r.Target[0] != '/' {
		return decision.Refusal{Reason: decision.BadPath, Cause: errNotOrigin}
	}
	return decision.Refusal{}
}

// one returns the value of a field that is there once and is not empty.
func one(h http.Header, name string) (string, bool) {
	v := h.Values(name)
	if len(v) != 1 || v[0] == "" {
		return "", false
	}
	return v[0], true
}

// remote returns the client's address as the gateway saw it: the last one, since that is what a gateway adds to what it was
// sent. A port and brackets may be there.
func remote(values []string) (netip.Addr, decision.Refusal) {
	no := decision.Refusal{Reason: decision.BadRequest, Cause: errNoAddress}
	if len(values) != 1 {
		return netip.Addr{}, no
	}
	last := strings.Trim(values[0][strings.LastIndexByte(values[0], ',')+1:], " \t")
	if at, err := netip.ParseAddrPort(last); err == nil {
		return at.Addr().Unmap(), decision.Refusal{}
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(last, "["), "]"))
	if err != nil {
		return netip.Addr{}, no
	}
	return a.Unmap(), decision.Refusal{}
}
