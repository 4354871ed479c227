package convert

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// mesh is the policies of an Istio mesh.
type mesh struct {
	options Options
	trust   []*trust
	access  []*access
}

// place is the pods that an object is about.
type place struct {
	name, namespace string
	labels          map[string]string
	gateway         bool // targetRefs: not pods by their labels
	odd             bool // the selector says more than matchLabels
}

// covers reports whether every pod of q, in its namespace, is one of p.
func (p place) covers(q place) bool {
	for k, v := range p.labels {
		if q.labels[k] != v {
			return false
		}
	}
	return p.namespace == q.namespace && !p.gateway
}

// meets reports whether a pod can be one of both.
func (p place) meets(q place) bool {
	for k, v := range p.labels {
		if w, both := q.labels[k]; both && v != w {
			return false
		}
	}
	return p.namespace == q.namespace
}

// key tells places apart.
func (p place) key() string {
	var b strings.Builder
	b.WriteString(p.namespace)
	for _, k := range slices.Sorted(maps.Keys(p.labels)) {
		b.WriteString("\n" + k + "=" + p.labels[k])
	}
	return b.String()
}

// action is what an AuthorizationPolicy does.
type action string

const (
	actionAllow  action = "ALLOW"
	actionDeny   action = "DENY"
	actionAudit  action = "AUDIT"
	actionCustom action = "CUSTOM"
)

// trust is a RequestAuthentication, access an AuthorizationPolicy.
type trust struct {
	place
	node  *node
	rules []*node // jwtRules
}

type access struct {
	place
	node   *node
	action action
	dryRun bool
	rules  []*node
}

// takes takes in an object of Istio.
func (m *mesh) takes(x *object) (bool, error) {
	n, meta := x.node, x.node.field("metadata")
	if !strings.HasPrefix(x.version, "security.istio.io/") {
		return false, nil
	}
	switch x.kind {
	case "RequestAuthentication":
		return true, m.readTrust(n, meta)
	case "AuthorizationPolicy":
		return true, m.readAccess(n, meta)
	}
	return false, nil
}

// readPlace reads whom an object is about.
func (m *mesh) readPlace(n, meta, spec *node) place {
	p := place{name: cmp.Or(meta.field("name").text(), "converted"), namespace: cmp.Or(meta.field("namespace").text(), m.options.Namespace)}
	n.object = n.field("kind").text() + " " + p.namespace + "/" + p.name
	for _, child := range []*node{meta, spec} {
		if child != nil {
			child.object = n.object
		}
	}
	selector := spec.field("selector")
	p.labels = selector.field("matchLabels").pairs()
	p.odd = selector.unknown()
	for _, name := range []string{"targetRefs", "targetRef"} {
		if refs := spec.field(name); refs != nil {
			p.gateway = true
			refs.note(LeftOut, "names a gateway or a service; a sidecar guards pods by their labels")
		}
	}
	return p
}

func (m *mesh) readTrust(n, meta *node) error {
	spec := n.field("spec")
	t := &trust{node: n, place: m.readPlace(n, meta, spec)}
	t.rules = spec.field("jwtRules").items()
	if t.odd || spec.unknown() {
		return spec.refuse(whyOdd)
	}
	if t.gateway {
		n.note(LeftOut, "its tokens are not trusted by any policy here")
		return nil
	}
	m.trust = append(m.trust, t)
	return nil
}

const whyOdd = "has fields that are not known, or a selector of another form than matchLabels: what they would limit is not known either"

func (m *mesh) readAccess(n, meta *node) error {
	spec := n.field("spec")
	a := &access{node: n, place: m.readPlace(n, meta, spec), action: actionAllow}
	given := spec.field("action")
	if given != nil {
		a.action = action(given.text())
	}
	a.rules = spec.field("rules").items()
	a.dryRun = meta.field("annotations").field("istio.io/dry-run").text() == "true"
	switch a.action {
	case actionAllow, actionDeny, actionAudit:
	case actionCustom:
		spec.field("provider").note(LeftOut, "there is no external authorizer")
	default:
		return given.refuse("is no action; want ALLOW, DENY, AUDIT or CUSTOM")
	}
	if rules := spec.field("rules"); rules != nil && !rules.is(yaml.SequenceNode) {
		return rules.refuse("is no list")
	}
	if a.odd || spec.unknown() {
		return spec.refuse(whyOdd)
	}
	if a.gateway && a.action != actionAudit {
		if a.action == actionAllow {
			n.note(LeftOut, "what it allows is not allowed here")
			a.rules = nil
		} else {
			n.note(Stricter, "it holds for every pod of the namespace")
			a.labels = nil
		}
	}
	m.access = append(m.access, a)
	return nil
}

// spread copies what the root namespace says into every other.
func (m *mesh) spread() {
	root := m.options.RootNamespace
	others := map[string]bool{}
	see := func(p place) {
		if p.namespace != root {
			others[p.namespace] = true
		}
	}
	for _, t := range m.trust {
		see(t.place)
	}
	for _, a := range m.access {
		see(a.place)
	}
	if len(others) == 0 {
		others[m.options.Namespace] = true
	}
	delete(others, root)
	spaces := slices.Sorted(maps.Keys(others))
	const why = "holds in every namespace there; here it is written for those that the files name: %s. Convert with --namespace for others"
	for _, t := range slices.Clone(m.trust) {
		if t.namespace != root {
			continue
		}
		t.node.note(Differs, why, strings.Join(spaces, ", "))
		for _, space := range spaces {
			c := *t
			c.namespace = space
			m.trust = append(m.trust, &c)
		}
	}
	for _, a := range slices.Clone(m.access) {
		if a.namespace != root {
			continue
		}
		a.node.note(Differs, why, strings.Join(spaces, ", "))
		for _, space := range spaces {
			c := *a
			c.namespace = space
			m.access = append(m.access, &c)
		}
	}
}
