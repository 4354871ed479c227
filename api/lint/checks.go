package lint

// Check names what found something. The set is closed; a Check is a rule's id in SARIF.
type Check string

// The checks.
const (
	AnyAudience    Check = "any-audience"
	Delegates      Check = "delegates"
	DodgedDeny     Check = "dodged-deny"
	Expression     Check = "expression"
	MCPMatch       Check = "mcp-match"
	NoRules        Check = "no-rules"
	OpaqueTokens   Check = "opaque-tokens"
	PathSyntax     Check = "path-syntax"
	PointlessProof Check = "pointless-proof"
	Resource       Check = "resource"
	SharedSecret   Check = "shared-secret"
	TokenLocation  Check = "token-location"
	UnmetCondition Check = "unmet-condition"
	UselessRule    Check = "useless-rule"
	WideAnonymous  Check = "wide-anonymous"
	Wildcard       Check = "wildcard"
)

// Checks returns every check with what it finds, by name.
func Checks() []struct {
	Check Check
	Finds string
} {
	return []struct {
		Check Check
		Finds string
	}{
		{AnyAudience, "An issuer whose tokens are taken whomever they were made for."},
		{Delegates, "A rule about a subject that lets in whoever acts for it, too."},
		{DodgedDeny, "A deny rule that a client gets round by leaving something out."},
		{Expression, "A CEL expression that never holds, or not when it seems to."},
		{MCPMatch, "A match of messages to an MCP server that never fits, or fits more than it seems to."},
		{NoRules, "A policy that allows nothing by itself."},
		{OpaqueTokens, "Issuers of which each is shown the other's opaque tokens."},
		{PathSyntax, "A path in the language of regular expressions or of a router, which is literal text here."},
		{PointlessProof, "An issuer's proof that changes nothing."},
		{Resource, "A protected resource that no token is for, or for which clients cannot get one."},
		{SharedSecret, "An HMAC secret that several workloads verify with, each of which can make tokens for the others."},
		{TokenLocation, "A place in which no token will be found."},
		{UnmetCondition, "A condition that no token of the rule's issuers meets."},
		{UselessRule, "An allow rule to which another rule leaves nothing."},
		{WideAnonymous, "A rule that lets everybody in, to every path."},
		{Wildcard, "A wildcard in a value that is compared as it is."},
	}
}
