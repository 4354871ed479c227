package policy

import "fmt"

// Rule lets some requests through, or refuses them.
// +kubebuilder:validation:XValidation:rule="has(self.allow) != has(self.deny)",message="give exactly one of allow, deny"
type Rule struct {
	// Name is unique in the policy; logs and metrics use it.
	// +required
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`
	Name string `json:"name"`

	// Match selects requests; the entries are alternatives. Omitted: every request.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Match []Match `json:"match,omitempty"`

	// Allow lets a matching request through if all of its conditions hold.
	// +optional
	Allow *Allow `json:"allow,omitempty"`

	// Deny refuses a matching request if all of its conditions hold, whatever other rules allow.
	// +optional
	Deny *Conditions `json:"deny,omitempty"`
}

// Match fits a request if all of its given fields do. At least one is given. A field that starts with "not" fits if none
// of its entries does.
//
// Where a request can be read in two ways, the doubt is never the client's: an allow rule fits less and a deny rule more.
// So a path fits paths of a deny rule, and notPaths of an allow rule, with and without a final slash; and an unknown
// peer address is in remoteIPs of a deny rule, and in notRemoteIPs of an allow rule.
// +kubebuilder:validation:MinProperties=1
type Match struct {
	// Hosts without port; "*.example.com" fits every name below, not example.com itself. Compared without case.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Hosts []string `json:"hosts,omitempty"`

	// NotHosts are hosts, written as under hosts, that do not fit.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	NotHosts []string `json:"notHosts,omitempty"`

	// Paths are templates: literal segments, {name} for one captured segment, * or {*} for one segment, "v*", "*.json" and
	// "a*z" for one segment that starts or ends so, and at most one ** or {**} for any number of segments, none included.
	// A gRPC method is the path /package.Service/Method.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:Pattern=`^/`
	// +kubebuilder:validation:items:MaxLength=1024
	Paths []string `json:"paths,omitempty"`

	// NotPaths are templates, written as under paths but without names, of paths that do not fit.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:Pattern=`^/`
	// +kubebuilder:validation:items:MaxLength=1024
	NotPaths []string `json:"notPaths,omitempty"`

	// Methods are request methods, compared with case (RFC 9110 section 9.1).
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:Pattern=`^[A-Z][A-Z-]{0,31}$`
	Methods []string `json:"methods,omitempty"`

	// NotMethods are request methods that do not fit.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:Pattern=`^[A-Z][A-Z-]{0,31}$`
	NotMethods []string `json:"notMethods,omitempty"`

	// Ports are the ports that the client dialled.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:Minimum=1
	// +kubebuilder:validation:items:Maximum=65535
	Ports []int32 `json:"ports,omitempty"`

	// NotPorts are ports that do not fit.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:Minimum=1
	// +kubebuilder:validation:items:Maximum=65535
	NotPorts []int32 `json:"notPorts,omitempty"`

	// RemoteIPs are addresses ("10.1.2.3") and CIDR blocks ("10.0.0.0/8") of the connection's peer. Behind a proxy, a load
	// balancer or a mesh that is their address, not the client's: no header is believed.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:Pattern=`^[0-9A-Fa-f.:]{2,45}(/[0-9]{1,3})?$`
	RemoteIPs []string `json:"remoteIPs,omitempty"`

	// NotRemoteIPs are addresses and CIDR blocks of peers that do not fit.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:Pattern=`^[0-9A-Fa-f.:]{2,45}(/[0-9]{1,3})?$`
	NotRemoteIPs []string `json:"notRemoteIPs,omitempty"`

	// Headers must all fit.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Headers []HeaderMatch `json:"headers,omitempty"`

	// MCP is about the message that a request brings to an MCP server (Model Context Protocol, transport Streamable HTTP).
	// +optional
	MCP *MCPMatch `json:"mcp,omitempty"`
}

// HeaderMatch is a condition on a request header. Values and patterns are alternatives: one of either is enough. Of
// notValues and notPatterns none may fit; a header that is missing fits none.
//
// A header that comes several times, or as a list with commas (RFC 9110 section 5.3), fits values and patterns of an
// allow rule only if every value does, of a deny rule if any does. It is the other way round for notValues and
// notPatterns.
// +kubebuilder:validation:XValidation:rule="has(self.exists) || has(self.values) || has(self.patterns) || has(self.notValues) || has(self.notPatterns)",message="give exists, values, patterns, notValues or notPatterns"
// +kubebuilder:validation:XValidation:rule="!has(self.exists) || !(has(self.values) || has(self.patterns))",message="give exactly one of exists, values and patterns"
// +kubebuilder:validation:XValidation:rule="!has(self.exists) || self.exists || !(has(self.notValues) || has(self.notPatterns))",message="exists: false goes alone"
type HeaderMatch struct {
	// Name of the header, compared without case.
	// +required
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9][A-Za-z0-9-]{0,63}$`
	Name string `json:"name"`

	// Exists says whether the header must be there (true) or must not (false).
	// +optional
	Exists *bool `json:"exists,omitempty"`

	// Values are alternatives for the whole value.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=1024
	Values []string `json:"values,omitempty"`

	// Patterns are alternatives for the whole value with at most one * in each, which stands for any text: "admin-*",
	// "*.example.com"; * alone fits every value that is not empty.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:Pattern=`^[^*]*[*]?[^*]*$`
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=1024
	Patterns []string `json:"patterns,omitempty"`

	// NotValues are values that do not fit.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=1024
	NotValues []string `json:"notValues,omitempty"`

	// NotPatterns are patterns of values that do not fit.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:Pattern=`^[^*]*[*]?[^*]*$`
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=1024
	NotPatterns []string `json:"notPatterns,omitempty"`
}

// Allow is the conditions of an allow rule. It says whom it lets in: authenticated, anonymous or a condition is given.
// +kubebuilder:validation:XValidation:rule="has(self.anonymous) && self.anonymous || has(self.authenticated) && self.authenticated || has(self.issuers) || has(self.subjects) || has(self.serviceAccounts) || has(self.spiffeIDs) || has(self.actors) || has(self.scopes) || has(self.claims) || has(self.authentication) || has(self.when)",message="says nothing of who is allowed; want authenticated: true for any valid token, anonymous: true for everybody, or a condition such as scopes"
// +kubebuilder:validation:XValidation:rule="!(has(self.anonymous) && self.anonymous && has(self.authenticated) && self.authenticated)",message="give one of anonymous: true, authenticated: true"
// +kubebuilder:validation:XValidation:rule="!has(self.anonymous) || !self.anonymous || !(has(self.issuers) || has(self.subjects) || has(self.serviceAccounts) || has(self.spiffeIDs) || has(self.actors) || has(self.scopes) || has(self.claims) || has(self.authentication))",message="anonymous: true cannot go with issuers, subjects, serviceAccounts, spiffeIDs, actors, scopes, claims or authentication"
// +kubebuilder:validation:XValidation:rule="!has(self.ignoreToken) || !self.ignoreToken || (has(self.anonymous) && self.anonymous)",message="ignoreToken: true goes with anonymous: true only"
type Allow struct {
	// Authenticated: any valid token of the policy's issuers is enough. An allow rule without any condition has to say so,
	// since a condition that got lost, such as "subjects: null", would look the same. Beside conditions it adds nothing.
	// +optional
	Authenticated bool `json:"authenticated,omitempty"`

	// Anonymous: a token is optional. A valid one still yields identity headers; a broken one is still refused.
	// It may go with when, but with no condition on the token.
	// +optional
	Anonymous bool `json:"anonymous,omitempty"`

	// IgnoreToken: nobody looks at a token that the request carries, so a broken or foreign one is no reason to refuse.
	// There are no identity headers, and claims are empty. It goes with anonymous: true only. Deny rules that ask about a
	// token still see one that is valid. Where the policy says forward.token: Strip, the app does not get the token.
	// +optional
	IgnoreToken bool `json:"ignoreToken,omitempty"`

	// Authentication is how, and how long ago, the user has to have logged in (RFC 9470). Where only that is missing, and
	// perhaps scopes, the client is told with 401 insufficient_user_authentication what to ask of its authorization server.
	// +optional
	Authentication *Authentication `json:"authentication,omitempty"`

	// MaxBody is the largest request body, such as "10Mi". Of all allow rules that fit a request the largest holds, and
	// one without maxBody sets no limit; the sidecar's own limit holds as well.
	// +optional
	MaxBody *Size `json:"maxBody,omitempty"`

	Conditions `json:",inline"`
}

// Vague reports whether a says nothing of whom it allows: neither authenticated nor anonymous, and no condition.
func (a *Allow) Vague() bool {
	return !a.Authenticated && !a.Anonymous && !a.AsksToken() && a.When == ""
}

// AsksToken reports whether a has a condition that no request without a token satisfies, when aside.
func (a *Allow) AsksToken() bool {
	return a.Issuers != nil || a.Subjects != nil || a.ServiceAccounts != nil || a.SPIFFEIDs != nil || a.Actors != nil ||
		a.Scopes != nil || a.Claims != nil || a.Authentication != nil
}

// VagueRule is what is told of a rule that was stored before an allow rule had to say whom it allows.
func VagueRule(i int) string {
	return fmt.Sprintf("spec.rules[%d].allow: says nothing of who is allowed, which counts as any valid token in this release "+
		"and is refused in the next; write authenticated: true", i)
}

// Clarify writes authenticated into the allow rules that say nothing of whom they allow, and returns the indexes of those
// rules. That is what they meant before it had to be said, so objects that were stored then keep their meaning.
func (s *Spec) Clarify() (rules []int) {
	for i := range s.Rules {
		if a := s.Rules[i].Allow; a != nil && a.Vague() && !a.IgnoreToken {
			a.Authenticated = true
			rules = append(rules, i)
		}
	}
	return rules
}

// Conditions must all hold. Without any, a deny rule refuses all that it matches.
type Conditions struct {
	// Issuers are names of issuers of this policy. Default: any of them.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Issuers []string `json:"issuers,omitempty"`

	// Subjects are alternatives for the claim "sub".
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=1024
	Subjects []string `json:"subjects,omitempty"`

	// ServiceAccounts are alternatives for the service account of this cluster that the token is for, as namespace/name;
	// "shop/*" is every one of a namespace. Only tokens count that an issuer with keys.kubernetes verified, whatever "sub"
	// others have.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?/([*]|[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?)$`
	// +kubebuilder:validation:items:MaxLength=317
	ServiceAccounts []string `json:"serviceAccounts,omitempty"`

	// SPIFFEIDs are alternatives for the SPIFFE ID that the token is for: "spiffe://example.org/ns/shop/sa/cart", in whose path * is
	// one whole segment. Only JWT-SVIDs count that an issuer with keys.spiffe verified, whatever "sub" others have.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:Pattern=`^spiffe://[-a-z0-9._]{1,255}(/([*]|[-A-Za-z0-9._]+))*$`
	// +kubebuilder:validation:items:MaxLength=2048
	SPIFFEIDs []string `json:"spiffeIDs,omitempty"`

	// Actors are who may use the token: the party that it was issued to directly, or one that acts for it (RFC 8693 section
	// 4.1). Omitted: it does not matter.
	// +optional
	Actors *Actors `json:"actors,omitempty"`

	// Scopes must all be granted, in the claim "scope" (space separated, RFC 8693 section 4.2) or "scp" (list or string).
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:Pattern=`^[!#-\[\]-~]{1,256}$`
	Scopes []string `json:"scopes,omitempty"`

	// Claims are conditions on claims; all must hold.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Claims []ClaimCondition `json:"claims,omitempty"`

	// When is a CEL expression of type bool over claims, actor, path, request, issuer and now. An error while evaluating it
	// counts as "does not fit" in an allow rule and as "fits" in a deny rule.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	When string `json:"when,omitempty"`
}
