package gate

import (
	"net/http"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/refuse"
)

// described is what is told of a resource: its metadata, and what challenges say of it. It is immutable.
type described struct {
	document  refuse.Document
	challenge refuse.Challenge
}

// describeAll prepares what is told of the program's resources.
func describeAll(p *decision.Program) map[*decision.Resource]*described {
	out := make(map[*decision.Resource]*described, len(p.Resources()))
	for _, r := range p.Resources() {
		out[r] = &described{
			document: refuse.Document{
				Status: http.StatusOK,
				Header: []refuse.Field{
					{Name: "Content-Type", Value: "application/json"},
					{Name: "Cache-Control", Value: "public, max-age=300"},
					{Name: "Access-Control-Allow-Origin", Value: "*"},
				},
				Body: r.Metadata,
			},
			challenge: refuse.Challenge{ResourceMetadata: r.MetadataURL},
		}
	}
	return out
}

// anyOrigin says to pages of any origin that they may read the metadata, which are public, and send what headers they like.
var anyOrigin = refuse.Document{
	Status: http.StatusNoContent,
	Header: []refuse.Field{
		{Name: "Allow", Value: "GET, HEAD, OPTIONS"},
		{Name: "Access-Control-Allow-Origin", Value: "*"},
		{Name: "Access-Control-Allow-Methods", Value: "GET, HEAD"},
		{Name: "Access-Control-Allow-Headers", Value: "*"},
		{Name: "Access-Control-Max-Age", Value: "600"},
	},
}

// describe answers a request for a resource's metadata (RFC 9728 section 3.1), or a preflight for one. It needs no token, and
// all that it tells is the policy's. It reports whether the request is one.
func (s *Snapshot) describe(r *Request, sh *shape, v *Verdict) bool {
	resource := s.program.MetadataAt(sh.path.Match)
	if resource == nil {
		return false
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		v.Document = &s.resources[resource].document
	case http.MethodOptions:
		v.Document = &anyOrigin
	default:
		return false
	}
	v.Reason, v.Policy, v.Path = decision.ResourceMetadata, resource.Policy, sh.path.Match
	return true
}

// challenge is what a client is told beyond the reason of a refusal: the scopes that its request needs, how the user has to
// log in (RFC 9470 section 3), and where it learns whom to get them from (RFC 9728 section 5.1).
func (s *Snapshot) challenge(r *decision.Request, d *decision.Decision) *refuse.Challenge {
	resource := s.program.ResourceOf(r.Path)
	scopes := d.Scopes
	if resource == nil {
		if len(scopes) == 0 && d.Authentication == nil {
			return nil
		}
		return newChallenge("", scopes, d.Authentication)
	}
	switch refuse.Table(d.Reason).Status {
	case http.StatusUnauthorized:
		if d.Authentication == nil {
			scopes = s.program.Needs(r)
		}
	case http.StatusForbidden, http.StatusBadRequest:
	default:
		return nil
	}
	c := &s.resources[resource].challenge
	if len(scopes) == 0 && d.Authentication == nil {
		return c
	}
	return newChallenge(c.ResourceMetadata, scopes, d.Authentication)
}

func newChallenge(metadata string, scopes []string, login *policy.Authentication) *refuse.Challenge {
	c := &refuse.Challenge{Scopes: scopes, ResourceMetadata: metadata}
	if login != nil {
		c.ACR = login.ACR
		if login.MaxAge != nil {
			c.MaxAge = login.MaxAge.Duration
		}
	}
	return c
}
