package openapi

import (
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/ruleset"
)

// Bounds of what an operation may ask for.
const (
	mostAlternatives = 64
	mostSchemes      = 32
)

// requirements are what an operation asks for: alternatives.
type requirements struct {
	who []ruleset.Who
	// open says that it can be called without a token.
	open bool
	// lost are the alternatives that cannot be carried over, and why.
	lost []string
}

// readRequirements reads a list of security requirements. A missing or empty list, and an empty requirement, ask for nothing.
func (d *document) readRequirements(n node) (r requirements, err error) {
	items, err := n.items()
	if err != nil {
		return r, err
	}
	if len(items) > mostAlternatives {
		return r, n.refuse("has %d alternatives; want at most %d", len(items), mostAlternatives)
	}
	r.open = len(items) == 0
	for _, item := range items {
		schemes, err := item.members()
		if err != nil {
			return r, err
		}
		switch {
		case len(schemes) > mostSchemes:
			return r, item.refuse("has %d schemes; want at most %d", len(schemes), mostSchemes)
		case len(schemes) == 0:
			r.open = true
			continue
		}
		who, lost, err := d.alternative(schemes)
		if err != nil {
			return r, err
		}
		if lost != "" {
			r.lost = append(r.lost, lost)
			continue
		}
		r.who = append(r.who, who)
	}
	return r, nil
}

// alternative reads one requirement: all of its schemes are asked for. A request has one token, so it can be carried over if that token can
// do for all of them.
func (d *document) alternative(schemes []member) (who ruleset.Who, lost string, err error) {
	var issuer *policy.Issuer
	for _, m := range schemes {
		names, err := m.value.texts()
		if err != nil {
			return who, "", err
		}
		s := d.schemes[m.name]
		if s == nil {
			return who, m.name + " is not defined", nil
		}
		if why := d.carried(s); why != "" {
			return who, m.name + " " + why, nil
		}
		if lost := d.ask(s, names, &who); lost != "" {
			return who, m.name + " " + lost, nil
		}
	}
	for _, m := range schemes {
		s := d.schemes[m.name]
		if err := d.trust(s); err != nil {
			d.missing = append(d.missing, err)
			continue
		}
		if issuer != nil && issuer.Name != s.issuer.Name {
			return who, m.name + " asks for a token of another issuer than the scheme beside it, and a request has one token", nil
		}
		issuer = s.issuer
	}
	if issuer != nil {
		who.Issuers = []string{issuer.Name}
	}
	slices.Sort(who.Scopes)
	slices.Sort(who.Roles)
	who.Scopes, who.Roles = slices.Compact(who.Scopes), slices.Compact(who.Roles)
	if why := d.impossible(who); why != "" {
		return who, why, nil
	}
	return who, "", nil
}

// ask adds what a requirement names beside a scheme.
func (d *document) ask(s *scheme, names []string, who *ruleset.Who) (lost string) {
	switch {
	case len(names) == 0:
	case s.scoped || d.options.RolesClaim == "scope":
		who.Scopes = append(who.Scopes, names...)
	case d.options.RolesClaim == "":
		return "asks for " + strings.Join(names, ", ") + ", and nothing says which claim has that; give --roles-claim CLAIM, or --roles-claim scope"
	default:
		who.RolesClaim = d.options.RolesClaim
		who.Roles = append(who.Roles, names...)
	}
	return ""
}

// impossible returns why a policy cannot ask for what who does; "" if it can.
func (d *document) impossible(who ruleset.Who) string {
	key := strings.Join(who.Scopes, " ") + "\n" + strings.Join(who.Roles, "\n")
	why, known := d.asked[key]
	if !known {
		why = uncompilable(who)
		d.asked[key] = why
	}
	return why
}

func uncompilable(who ruleset.Who) string {
	spec := policy.Spec{
		Issuers: []policy.Issuer{{Name: "any", AnyIssuer: true, AnyAudience: true, Keys: policy.KeySource{JWKSURL: "https://any.example/"}}},
		Rules:   []policy.Rule{{Name: "any", Allow: &policy.Allow{Authenticated: true, Conditions: policy.Conditions{Scopes: who.Scopes}}}},
	}
	if len(who.Roles) > 0 {
		spec.Rules[0].Allow.Claims = []policy.ClaimCondition{{Claim: who.RolesClaim, AllOf: who.Roles}}
	}
	if _, err := decision.Compile([]decision.Policy{{Spec: spec}}); err != nil {
		return strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	return ""
}
