package decision

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

// Limits of what Compile takes. Each is refused with an error that names the field.
const (
	// MaxIssuers is the number of issuers that the policies of one workload may have together.
	MaxIssuers = 64
	// MaxRules is the number of rules in one policy.
	MaxRules = 256
)

// Policy is a policy by name. Namespace and Name identify it in errors, decisions and metrics.
type Policy struct {
	Namespace, Name string
	Spec            policy.Spec
}

// ID returns "namespace/name", or the name alone where there is no namespace.
func (p Policy) ID() string {
	if p.Namespace == "" {
		return p.Name
	}
	return p.Namespace + "/" + p.Name
}

// Issuer is one entry of spec.issuers of one policy.
type Issuer struct {
	Policy string        // ID of the policy
	Index  int           // position in spec.issuers
	Spec   policy.Issuer // with the audience that ResourceAudience stands for
	Audit  bool          // the policy is in Audit mode
}

// IssuerSet is a set of issuers: bit i stands for Program.Issuers()[i].
type IssuerSet uint64

// Has reports whether issuer i is in the set.
func (s IssuerSet) Has(i int) bool { return i >= 0 && i < MaxIssuers && s&(1<<i) != 0 }

// With returns the set and issuer i.
func (s IssuerSet) With(i int) IssuerSet {
	if i < 0 || i >= MaxIssuers {
		return s
	}
	return s | 1<<i
}

// Program is what a set of policies means. It is immutable and safe for concurrent use. The nil and the zero Program
// have no policies and deny everything.
type Program struct {
	groups  []group  // all Enforce policies are one group and come first; each Audit policy is a group of its own
	rules   []*rule  // by number; the rules of a group start at a multiple of 64
	owners  []int    // word of a mask -> group
	deny    []uint64 // rules that deny
	issuers []Issuer
	routes  *node
	nobody  *Subject // the verdicts for a request without a token
	reads   reads    // claims that conditions on requests look at
	paths   PathOptions
	enforce bool
	closes  bool        // streams end with their token
	logins  bool        // a rule asks how the user logged in
	limits  *limits     // nil: no rule has maxBody
	cors    []*cors     // of Enforce policies
	serves  []*Resource // of Enforce policies, by policy
	ignored *ignored    // nil: no rule has ignoreToken
	calls   *node       // routes of entries with mcp; nil: there are none
	audit   verdicts
	binding binding
}

// limits are the largest bodies that Enforce rules allow.
type limits struct {
	limited []uint64 // rules with maxBody
	bytes   []int64  // by number
}

// group is a set of rules that are decided together.
type group struct {
	policy  string // ID; "" for the group of all Enforce policies
	issuers IssuerSet
}

// Compile turns policies into a Program. The order of policies does not matter. The error joins one *FieldError for
// each problem found; then the Program is nil.
func Compile(policies []Policy) (*Program, error) {
	c := compiler{program: &Program{routes: &node{}}}
	if err := c.read(policies); err != nil {
		return nil, err
	}
	c.link()
	return c.program, nil
}

// read takes in all policies. The error joins what is wrong with them.
func (c *compiler) read(policies []Policy) error {
	sorted := slices.Clone(policies)
	slices.SortStableFunc(sorted, func(a, b Policy) int { return strings.Compare(a.ID(), b.ID()) })
	for i, p := range sorted {
		c.policy = p.ID()
		if i > 0 && sorted[i-1].ID() == p.ID() {
			c.fail("metadata.name", "two policies have this name", "one policy a name")
		}
		c.addPolicy(p)
	}
	if n := len(c.program.issuers); n > MaxIssuers {
		c.policy = ""
		c.fail("spec.issuers", fmt.Sprintf("the policies of this workload have %d issuers together", n),
			fmt.Sprintf("at most %d", MaxIssuers))
	}
	return errors.Join(c.problems...)
}

// Issuers returns the issuers of all policies, Enforce and Audit, in a fixed order; the position is the bit in an
// IssuerSet. The caller must not change the slice.
func (p *Program) Issuers() []Issuer {
	if p == nil {
		return nil
	}
	return p.issuers
}

// Enforcing reports whether at least one policy is in Enforce mode.
func (p *Program) Enforcing() bool { return p != nil && p.enforce }

// CloseOnExpiry reports whether streams are to be closed when their token expires: if any Enforce policy asks for it.
func (p *Program) CloseOnExpiry() bool { return p != nil && p.closes }

// PathOptions say how ReadPath must read the paths of requests: encoded slashes are kept if any Enforce policy asks for it,
// and paths are forwarded as they were sent if all Enforce policies do.
func (p *Program) PathOptions() PathOptions {
	if p == nil {
		return PathOptions{}
	}
	return p.paths
}

// FieldError is one problem in one field of one policy.
type FieldError struct {
	Policy  string // ID
	Path    string // such as "spec.rules[2].match[0].paths[1]"
	Problem string // what is wrong
	Want    string // what is expected; may be empty
}

// Error returns "policy: path: problem; want ...".
func (e *FieldError) Error() string {
	s := e.Path + ": " + e.Problem
	if e.Policy != "" {
		s = e.Policy + ": " + s
	}
	if e.Want != "" {
		s += "; want " + e.Want
	}
	return s
}
