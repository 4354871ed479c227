package gate

import (
	"strconv"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/refuse"
)

// CORS is what an answer says to browsers about pages of other origins, whether the app gives it or the sidecar. The zero
// CORS leaves that to the app.
type CORS struct {
	// Owned: fields for which Drops holds are dropped from the app's answer, so that there is one word and not two.
	Owned bool
	// Set are fields that every answer gets, a nonce for the client's next DPoP proof among them. They outlive the request, and must not be changed.
	Set []refuse.Field
}

// Drops reports whether a field of the app's answer gives way. The name may be in any case.
func (c *CORS) Drops(name string) bool {
	const prefix = "access-control-"
	return c.Owned && len(name) > len(prefix) && strings.EqualFold(name[:len(prefix)], prefix)
}

// vary is on every answer, since it may be another for another origin.
var vary = []refuse.Field{{Name: "Vary", Value: "Origin"}}

// CORS returns what the answer to a request with this header says, under the snapshot in force: for refusals that no
// Verdict is made for.
func (g *Gate) CORS(h decision.Header) CORS {
	s := g.snapshot.Load()
	if s == nil || h == nil {
		return CORS{}
	}
	c, _, _ := s.cors(h)
	return c
}

// cors returns what the answer says, and what pages of the request's origin may do, if anything.
func (s *Snapshot) cors(h decision.Header) (c CORS, grant decision.Grant, listed bool) {
	if !s.program.HasCORS() {
		return c, grant, false
	}
	c.Owned, c.Set = true, vary
	from := h.Values("Origin")
	if len(from) != 1 {
		return c, grant, false
	}
	if grant, listed = s.program.CORS(from[0]); !listed {
		return c, grant, false
	}
	fields := make([]refuse.Field, 0, 8)
	fields = append(fields, refuse.Field{Name: "Access-Control-Allow-Origin", Value: strings.Clone(grant.Origin)})
	if grant.Credentials {
		fields = append(fields, refuse.Field{Name: "Access-Control-Allow-Credentials", Value: "true"})
	}
	expose := strings.Join(grant.Expose, ", ")
	if s.offers != nil && s.offers.nonces {
		expose += ", DPoP-Nonce"
	}
	fields = append(fields, refuse.Field{Name: "Access-Control-Expose-Headers", Value: expose})
	c.Set = append(fields, c.Set...)
	return c, grant, true
}

// preflight answers a preflight (Fetch standard, section 3.2.2) of an origin that is listed: no token comes with it, and
// it does nothing, so no rule is asked. It reports whether the request is one.
func (s *Snapshot) preflight(r *Request, h decision.Header, v *Verdict) bool {
	c, grant, listed := s.cors(h)
	v.CORS = c
	if !listed || r.Method != "OPTIONS" {
		return false
	}
	asked := h.Values("Access-Control-Request-Method")
	if len(asked) != 1 {
		return false
	}
	method := strings.Clone(asked[0])
	headers := strings.Clone(strings.Join(h.Values("Access-Control-Request-Headers"), ", "))
	fields := v.CORS.Set[:len(v.CORS.Set):len(v.CORS.Set)]
	fields = appendList(fields, "Access-Control-Allow-Methods", grant.Methods, method)
	fields = appendList(fields, "Access-Control-Allow-Headers", grant.Headers, headers)
	if grant.MaxAge >= 0 {
		fields = append(fields, refuse.Field{Name: "Access-Control-Max-Age", Value: strconv.FormatInt(int64(grant.MaxAge/time.Second), 10)})
	}
	v.CORS.Set = fields
	v.Reason = decision.Preflight
	return true
}

// appendList adds a list of names. For any name, what is asked for is said: browsers take "*" for all but Authorization,
// and for nothing beside credentials.
func appendList(fields []refuse.Field, name string, list []string, asked string) []refuse.Field {
	value := strings.Join(list, ", ")
	if value == decision.Any {
		if value = asked; !tokenList(asked) {
			return fields
		}
	}
	return append(fields, refuse.Field{Name: name, Value: value})
}

// tokenList holds for one or more tokens with commas and spaces between.
func tokenList(s string) bool {
	for i := range len(s) {
		if !tokenByte(s[i]) && s[i] != ',' && s[i] != ' ' {
			return false
		}
	}
	return s != ""
}
