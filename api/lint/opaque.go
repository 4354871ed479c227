package lint

import (
	"fmt"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

// opaque warns of issuers that are asked about each other's tokens: nobody can see whose an opaque token is, so it goes to all that
// take tokens from its place. Those on one host are one provider's.
func (l *linter) opaque(issuers []policy.Issuer) {
	for i := range issuers {
		for j := range i {
			a, b := &issuers[j], &issuers[i]
			if a.Introspection == nil || b.Introspection == nil || hostAsked(a) == hostAsked(b) {
				continue
			}
			if at, ok := commonPlace(a, b); ok {
				l.add(OpaqueTokens, fmt.Sprintf("spec.issuers[%d].from", i),
					fmt.Sprintf("opaque tokens in %s go to issuer %s and to issuer %s: nobody can see whose they are, so each sees the other's", at, a.Name, b.Name),
					"a place of its own for each of them, unless they trust each other")
				break
			}
		}
	}
}

// hostAsked is the host of an issuer's introspection endpoint, or of the metadata that name it.
func hostAsked(is *policy.Issuer) string {
	in := is.Introspection
	for _, raw := range []string{in.URL, in.MetadataURL(), is.Issuer} {
		if u, err := url.Parse(raw); raw != "" && err == nil {
			return strings.ToLower(u.Host)
		}
	}
	return ""
}

// commonPlace describes a place that two issuers take tokens from.
func commonPlace(a, b *policy.Issuer) (string, bool) {
	for _, at := range a.Locations() {
		same := func(other policy.TokenLocation) bool { return placeOf(other) == placeOf(at) }
		if slices.ContainsFunc(b.Locations(), same) {
			return describePlace(at), true
		}
	}
	return "", false
}

// placeOf is equal for places that are one: names of headers and prefixes are compared without case.
func placeOf(at policy.TokenLocation) policy.TokenLocation {
	at.Header, at.Prefix = textproto.CanonicalMIMEHeaderKey(at.Header), strings.ToLower(at.Prefix)
	return at
}

func describePlace(at policy.TokenLocation) string {
	switch {
	case at.Cookie != "":
		return "the cookie " + at.Cookie
	case at.Query != "":
		return "the query parameter " + at.Query
	case at.WebSocketProtocol != "":
		return "Sec-WebSocket-Protocol after " + at.WebSocketProtocol
	case at.Prefix != "":
		return fmt.Sprintf("the header %s after %q", at.Header, at.Prefix)
	}
	return "the header " + at.Header
}
