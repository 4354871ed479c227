package token

import (
	"strconv"
	"strings"

	"github.com/bearerguard/bearerguard/api/decision"
)

// String names the place.
func (s *spot) String() string {
	switch s.kind {
	case InCookie:
		return "the cookie " + s.name
	case InQuery:
		return "the query parameter " + s.name
	case InWebSocketProtocol:
		return "the subprotocol after " + s.name
	case InHeader:
	}
	if s.prefix == "" {
		return "the header " + s.name
	}
	return "the header " + s.name + " after " + strconv.Quote(s.written)
}

// names of all places.
func (l *Locator) names() string {
	var b strings.Builder
	for i := range l.spots {
		if i > 0 {
			b.WriteString(", or in ")
		}
		b.WriteString(l.spots[i].String())
	}
	return b.String()
}

// absent returns what is said where there is no token: in general, and where the header of this place has another
// content.
func (s *spot) absent(l *Locator) (empty, odd decision.Cause) {
	empty = decision.Because("the request has no token; want it in " + l.names())
	if s.kind == InHeader && s.prefix != "" {
		odd = decision.Because("the header " + s.name + " does not begin with " + strconv.Quote(s.written) + "; want the token in " + l.names())
	}
	return empty, odd
}

// twice is the Cause of a place that is there more than once.
type twice struct{ spot *spot }

// String names the place.
func (t twice) String() string { return t.spot.String() + " is there more than once" }

// Detail is String.
func (t twice) Detail() string { return t.String() }

// rivals is the Cause of two tokens that differ.
type rivals struct{ a, b *spot }

// String names the places.
func (r rivals) String() string {
	return "the tokens in " + r.a.String() + " and in " + r.b.String() + " differ"
}

// Detail is String.
func (r rivals) Detail() string { return r.String() }

// Elsewhere is the Cause of a token that an issuer does not take from where it was found. The issuer is given by its index
// in the locator and its name in the policy.
func (l *Locator) Elsewhere(f Found, issuer int, name string) decision.Cause {
	return elsewhere{l, &l.spots[f.at], issuer, name}
}

type elsewhere struct {
	locator *Locator
	spot    *spot
	issuer  int
	name    string
}

// String names the place, and those of the issuer.
func (e elsewhere) String() string {
	var own Locator
	for _, s := range e.locator.spots {
		if s.takers.Has(e.issuer) {
			own.spots = append(own.spots, s)
		}
	}
	return "the token is in " + e.spot.String() + "; issuer " + e.name + " takes it in " + own.names()
}

// Detail is String.
func (e elsewhere) Detail() string { return e.String() }
