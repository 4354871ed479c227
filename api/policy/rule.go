package policy

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

// Match fits a request if all of its given fields do. At least one is given.
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

	// Paths are templates: literal segments, {name} for one captured segment, * for one segment, and a final ** for the
	// rest, none included. A gRPC method is the path /package.Service/Method.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:Pattern=`^/`
	// +kubebuilder:validation:items:MaxLength=1024
	Paths []string `json:"paths,omitempty"`

	// Methods are request methods, compared with case (RFC 9110 section 9.1).
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:Pattern=`^[A-Z][A-Z-]{0,31}$`
	Methods []string `json:"methods,omitempty"`

	// Ports are the ports that the client dialled.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:Minimum=1
	// +kubebuilder:validation:items:Maximum=65535
	Ports []int32 `json:"ports,omitempty"`

	// Headers must all fit.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Headers []HeaderMatch `json:"headers,omitempty"`
}

// HeaderMatch is a condition on a request header. A header that comes several times fits an allow rule only if every
// value does, and a deny rule if any does.
// +kubebuilder:validation:XValidation:rule="has(self.exists) != has(self.values)",message="give exactly one of exists, values"
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
	Values []string `json:"values,omitempty"`
}

// Allow is the conditions of an allow rule. An empty object asks for a valid token of any of the policy's issuers.
// +kubebuilder:validation:XValidation:rule="!has(self.anonymous) || !self.anonymous || !(has(self.issuers) || has(self.subjects) || has(self.scopes) || has(self.claims))",message="anonymous: true cannot go with issuers, subjects, scopes or claims"
type Allow struct {
	// Anonymous: a token is optional. A valid one still yields identity headers; a broken one is still refused.
	// It may go with when, but with no condition on the token.
	// +optional
	Anonymous bool `json:"anonymous,omitempty"`

	Conditions `json:",inline"`
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

	// When is a CEL expression of type bool over claims, path, request, issuer and now. An error while evaluating it
	// counts as "does not fit" in an allow rule and as "fits" in a deny rule.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	When string `json:"when,omitempty"`
}

// ClaimCondition is one condition on one claim: exactly one operator is given. Values are compared with a claim that is
// a string, or with the JSON text of a number or boolean: "7", "true". For a claim that is a list, equals, anyOf,
// matches, greaterThan and lessThan hold if they hold for any element, allOf if each value is an element, and noneOf if
// no value is. A claim that is missing or null satisfies only exists: false and noneOf, an object only exists: true and
// noneOf.
// +kubebuilder:validation:XValidation:rule="[has(self.exists), has(self.equals), has(self.anyOf), has(self.allOf), has(self.noneOf), has(self.matches), has(self.greaterThan), has(self.lessThan)].filter(x, x).size() == 1",message="give exactly one of exists, equals, anyOf, allOf, noneOf, matches, greaterThan, lessThan"
type ClaimCondition struct {
	// Claim is a claim path: dotted names with bracket-quoted segments, as in CEL.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Claim string `json:"claim"`

	// Exists: the claim is there with a value other than null (true), or is not (false).
	// +optional
	Exists *bool `json:"exists,omitempty"`

	// Equals: the claim is this value.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Equals *string `json:"equals,omitempty"`

	// AnyOf: the claim is one of these values.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=1024
	AnyOf []string `json:"anyOf,omitempty"`

	// AllOf: the claim is a list with all of these values.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=1024
	AllOf []string `json:"allOf,omitempty"`

	// NoneOf: the claim is none of these values; a missing claim is none of them.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=1024
	NoneOf []string `json:"noneOf,omitempty"`

	// Matches is an RE2 expression for the whole value.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Matches string `json:"matches,omitempty"`

	// GreaterThan: the claim is a number above this one.
	// +optional
	GreaterThan *int64 `json:"greaterThan,omitempty"`

	// LessThan: the claim is a number below this one.
	// +optional
	LessThan *int64 `json:"lessThan,omitempty"`
}
