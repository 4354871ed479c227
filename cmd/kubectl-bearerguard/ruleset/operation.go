package ruleset

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

// Operation is a method at a path.
type Operation struct {
	Method string
	Path   Path
	// Port that the client dials; 0: any.
	Port int32
	// Who may call it: alternatives. None: nobody.
	Who []Who
	// ID and Tags are what rules are named after.
	ID   string
	Tags []string
}

// Who is what a caller needs. The zero Who is any valid token.
type Who struct {
	// Anonymous: a token is optional.
	Anonymous bool
	// Issuers are names of issuers; none: any.
	Issuers []string
	// Scopes must all be granted, and RolesClaim be a list with all Roles.
	Scopes     []string
	RolesClaim string
	Roles      []string
}

// key tells whom two Who let in.
func (w Who) key() string {
	return fmt.Sprintf("%t %q %q %q %q", w.Anonymous, slices.Sorted(slices.Values(w.Issuers)), slices.Sorted(slices.Values(w.Scopes)), w.RolesClaim,
		slices.Sorted(slices.Values(w.Roles)))
}

// Same reports whether two operations let in the same callers.
func (o *Operation) Same(p *Operation) bool {
	keys := func(all []Who) (out []string) {
		for _, w := range all {
			out = append(out, w.key())
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	return slices.Equal(keys(o.Who), keys(p.Who))
}

func (w Who) allow() *policy.Allow {
	a := &policy.Allow{Anonymous: w.Anonymous, Conditions: policy.Conditions{Issuers: w.Issuers, Scopes: w.Scopes}}
	if len(w.Roles) > 0 {
		a.Claims = []policy.ClaimCondition{{Claim: w.RolesClaim, AllOf: w.Roles}}
	}
	a.Authenticated = !a.Anonymous && !a.AsksToken()
	return a
}

// rivals returns what has to be cut out of an operation, as templates: paths that count in its place, or for which that is in doubt, unless
// they let in the same. doubts are those of the latter.
func rivals(o *Operation, paths []*place) (out, doubts []string) {
	template := o.Path.Template(false)
	for _, other := range paths {
		own := other.template == template && !other.path.wider
		if own || !o.Path.overlaps(other.path) || o.Path.before(other.path) {
			continue
		}
		if twin := other.at(o.Method, o.Port); twin == nil || !o.Same(twin) {
			out = append(out, other.template)
			if !other.path.before(o.Path) {
				doubts = append(doubts, other.template)
			}
		}
	}
	out = append(out, o.Path.blanks()...)
	slices.Sort(out)
	return slices.Compact(out), doubts
}

// place is a path with its operations. Paths that differ in the names of variables alone are one.
type place struct {
	path       Path
	template   string
	operations []*Operation
}

func (p *place) at(method string, port int32) *Operation {
	for _, o := range p.operations {
		if o.Method == method && (o.Port == port || o.Port == 0) {
			return o
		}
	}
	return nil
}

// places groups operations by their paths, in order.
func places(all []Operation) (out []*place) {
	type key struct {
		template string
		wider    bool
	}
	known := map[key]*place{}
	for i := range all {
		o := &all[i]
		k := key{o.Path.Template(false), o.Path.wider}
		p := known[k]
		if p == nil {
			p = &place{path: o.Path, template: k.template}
			known[k] = p
			out = append(out, p)
		}
		p.operations = append(p.operations, o)
	}
	return out
}

// sized groups places by their numbers of segments: no others overlap.
func sized(all []*place) map[int][]*place {
	out := map[int][]*place{}
	for _, p := range all {
		out[len(p.path.segments)] = append(out[len(p.path.segments)], p)
	}
	return out
}

// slug makes a name of a text: lower case, digits and "-", at most 50 bytes. A capital after a small letter begins a word.
func slug(text string) string {
	var b strings.Builder
	small := false
	for _, c := range []byte(text) {
		capital := c >= 'A' && c <= 'Z'
		if capital {
			c += 'a' - 'A'
		}
		switch {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			if capital && small {
				b.WriteByte('-')
			}
			b.WriteByte(c)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		small = !capital && c >= 'a' && c <= 'z'
	}
	return strings.Trim(b.String()[:min(b.Len(), 50)], "-")
}

// Names gives names that are unique.
type Names map[string]bool

// Unique makes a name of the first of the texts that has letters or digits.
func (n Names) Unique(texts ...string) string {
	base := "rule"
	for _, t := range texts {
		if s := slug(t); s != "" {
			base = s
			break
		}
	}
	name := base
	for i := 2; n[name]; i++ {
		name = fmt.Sprintf("%s-%d", base, i)
	}
	n[name] = true
	return name
}
