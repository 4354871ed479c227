package decision

import (
	"fmt"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

// tokenHeaders returns the headers that tokens come in, in lower case, with the field that says so.
func tokenHeaders(issuers []policy.Issuer) map[string]string {
	out := map[string]string{"authorization": "the header of tokens"}
	for _, issuer := range issuers {
		for _, from := range issuer.Locations() {
			if from.Header != "" {
				out[strings.ToLower(from.Header)] = "a header of tokens under spec.issuers"
			}
		}
	}
	return out
}

// checkIdentityHeader checks the name of a header that is removed from every request and written anew.
func (c *compiler) checkIdentityHeader(at, name string, seen map[string]string) {
	c.checkHeaderName(at, name)
	lower := strings.ToLower(name)
	if use := reservedHeader(lower); use != "" {
		c.fail(at, fmt.Sprintf("%q %s", clip(name), use), "a header of its own, such as X-User")
	}
	if other, taken := seen[lower]; taken {
		c.fail(at, fmt.Sprintf("%q is %s", clip(name), other), "a header of its own, such as X-User")
	}
	seen[lower] = "another identity header too"
}

const (
	xForwarded    = "x-forwarded-"
	ownHeader     = "is written or passed on by the sidecar itself"
	messageHeader = "carries the message itself"
)

// reservedHeader says why a claim must not go into a header: HTTP itself or the sidecar uses it. It returns "" of one that a
// claim may go into.
func reservedHeader(lower string) string {
	if identityName(lower) {
		return ""
	}
	switch lower {
	case "forwarded", "via", "x-request-id", "x-real-ip", "traceparent", "tracestate":
		return ownHeader
	case "x-original-url", "x-rewrite-url", "x-http-method-override", "x-http-method", "x-method-override":
		return "can make an app take the request for another one"
	case "connection", "cookie", "date", "expect", "host", "http2-settings", "keep-alive", "max-forwards", "origin", "range",
		"proxy", "te", "trailer", "transfer-encoding", "upgrade":
		return messageHeader
	}
	for _, prefix := range [...]string{"content-", "grpc-", "proxy-", "sec-"} {
		if strings.HasPrefix(lower, prefix) {
			return messageHeader
		}
	}
	if strings.HasPrefix(lower, xForwarded) {
		return ownHeader
	}
	return ""
}

// noTokenHeader says why no token can come in a header; "" of one in which it can.
func noTokenHeader(lower string) string {
	switch {
	case lower == "proxy-authorization":
		return ""
	case strings.HasPrefix(lower, xForwarded):
		return ownHeader
	}
	return reservedHeader(lower)
}

// identityName reports whether a header, in lower case, is one in which apps behind oauth2-proxy expect who the user is. No
// client may send it, whether or not a policy puts a claim there.
func identityName(lower string) bool {
	switch lower {
	case "x-forwarded-user", "x-forwarded-email", "x-forwarded-groups", "x-forwarded-preferred-username":
		return true
	}
	return strings.HasPrefix(lower, "x-auth-request-")
}
