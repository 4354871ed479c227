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
	// Takers are the issuers, by their index in the locator, that take tokens from a place where this one is. Who takes the
	// token depends on it, so it belongs into the key of a cache.
	Takers decision.IssuerSet
	// OK is false when there is no token; the other fields are then zero.
	OK bool
	// More says that the same token is in other places too: see Next.
	More bool
	// Kind and Name say what to strip.
	Kind Kind
	// Name of the header (canonical MIME form), cookie, query parameter or subprotocol.
	Name string
	// DPoP says that one of the places is Authorization under the scheme DPoP (RFC 9449 section 7.1).
	DPoP bool

	at int // index of the place
}

// place is one place to look.
type place struct {
	kind   Kind
	name   string
	prefix string // lower case, of a header
}

// spot is a place and what is known of it beforehand.
type spot struct {
	place
	written string // the prefix as the first policy has it
	takers  decision.IssuerSet
	longer  []place        // in the same header, with longer prefixes
	empty   decision.Cause // there is no token
	odd     decision.Cause // there is the header, but not the prefix; nil without a prefix
	dpop    bool           // the scheme DPoP
}

// Locator finds a token in a request. It is immutable and safe for concurrent use.
type Locator struct{ spots []spot }

// NewLocator returns a locator over the places that the issuers list; an issuer's index is its index here, and there are
// at most decision.MaxIssuers. Those of an issuer that lists none are policy.Issuer.Locations.
func NewLocator(issuers []policy.Issuer) *Locator {
	l := &Locator{}
	for i, issuer := range issuers {
		for _, f := range issuer.Locations() {
			s := l.spot(newPlace(f), f.Prefix)
			s.dpop = decision.DPoPLocation(f)
			s.takers = s.takers.With(i)
		}
	}
	for i := range l.spots {
		s := &l.spots[i]
		for _, other := range l.spots {
			if other.kind == InHeader && s.kind == InHeader && other.name == s.name && len(other.prefix) > len(s.prefix) {
				s.longer = append(s.longer, other.place)
			}
		}
		s.empty, s.odd = s.absent(l)
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

// spot returns the spot of a place, adding it if it is new.
func (l *Locator) spot(p place, written string) *spot {
	for i := range l.spots {
		if l.spots[i].place == p {
			return &l.spots[i]
		}
	}
	l.spots = append(l.spots, spot{place: p, written: written})
	return &l.spots[len(l.spots)-1]
}

// Find looks in every place that any issuer lists. One token in several places is one token, which counts as found in
// each of them. Two tokens that differ, or one place that is there twice, are TokenInTwoPlaces (RFC 6750 section 2: who
// sends a token must not do it in two ways at once, and nobody could say which of two counts). A repeated Authorization is
// DuplicateAuthorization wherever tokens are looked for.
func (l *Locator) Find(r LocateRequest) (Found, decision.Refusal) {
	authorization := r.Header.Values("Authorization")
	if len(authorization) > 1 {
		return Found{}, because(decision.DuplicateAuthorization, "the header Authorization is there more than once")
	}
	var found Found
	for i := range l.spots {
		s := &l.spots[i]
		var raw string
		var n int
		if s.kind == InHeader && s.name == "Authorization" { // not looked up twice
			raw, n = s.among(authorization)
		} else {
			raw, n = s.find(r)
		}
		switch {
		case n == 0, n == 1 && s.outdone(r):
			continue
		case n > 1:
			return Found{}, decision.Refusal{Reason: decision.TokenInTwoPlaces, Cause: twice{s}}
		case found.OK && found.Raw != raw:
			return Found{}, decision.Refusal{Reason: decision.TokenInTwoPlaces, Cause: rivals{&l.spots[found.at], s}}
		case found.OK:
			found.More, found.Takers, found.DPoP = true, found.Takers|s.takers, found.DPoP || s.dpop
		default:
			found = Found{Raw: raw, Takers: s.takers, OK: true, Kind: s.kind, Name: s.name, DPoP: s.dpop, at: i}
		}
	}
	return found, decision.Refusal{}
}

// Next returns the next place where the token that was found is; ok is false if there is none.
func (l *Locator) Next(r LocateRequest, f Found) (next Found, ok bool) {
	for i := f.at + 1; f.More && i < len(l.spots); i++ {
		s := &l.spots[i]
		if raw, n := s.find(r); n == 1 && raw == f.Raw && !s.outdone(r) {
			f.Kind, f.Name, f.at = s.kind, s.name, i
			return f, true
		}
	}
	return Found{}, false
}

// Missing says why there is no token in a request in which none was found.
func (l *Locator) Missing(r LocateRequest) decision.Cause {
	for i := range l.spots {
		if s := &l.spots[i]; s.odd != nil && len(r.Header.Values(s.name)) > 0 {
			return s.odd
		}
	}
	if len(l.spots) == 0 {
		return nil
	}
	return l.spots[0].empty
}

// outdone reports whether a longer prefix fits the header's value too: it says where the token begins.
func (s *spot) outdone(r LocateRequest) bool {
	for i := range s.longer {
		if _, n := s.longer[i].find(r); n > 0 {
			return true
		}
	}
	return false
}

// Places returns the number of places that the issuers list.
func (l *Locator) Places() int { return len(l.spots) }

// At returns what stands at a place and looks like a token, however many there are: for requests whose token nobody asks
// about.
func (l *Locator) At(location int, r LocateRequest) Found {
	s := &l.spots[location]
	raw, n := s.find(r)
	if n == 0 {
		return Found{}
	}
	return Found{Raw: raw, Takers: s.takers, OK: true, Kind: s.kind, Name: s.name, DPoP: s.dpop, at: location}
}

// find returns the token at the place and how many there are. What is empty and carries no scheme is no token.
func (p *place) find(r LocateRequest) (raw string, n int) {
	switch p.kind {
	case InCookie:
		return cookie(r.Header.Values("Cookie"), p.name)
	case InQuery:
		return query(r.RawQuery, p.name)
	case InWebSocketProtocol:
		return protocol(r.Header.Values("Sec-Websocket-Protocol"), p.name)
	case InHeader:
	}
	return p.among(r.Header.Values(p.name))
}

// among returns the token in values of the place's header, and how many there are.
func (p *place) among(values []string) (raw string, n int) {
	for _, v := range values {
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
func (p *place) cut(v string) (string, bool) {
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
