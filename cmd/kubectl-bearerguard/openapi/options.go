package openapi

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

// Options say what a document leaves open.
type Options struct {
	// Name and Namespace are the policy's. Default: a name made of the document's title, and default.
	Name, Namespace string
	// Labels that the policy selects pods by.
	Labels map[string]string
	// Mode is Enforce or Audit.
	Mode policy.Mode
	// BasePath, if not nil, stands before all paths, whatever the document's servers say: "/v1".
	BasePath *string
	// Issuers are whose tokens schemes take, as a URL, or SCHEME=URL for one scheme.
	Issuers []string
	// Audiences are what tokens have to name in aud, as AUDIENCE, or SCHEME=AUDIENCE for one scheme; AnyAudience takes any.
	Audiences   []string
	AnyAudience bool
	// RolesClaim is the claim in which a token of a bearer scheme has the names that requirements list beside the scheme; "scope": they are
	// scopes. Empty: such requirements are left out.
	RolesClaim string
	// Anonymous are operations that ask for no token and may be called without: an operationId, "METHOD /path", or "/path".
	Anonymous []string
}

// forScheme returns the values of a list that are for a scheme: those of SCHEME=VALUE, or else those without a scheme's name.
func forScheme(all []string, scheme string, schemes map[string]*scheme) (out []string) {
	var rest []string
	for _, s := range all {
		name, value, found := strings.Cut(s, "=")
		switch {
		case found && name == scheme:
			out = append(out, value)
		case found && schemes[name] != nil:
		default:
			rest = append(rest, s)
		}
	}
	if len(out) > 0 {
		return out
	}
	return rest
}

// named reports whether a list has a value for this very scheme.
func named(all []string, scheme string) bool {
	return slices.ContainsFunc(all, func(s string) bool { return strings.HasPrefix(s, scheme+"=") })
}

// check holds SCHEME=VALUE to the schemes that there are: a slip of the pen would be taken for a part of a value.
func (o *Options) check(schemes map[string]*scheme) error {
	for flag, all := range map[string][]string{"--issuer": o.Issuers, "--audience": o.Audiences} {
		for _, s := range all {
			name, value, found := strings.Cut(s, "=")
			if found && schemes[name] == nil && !strings.ContainsAny(name, ":/") {
				return fmt.Errorf("%s %s: the document has no security scheme %q; it has %s", flag, s, name, cmp.Or(strings.Join(schemeNames(schemes), ", "), "none"))
			}
			if s == "" || found && schemes[name] != nil && value == "" {
				return fmt.Errorf("%s %s: is empty", flag, s)
			}
		}
	}
	if o.AnyAudience && len(o.Audiences) > 0 {
		return fmt.Errorf("--any-audience: does not go with --audience")
	}
	return nil
}
