package gate

import (
	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/token"
)

// edit says what becomes of the header and the query of a request that is forwarded. A token is cut out of every place
// where it is.
func (s *Snapshot) edit(r *decision.Request, found token.Found, sh *shape, e *Edit) {
	e.names = s.names
	at := locate(r)
	for f, ok := found, found.OK; ok; f, ok = s.enforce.locator.Next(at, f) {
		s.cut(at, f, sh, e)
	}
}

// cut takes a token out of one place.
func (s *Snapshot) cut(r token.LocateRequest, f token.Found, sh *shape, e *Edit) {
	switch f.Kind {
	case token.InHeader:
		switch {
		case !s.strip:
		case e.strip == "":
			e.strip = f.Name
		default:
			e.more = append(e.more, f.Name)
		}
		if s.strip && f.DPoP {
			e.more = append(e.more, "Dpop") // a proof goes with its token
		}
	case token.InCookie:
		if s.strip {
			e.replace("Cookie", token.StripCookie(e.values(r, "Cookie"), f.Name))
		}
	case token.InWebSocketProtocol:
		const name = "Sec-Websocket-Protocol"
		rest := token.StripProtocol(e.values(r, name), f.Name)
		e.replace(name, rest)
		if len(rest) == 0 {
			e.AnswerProtocol = f.Name
		}
	case token.InQuery:
		sh.stripQuery(f.Name)
	}
}

// values returns what a field has after what was cut out of it already.
func (e *Edit) values(r token.LocateRequest, name string) []string {
	for _, have := range e.Replace {
		if have.Name == name {
			return have.Values
		}
	}
	return r.Header.Values(name)
}

// replace gives a field other values.
func (e *Edit) replace(name string, values []string) {
	for i := range e.Replace {
		if e.Replace[i].Name == name {
			e.Replace[i].Values = values
			return
		}
	}
	e.Replace = append(e.Replace, Replacement{name, values})
}
