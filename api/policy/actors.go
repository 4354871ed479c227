package policy

// Actors are alternatives for the party that acts for a token's subject: the claim "act", of which the outermost is the one that
// acts now (RFC 8693 section 4.1). Those inside it acted before, and are never looked at. An act that is no object, or that has no
// sub, does not fit an allow rule and fits a deny rule.
//
// +kubebuilder:validation:XValidation:rule="(has(self.any) && self.any) != ((has(self.none) && self.none) || has(self.anyOf))",message="give any: true, or none: true and anyOf, of which one is enough"
// +kubebuilder:validation:XValidation:rule="!has(self.issuer) || has(self.anyOf)",message="issuer goes with anyOf"
type Actors struct {
	// AnyOf are alternatives for the actor's "sub".
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=1024
	AnyOf []string `json:"anyOf,omitempty"`

	// Issuer is the "iss" of the actors under anyOf; an actor without iss has that of the token. Default: the token's in an allow
	// rule; in a deny rule it does not matter.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	Issuer string `json:"issuer,omitempty"`

	// None: nobody acts for the subject, which uses the token itself.
	// +optional
	None bool `json:"none,omitempty"`

	// Any: somebody acts for the subject, whoever it is.
	// +optional
	Any bool `json:"any,omitempty"`
}

// Authentication is how the user has to have logged in (RFC 9470). All given conditions must hold.
//
// +kubebuilder:validation:XValidation:rule="has(self.acr) || has(self.maxAge)",message="give acr, maxAge or both"
type Authentication struct {
	// ACR are alternatives for the claim "acr" (OpenID Connect Core 1.0 section 2), compared as they are. A client is told
	// them in this order as acr_values: the preferred one first.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:Pattern=`^[!#-\[\]-~]{1,256}$`
	ACR []string `json:"acr,omitempty"`

	// MaxAge is how long ago the claim "auth_time" may be when a request comes, in whole seconds from 1s to 8760h; the issuer's
	// clockSkew is added. A token without auth_time does not fit.
	// +optional
	MaxAge *Duration `json:"maxAge,omitempty"`
}
