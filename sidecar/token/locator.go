package token

import (
	"net/textproto"
	"strings"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

// LocateRequest is what a token is looked for in.
type LocateRequest struct {
	// Header fields of the request.
	Header decision.Header
	// RawQuery is the query as it came, without "?".
	RawQuery string
}

// Kind is the kind of a place where a token can be.
type Kind int

// The kinds of places.
const (
	// InHeader: in a header field.
	InHeader Kind = iota + 1
	// InCookie: in a cookie.
	InCookie
	// InQuery: in a query parameter.
	InQuery
	// InWebSocketProtocol: in Sec-WebSocket-Protocol.
	InWebSocketProtocol
)

// Found is a token and where it was.
type Found struct {
	// Raw is the token, not checked in any way; it may be empty where a scheme came without a token.
	Raw string
	// Location is the index of the place in the locator, for Accepts and for the cache key.
	Location int
	// OK is false when there is no token; the other fields are then zero.
	OK bool
	// Kind and Name say what to strip.
	Kind Kind
	// Name of the header (canonical MIME form), cookie, query parameter or subprotocol.
	Name string
}

// place is one place to look.
type place struct {
	kind   Kind
	name   string
	prefix string // lower case, of a header
}

// Locator finds a token in a request. It is immutable and safe for concurrent use.
type Locator struct {
	places  []place
	accepts [][]bool // by issuer, then place
}

// NewLocator returns a locator over the places that the issuers list; an issuer's index is its index here. An issuer
// that lists none takes tokens from Authorization: Bearer (RFC 6750 section 2.1).
func NewLocator(issuers []policy.Issuer) *Locator {
	l := &Locator{}
	lists := make([][]int, len(issuers))
	for i, issuer := range issuers {
		from := issuer.From
		if len(from) == 0 {
			from = []policy.TokenLocation{{Header: "Authorization", Prefix: "Bearer "}}
		}
		for _, f := range from {
			lists[i] = append(lists[i], l.index(newPlace(f)))
		}
	}
	for _, list := range lists {
		row := make([]bool, len(l.places))
		for _, n := range list {
			row[n] = true
		}
		l.accepts = append(l.accepts, row)
	}
	return l
}

func newPlace(f policy.TokenLocation) place {
	switch {
	case f.Cookie != "":
		return place{kind: InCookie, name: f.Cookie}
	case f.Query != "":
		return place{kind: InQuery, name: f.Query}
	case f.WebSocketProtocol != "":
		return place{kind: InWebSocketProtocol, name: f.WebSocketProtocol}
	}
	return place{kind: InHeader, name: textproto.CanonicalMIMEHeaderKey(f.Header), prefix: strings.ToLower(f.Prefix)}
}

// index returns the index of the place, adding it if it is new.
func (l *Locator) index(p place) int {
	for i, have := range l.places {
		if have == p {
			return i
		}
	}
	l.places = append(l.places, p)
	return len(l.places) - 1
}

// Accepts reports whether the issuer lists the place.
func (l *Locator) Accepts(issuer, location int) bool {
	return issuer >= 0 && issuer < len(l.accepts) && location >= 0 && location < len(l.places) && l.accepts[issuer][location]
}

// Find looks in every place that any issuer lists. A token in two places, or twice in one, is TokenInTwoPlaces (RFC
// 6750 section 2); a repeated Authorization is DuplicateAuthorization wherever tokens are looked for.
func (l *Locator) Find(r LocateRequest) (Found, decision.Reason) {
	if len(r.Header.Values("Authorization")) > 1 {
		return Found{}, decision.DuplicateAuthorization
	}
	var found Found
	for i, p := range l.places {
		raw, n := p.find(r)
		switch {
		case n == 0:
			continue
		case n == 1 && found.OK && found.Kind == InHeader && p.kind == InHeader && found.Name == p.name:
			// Two prefixes that fit one header's value: the longer one says where the token begins.
			if len(p.prefix) <= len(l.places[found.Location].prefix) {
				continue
			}
		case n > 1 || found.OK:
			return Found{}, decision.TokenInTwoPlaces
		}
		found = Found{Raw: raw, Location: i, OK: true, Kind: p.kind, Name: p.name}
	}
	return found, ""
}

// Places returns the number of places that the issuers list.
func (l *Locator) Places() int { return len(l.places) }

// At returns what stands at a place and looks like a token, however many there are: for requests whose token nobody asks
// about.
func (l *Locator) At(location int, r LocateRequest) Found {
	p := l.places[location]
	raw, n := p.find(r)
	if n == 0 {
		return Found{}
	}
	return Found{Raw: raw, Location: location, OK: true, Kind: p.kind, Name: p.name}
}

// find returns the token at the place and how many there are. What is empty and carries no scheme is no token.
func (p place) find(r LocateRequest) (raw string, n int) {
	switch p.kind {
	case InCookie:
		return cookie(r.Header.Values("Cookie"), p.name)
	case InQuery:
		return query(r.RawQuery, p.name)
	case InWebSocketProtocol:
		return protocol(r.Header.Values("Sec-Websocket-Protocol"), p.name)
	case InHeader:
	}
	for _, v := range r.Header.Values(p.name) {
		if token, ok := p.cut(strings.Trim(v, " \t")); ok {
			raw = token
			n++
		}
	}
	return raw, n
}

// cut takes the prefix off a header's value; case does not count. A prefix that ends with a space is a scheme (RFC 9110
// section 11.1): one or more spaces follow it, and alone it announces a token that is missing, which is not the same
// as no token.
func (p place) cut(v string) (string, bool) {
	scheme := strings.TrimRight(p.prefix, " ")
	if scheme == p.prefix {
		if len(v) < len(scheme) || !strings.EqualFold(v[:len(scheme)], scheme) {
			return "", false
		}
		return v[len(scheme):], len(v) > 0
	}
	if len(v) < len(scheme) || !strings.EqualFold(v[:len(scheme)], scheme) {
		return "", false
	}
	rest := v[len(scheme):]
	if rest != "" && rest[0] != ' ' && rest[0] != '\t' {
		return "", false
	}
	return strings.TrimLeft(rest, " "), true
}
