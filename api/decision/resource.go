package decision

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

// wellKnown is what a resource's URL has between host and path where its metadata are (RFC 9728 section 3).
const wellKnown = "/.well-known/oauth-protected-resource"

// Resource is the protected resource that the app is by one policy. It is immutable.
type Resource struct {
	// Policy is the ID of the policy.
	Policy string
	// MetadataURL is where clients find the metadata. It comes from the policy alone.
	MetadataURL string
	// Metadata is the document that they find there (RFC 9728 section 2), as JSON.
	Metadata []byte

	path         string // of its URL, as rules match it, without a final slash; empty: that of the root
	metadataPath string // of MetadataURL, as rules match it
}

// HasResources reports whether an Enforce policy has spec.resource.
func (p *Program) HasResources() bool { return p != nil && len(p.serves) > 0 }

// MetadataAt returns the resource whose metadata are at a path, which is as ReadPath returns it in Path.Match; nil if there are
// none. Of several policies with the same path, the first by name.
func (p *Program) MetadataAt(path string) *Resource {
	if p == nil || !strings.HasPrefix(path, wellKnown) {
		return nil
	}
	for _, r := range p.serves {
		if r.metadataPath == path {
			return r
		}
	}
	return nil
}

// ResourceOf returns the resource that a path is of: the one whose own path is the longest that it begins with, whole segments
// compared; else the first by its policy's name. It is nil if no policy has one.
func (p *Program) ResourceOf(path string) (best *Resource) {
	if p == nil || len(p.serves) == 0 {
		return nil
	}
	for _, r := range p.serves {
		if r.covers(path) && (best == nil || len(r.path) > len(best.path)) {
			best = r
		}
	}
	if best == nil {
		return p.serves[0]
	}
	return best
}

// Resources returns the resources, in the order of their policies. The caller must not change the slice.
func (p *Program) Resources() []*Resource {
	if p == nil {
		return nil
	}
	return p.serves
}

func (r *Resource) covers(path string) bool {
	return strings.HasPrefix(path, r.path) && (len(path) == len(r.path) || path[len(r.path)] == '/')
}

// metadata is a protected resource's metadata (RFC 9728 section 2).
type metadata struct {
	Resource             string   `json:"resource"`
	AuthorizationServers []string `json:"authorization_servers,omitempty"`
	ScopesSupported      []string `json:"scopes_supported,omitempty"`
	BearerMethods        []string `json:"bearer_methods_supported"`
	Name                 string   `json:"resource_name,omitempty"`
	Documentation        string   `json:"resource_documentation,omitempty"`
	Policy               string   `json:"resource_policy_uri,omitempty"`
	TermsOfService       string   `json:"resource_tos_uri,omitempty"`
	DPoPRequired         bool     `json:"dpop_bound_access_tokens_required,omitempty"`
	DPoPAlgorithms       []string `json:"dpop_signing_alg_values_supported,omitempty"`
	MTLS                 bool     `json:"tls_client_certificate_bound_access_tokens,omitempty"`
}

// bind says what is told of tokens that are bound to a key.
func (m *metadata) bind(spec *policy.Spec) {
	m.DPoPRequired = len(m.AuthorizationServers) > 0
	takes := false
	for i := range spec.Issuers {
		is := &spec.Issuers[i]
		if !isTold(spec, is) {
			continue
		}
		takes = takes || is.TakesDPoP()
		m.DPoPRequired = m.DPoPRequired && is.TakesDPoP() && is.Proof.DPoP == policy.BindingRequired
		m.MTLS = m.MTLS || is.TakesMTLS()
	}
	if takes {
		m.DPoPAlgorithms = proofAlgorithms()
	}
}

// proofAlgorithms are those of DPoP proofs that the sidecar verifies: those that tokens may have which no policy lists.
func proofAlgorithms() (names []string) {
	for _, a := range algorithms() {
		if !a.HMAC() && a != "ES256K" {
			names = append(names, string(a))
		}
	}
	return names
}

// addResource checks spec.resource and takes it in, unless the policy is in Audit mode.
func (c *compiler) addResource(spec *policy.Spec) {
	if spec.Resource == nil {
		return
	}
	before := len(c.problems)
	u := c.checkResource(spec)
	if len(c.problems) > before || spec.Mode == policy.Audit {
		return
	}
	c.program.serves = append(c.program.serves, newResource(c.policy, spec, u))
}

// MetadataPath returns the path at which the metadata of a policy's resource are, as rules match it; empty if it has none, is in Audit
// mode or Compile does not take its URL.
func MetadataPath(spec *policy.Spec) string {
	if spec.Resource == nil || spec.Mode == policy.Audit {
		return ""
	}
	u, problem := parseResourceURL(spec.Resource.URL)
	if problem != "" {
		return ""
	}
	return metadataPath(u)
}

// metadataPath is of a URL that has been checked.
func metadataPath(u *url.URL) string {
	path := u.EscapedPath()
	if path == "/" {
		path = "" // RFC 9728 section 3.1
	}
	p, _ := ReadPath(wellKnown+path, PathOptions{})
	return p.Match
}

// newResource makes the resource of a policy that has been checked, whose URL is u.
func newResource(id string, spec *policy.Spec, u *url.URL) *Resource {
	in := spec.Resource
	path := u.EscapedPath()
	if path == "/" {
		path = "" // RFC 9728 section 3.1
	}
	match := func(path string) string {
		p, _ := ReadPath(path, PathOptions{}) // checked
		return p.Match
	}
	r := &Resource{
		Policy: id, MetadataURL: u.Scheme + "://" + u.Host + wellKnown + path, metadataPath: metadataPath(u),
	}
	if path != "" {
		r.path = strings.TrimSuffix(match(path), "/")
	}
	m := metadata{
		Resource: in.URL, Name: in.Name, Documentation: in.Documentation, Policy: in.Policy, TermsOfService: in.TermsOfService,
		AuthorizationServers: authorizationServers(spec), ScopesSupported: in.Scopes, BearerMethods: bearerMethods(spec),
	}
	if m.ScopesSupported == nil {
		m.ScopesSupported = scopesOf(spec.Rules)
	}
	m.bind(spec)
	r.Metadata, _ = json.Marshal(m) // texts and lists of texts always marshal
	return r
}

// authorizationServers are the issuers that clients get tokens from.
func authorizationServers(spec *policy.Spec) (servers []string) {
	for i := range spec.Issuers {
		is := &spec.Issuers[i]
		if !isTold(spec, is) {
			continue
		}
		if !slices.Contains(servers, is.Issuer) {
			servers = append(servers, is.Issuer)
		}
	}
	return servers
}

// isTold reports whether clients are told of an issuer.
func isTold(spec *policy.Spec, is *policy.Issuer) bool {
	if named := spec.Resource.AuthorizationServers; named != nil {
		return slices.Contains(named, is.Name)
	}
	return isServer(is)
}

// isServer reports whether an issuer is one that clients get tokens from. The cluster's own gives tokens to pods alone.
func isServer(is *policy.Issuer) bool {
	return is.Keys.Kubernetes == nil && is.Issuer != "" && urlProblem(is.Issuer) == "" && !strings.Contains(is.Issuer, "?")
}

// scopesOf are all that allow rules ask for, sorted. Refresh tokens are no matter of a resource's, so offline_access is none.
func scopesOf(rules []policy.Rule) (scopes []string) {
	for i := range rules {
		if a := rules[i].Allow; a != nil {
			scopes = append(scopes, a.Scopes...)
		}
	}
	slices.Sort(scopes)
	return slices.DeleteFunc(slices.Compact(scopes), func(s string) bool { return s == "offline_access" })
}

// bearerMethods are the ways to send a token that are told, in the names of RFC 9728.
func bearerMethods(spec *policy.Spec) []string {
	methods := spec.Resource.BearerMethods
	if methods == nil {
		methods = taken(spec.Issuers)
	}
	out := make([]string, 0, len(methods))
	for _, m := range methods {
		out = append(out, strings.ToLower(string(m)))
	}
	return out
}

// taken are the ways of RFC 6750 section 2 in which some issuer takes tokens.
func taken(issuers []policy.Issuer) (methods []policy.BearerMethod) {
	header, query := false, false
	for i := range issuers {
		for _, from := range issuers[i].Locations() {
			header = header || strings.EqualFold(from.Header, "Authorization") && strings.EqualFold(from.Prefix, "Bearer ")
			query = query || from.Query == "access_token"
		}
	}
	if header {
		methods = append(methods, policy.BearerHeader)
	}
	if query {
		methods = append(methods, policy.BearerQuery)
	}
	return methods
}

// withResource returns an issuer with the audience that ResourceAudience stands for. It is the one place that knows.
func withResource(is policy.Issuer, resource *policy.Resource) policy.Issuer {
	if is.ResourceAudience && resource != nil && !slices.Contains(is.Audiences, resource.URL) {
		is.Audiences = append(slices.Clone(is.Audiences), resource.URL)
	}
	return is
}

// wantAudience says what a policy without audiences is to have.
func wantAudience(resource *policy.Resource) string {
	if resource != nil {
		return "resourceAudience: true, or audiences, or anyAudience: true alone"
	}
	return "exactly one of audiences, anyAudience: true"
}
