package decision

import (
	"net/netip"
	"time"
)

// Request is what rules see of a request.
type Request struct {
	Method   string     // as sent; methods have case (RFC 9110 section 9.1)
	Host     string     // as CanonicalHost returns it
	Path     string     // as CanonicalPath returns it
	RawQuery string     // without "?"
	Header   Header     // nil: no headers
	Port     int        // the port that the client dialled
	Remote   netip.Addr // the peer of the connection
	Now      time.Time
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
	// Reason is Allowed or AuditOnly; or DeniedByRule, NoRule, InsufficientScope, NoToken, UnknownIssuer, NoPolicy,
	// BadPath or InternalError.
	Reason Reason `json:"reason"`
	// Policy and Rule decided; empty where none did. Among several that fit, the first by name.
	Policy string `json:"policy,omitempty"`
	Rule   string `json:"rule,omitempty"`
	// Scopes are those that the token lacks, where an allow rule fits but for them (RFC 6750 section 3, scope). The
	// caller must not change the slice.
	Scopes []string `json:"scopes,omitempty"`
	// Audit is what each Audit policy would have said.
	Audit []AuditResult `json:"audit,omitempty"`
}

// AuditResult is the verdict of one Audit policy. It changes nothing.
type AuditResult struct {
	Policy  string `json:"policy"`
	Rule    string `json:"rule,omitempty"`
	Allowed bool   `json:"allowed"`
	Reason  Reason `json:"reason"`
}
