package decision

// Details say of a refusal where to look: what is told beside its Reason and Cause to those who run the guard. They have
// names and texts of policies, and no value of a request or its token.
type Details struct {
	// Policy is the ID of the policy whose issuer does not take the token, or which wants one. That of a rule is told with the
	// rule.
	Policy string `json:"-"`
	// IssuerEntry is the name of that issuer in spec.issuers, and Audiences are those that it takes. They are empty where no one
	// issuer can be named, and for what does not hang on the token.
	IssuerEntry string   `json:"issuerEntry,omitempty"`
	Audiences   []string `json:"audiences,omitempty"`
	// NearestPolicy and NearestRule are the rule that came nearest (see Nearest), unless it is the one that decided. Failed is
	// what it failed for.
	NearestPolicy string `json:"nearestPolicy,omitempty"`
	NearestRule   string `json:"nearestRule,omitempty"`
	Failed        string `json:"failed,omitempty"`
}

// AuditDetails are whose token an Audit policy would have refused for want of a rule: what a rule that lets it in could ask for.
type AuditDetails struct {
	// IssuerEntry is the name of the policy's issuer that vouches for the token; empty if that is not known.
	IssuerEntry string
	// Scopes are those that the token was granted. They are values of a claim: not to be shown unless that is allowed.
	Scopes []string
}
