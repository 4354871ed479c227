package gate

import (
	"strings"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/token"
)

// shape is a request's target and host in the one form in which they are matched and forwarded.
type shape struct {
	host     string // without port
	hostPort string // as forwarded
	path     decision.Path
	query    string
	hasQuery bool
	origin   string // path and query as they came, if the path is forwarded as it came
}

// stripQuery takes the parameter that carried a token out of the query.
func (s *shape) stripQuery(name string) {
	s.query = token.StripQuery(s.query, name)
	s.hasQuery = s.query != ""
	s.origin = ""
}

// target joins path and query. It does not allocate where they are forwarded as they came.
func (s *shape) target() string {
	if s.origin != "" {
		return s.origin
	}
	if !s.hasQuery {
		return s.path.Forward
	}
	return s.path.Forward + "?" + s.query
}

// The reasons to refuse a method or a target, beside those of package decision.
const (
	errConnect   decision.ShapeError = "CONNECT asks for a tunnel past the sidecar"
	errTrace     decision.ShapeError = "TRACE shows the client what the sidecar adds"
	errLowerCase decision.ShapeError = "the method has a lower-case letter; methods have case"
	errMethod    decision.ShapeError = "the method is no token"
	errAsterisk  decision.ShapeError = "the target is *, which is no path"
	errTarget    decision.ShapeError = "the target is neither a path nor an http URL"
	errAuthority decision.ShapeError = "the target's host is not that of the Host header"
	errQuery     decision.ShapeError = "the query has a control byte, a space or a #"
)

// refuseMethod says why a method is not forwarded, or nil: CONNECT asks for a tunnel past the guard (RFC 9110 section
// 9.3.6), TRACE shows the client what we add (section 9.3.8).
func refuseMethod(method string) decision.Cause {
	switch {
	case method == "":
		return errMethod
	case strings.EqualFold(method, "CONNECT"):
		return errConnect
	case strings.EqualFold(method, "TRACE"):
		return errTrace
	}
	for i := range len(method) {
		switch {
		case !tokenByte(method[i]):
			return errMethod
		// Methods are case-sensitive (RFC 9110 section 9.1), but not to every app: a deny rule for DELETE must hold for what
		// an app may take for DELETE.
		case 'a' <= method[i] && method[i] <= 'z':
			return errLowerCase
		}
	}
	return nil
}

// tokenByte holds for tchar of RFC 9110 section 5.6.2.
func tokenByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// read brings target and host to their canonical form, or says why there is none.
func (s *shape) read(r *Request, o decision.PathOptions) decision.Refusal {
	var err error
	if !r.NoHost {
		if s.host, err = decision.CanonicalHost(r.Host); err != nil {
			return misshapen(decision.BadHost, err)
		}
		s.hostPort = withPort(s.host, r.Host)
	}
	origin, no := originForm(r.Target, s)
	if no.Refused() {
		return no
	}
	raw, query, hasQuery := strings.Cut(origin, "?")
	if !validQuery(query) {
		return misshapen(decision.BadPath, errQuery)
	}
	s.query, s.hasQuery = query, hasQuery
	if s.path, err = decision.ReadPath(raw, o); err != nil {
		return misshapen(decision.BadPath, err)
	}
	if s.path.Forward == raw {
		s.origin = origin
	}
	return decision.Refusal{}
}

// misshapen is a refusal because of a ShapeError.
func misshapen(reason decision.Reason, err error) decision.Refusal {
	cause, _ := err.(decision.Cause) //nolint:errorlint // nobody wraps it; nothing is allocated this way
	return decision.Refusal{Reason: reason, Cause: cause}
}

// originForm cuts scheme and authority off an absolute-form target (RFC 9112 section 3.2.2). The authority must be the
// host, so that there is one host to match and to forward; where there is none, it is the host. The other forms are
// refused: authority-form is CONNECT's, and asterisk-form asks about the server as a whole, which no rule is about.
func originForm(target string, s *shape) (string, decision.Refusal) {
	if strings.HasPrefix(target, "/") {
		return target, decision.Refusal{}
	}
	rest, ok := cutScheme(target)
	switch {
	case target == "*":
		return "", misshapen(decision.BadPath, errAsterisk)
	case !ok:
		return "", misshapen(decision.BadPath, errTarget)
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, origin := rest[:end], rest[end:]
	host, err := decision.CanonicalHost(authority)
	switch {
	case err != nil:
		return "", misshapen(decision.BadHost, err)
	case s.host == "":
		s.host, s.hostPort = host, withPort(host, authority)
	case host != s.host || withPort(host, authority) != s.hostPort:
		return "", misshapen(decision.BadHost, errAuthority)
	}
	if !strings.HasPrefix(origin, "/") {
		origin = "/" + origin // an empty path is "/" (RFC 9112 section 3.2.1)
	}
	return origin, decision.Refusal{}
}

func cutScheme(target string) (string, bool) {
	for _, scheme := range [...]string{"http://", "https://"} {
		if len(target) >= len(scheme) && strings.EqualFold(target[:len(scheme)], scheme) {
			return target[len(scheme):], true
		}
	}
	return "", false
}

// withPort adds the port of raw, which is a valid host already, to the canonical host.
func withPort(host, raw string) string {
	colon := strings.LastIndexByte(raw, ':')
	if colon < 0 || colon < strings.LastIndexByte(raw, ']') {
		return host
	}
	if port := raw[colon:]; len(raw) != len(host)+len(port) || raw[:colon] != host {
		return host + port
	}
	return raw
}

// validQuery refuses what would end the request line or start a fragment.
func validQuery(q string) bool {
	for i := range len(q) {
		if c := q[i]; c <= ' ' || c == 0x7f || c == '#' {
			return false
		}
	}
	return true
}
