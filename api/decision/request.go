package decision

import (
	"net/netip"
	"time"

	"github.com/bearerguard/bearerguard/api/policy"
)

// Request is what rules see of a request.
type Request struct {
	Method   string     // as sent; methods have case (RFC 9110 section 9.1)
	Host     string     // as CanonicalHost returns it; empty: none, as HTTP/1.0 allows
	Path     string     // as ReadPath returns it in Path.Match
	RawQuery string     // without "?"
	Header   Header     // nil: no headers
	Port     int        // the port that the client dialled
	Remote   netip.Addr // the peer of the connection
	Now      time.Time

	// Readings are other ways to read Path. A deny rule fits if it fits in any way, an allow rule if it fits in each way
	// that is not DenyOnly. None: nil.
	Readings []Reading

	// ClientCert is the certificate of a TLS client; nil without one.
	ClientCert *ClientCert

	// Call is the message to an MCP server that the request brings; nil: that is in doubt.
	Call *Call
	// Target is the request target as it was sent, for what names the URL that the client used. No rule sees it.
	Target string
	// Budget bounds what may be spent on the request; the zero value: nothing does. No rule sees it.
	Budget Budget
	// Proved says that the proof of possession that comes with the request has been taken as its own before. No rule sees it.
	Proved bool
}

// ClientCert is the certificate of a TLS client, who has proved that its key is his. Rules see of it what an authority
// vouches for.
type ClientCert struct {
	// Subject is the distinguished name as text (RFC 4514).
	Subject string
	// SANs are the subject alternative names (RFC 5280 section 4.2.1.6): DNS names, addresses, e-mail addresses and URIs.
	SANs []string
	// Hash is the SHA-256 hash of the certificate in DER (RFC 8705 section 3.1).
	Hash [32]byte
}

// Header gives all values of a request header. The name is in canonical MIME form ("X-User"). http.Header is one.
type Header interface {
	Values(name string) []string
}

func (r *Request) header(name string) []string {
	if r.Header == nil {
		return nil
	}
	return r.Header.Values(name)
}

// Decision is the verdict on a request. The zero Decision denies.
type Decision struct {
	// Allowed says whether the request is forwarded.
	Allowed bool `json:"allowed"`
	// Reason is Allowed or AuditOnly; or DeniedByRule, NoRule, InsufficientScope, InsufficientAuthentication, NoToken,
	// UnknownIssuer, NoPolicy, BadPath or InternalError.
	Reason Reason `json:"reason"`
	// Policy and Rule decided; empty where none did. Among several that fit, the first by name.
	Policy string `json:"policy,omitempty"`
	Rule   string `json:"rule,omitempty"`
	// Scopes are all that the request needs, where an allow rule fits but for some of them (RFC 6750 section 3, scope), or but
	// for Authentication: another log-in ends in another token. The caller must not change the slice.
	Scopes []string `json:"scopes,omitempty"`
	// Authentication is what the rule asks of how the user logs in, where an allow rule fits but for that, and perhaps scopes
	// (RFC 9470 section 3). The caller must not change it.
	Authentication *policy.Authentication `json:"authentication,omitempty"`
	// TokenIgnored says that an allow rule with ignoreToken lets the request in: who brings it plays no part.
	TokenIgnored bool `json:"tokenIgnored,omitempty"`
	// MaxBody is the largest request body that may be forwarded, in bytes; 0: the policies set no limit.
	MaxBody int64 `json:"maxBody,omitempty"`
	// Audit is what each Audit policy would have said. The caller must not change the slice.
	Audit []AuditResult `json:"audit,omitempty"`
}

// AuditResult is the verdict of one Audit policy. It changes nothing.
type AuditResult struct {
	Policy  string `json:"policy"`
	Rule    string `json:"rule,omitempty"`
	Allowed bool   `json:"allowed"`
	Reason  Reason `json:"reason"`
	// Cause is what exactly led to a refusal of the token; nil where the Reason says it all.
	Cause Cause `json:"-"`
}
