package convert

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

// gateway is the SecurityPolicies of Envoy Gateway (gateway.envoyproxy.io/v1alpha1), and what they refer to.
type gateway struct {
	objects *objects
	secured []*object
}

func (g *gateway) takes(x *object) (bool, error) {
	if x.kind != "SecurityPolicy" || !strings.HasPrefix(x.version, "gateway.envoyproxy.io/") {
		return false, nil
	}
	x.node.object = fmt.Sprintf("%s %s/%s", x.kind, x.namespace, x.name)
	g.secured = append(g.secured, x)
	return true, nil
}

func (g *gateway) policies() (out []Policy, err error) {
	taken := map[string]names{}
	var placed []place
	for _, x := range g.secured {
		places, err := g.places(x)
		if err != nil {
			return nil, err
		}
		for _, p := range places {
			for _, q := range placed {
				if p.meets(q) {
					return nil, x.node.refuse("selects pods that SecurityPolicy %s selects too, each for routes of its own; two AuthPolicies would let in at every path what either lets "+
						"in at its own: convert them apart, and put the routes' paths into match", q.name)
				}
			}
			placed = append(placed, p)
		}
		for _, p := range places {
			spec, ok, err := g.convert(x, p)
			if err != nil {
				return nil, err
			}
			if !ok {
				continue
			}
			if taken[p.namespace] == nil {
				taken[p.namespace] = names{}
			}
			made := Policy{Metadata: Metadata{taken[p.namespace].unique(cmp.Or(x.name, "converted")), p.namespace}, Spec: Spec{Spec: spec}}
			made.Spec.Selector.MatchLabels = p.labels
			out = append(out, made)
		}
	}
	return out, nil
}

// security is a SecurityPolicy while it is converted.
type security struct {
	group
	spec      *node
	providers map[string]string // the names of issuers; "" for those that are not trusted
	token     tokenNeed
	blocked   bool // something else had to let requests in too
}

// tokenNeed says whether requests need a token.
type tokenNeed int

const (
	tokenUnread tokenNeed = iota // nobody looks at one
	tokenOptional
	tokenNeeded
)

// convert converts one SecurityPolicy for the pods of a place. It reports false if it says nothing of who is let in.
func (g *gateway) convert(x *object, p place) (spec policy.Spec, ok bool, err error) {
	s := &security{spec: x.node.field("spec"), providers: map[string]string{}}
	s.group = group{place: p, node: x.node, names: names{}}
	if s.spec == nil {
		return spec, false, x.node.refuse("has no spec")
	}
	if err := s.others(); err != nil {
		return spec, false, err
	}
	if err := s.jwt(); err != nil {
		return spec, false, err
	}
	auth := s.spec.field("authorization")
	for _, name := range targets {
		s.spec.field(name) // read by places
	}
	if s.spec.unknown() {
		s.spec.rest()
		return spec, false, s.spec.refuse("has fields that are not known: what they would limit is not known either")
	}
	if auth == nil && s.token == tokenUnread && !s.blocked {
		x.node.note(LeftOut, "says nothing of who is let in, so no AuthPolicy is made of it")
		return spec, false, nil
	}
	if err := s.forwards(); err != nil {
		return spec, false, err
	}
	spec = s.group.spec()
	spec.Forward = s.forward
	if spec.Rules, err = s.access(auth); err != nil {
		return spec, false, err
	}
	if len(spec.Rules) > decision.MaxRules {
		return spec, false, x.node.refuse("makes a policy of %d rules; want at most %d", len(spec.Rules), decision.MaxRules)
	}
	return spec, true, nil
}

// others reads the members that are about something else than tokens.
func (s *security) others() error {
	if merge := s.spec.field("mergeType"); merge != nil {
		return merge.refuse("has it merged with a SecurityPolicy of the Gateway; write the merged policy out, and convert that")
	}
	s.spec.field("cors").note(LeftOut, "is left to the app; say it in the policy's cors, and browsers of other origins may call again")
	for name, instead := range map[string]string{
		"apiKeyAuth": "keys are no tokens: issue tokens instead",
		"basicAuth":  "passwords are no tokens: issue tokens instead",
		"oidc":       "a login by the browser stays at the gateway; convert what is in jwt apart",
		"extAuth":    "there is no external authorizer: put its conditions into rules",
		"csrf":       "the Origin of a request is not compared: put headers of match into the rules for methods that write",
	} {
		if f := s.spec.field(name); f != nil {
			f.note(LeftOut, "requests had to pass it too, and %s; so no rule that lets in comes over", instead)
			s.blocked = true
		}
	}
	return nil
}

// targets are the members that say what a SecurityPolicy is attached to.
var targets = []string{"targetRef", "targetRefs", "targetSelectors"}

// places finds the pods that a SecurityPolicy is about: those of --selector, or of the Services behind its routes.
func (g *gateway) places(x *object) ([]place, error) {
	spec := x.node.field("spec")
	var refs []*node
	for _, name := range targets {
		switch f := spec.field(name); {
		case f == nil:
		case name == "targetRef":
			refs = append(refs, f)
		default:
			refs = append(refs, f.items()...)
		}
	}
	id := x.namespace + "/" + x.name
	if labels := g.objects.options.Selector; len(labels) > 0 {
		for _, ref := range refs {
			ref.note(Differs, "its pods are those of --selector. A sidecar guards them from callers inside the cluster too, and sees paths and headers as the gateway has "+
				"rewritten them: hold the rules to the filters of its routes")
		}
		return []place{{name: id, namespace: x.namespace, labels: labels}}, nil
	}
	var out []place
	seen := map[string]bool{}
	for _, ref := range refs {
		pods, err := g.behind(x, ref)
		if err != nil {
			return nil, err
		}
		for _, p := range pods {
			if p.name = id; !seen[p.key()] {
				seen[p.key()] = true
				out = append(out, p)
			}
		}
	}
	if len(out) == 0 {
		return nil, x.node.refuse("names no target that leads to pods; give --selector with the labels of the app's pods")
	}
	return out, nil
}

// harmless are filters of routes that leave a request as it is on its way to the app.
var harmless = []string{"RequestMirror", "ResponseHeaderModifier", "CORS"}

// filtersOf are the filters of a rule's backends.
func filtersOf(rule *node) (out []*node) {
	for _, backend := range rule.field("backendRefs").items() {
		out = append(out, backend.field("filters").items()...)
	}
	return out
}

// behind finds the pods behind a route.
func (g *gateway) behind(x *object, ref *node) (out []place, err error) {
	kind, name := ref.field("kind").text(), ref.field("name").text()
	const want = "give the route and its Services with -f too, or --selector with the labels of the app's pods"
	if kind != "HTTPRoute" && kind != "GRPCRoute" {
		return nil, ref.refuse("names %s %q, which is not one app's; give --selector with the labels of the pods that are to be guarded", cmp.Or(kind, "something by labels"), name)
	}
	route := g.objects.find(kind, x.namespace, name)
	if route == nil {
		return nil, ref.refuse("names %s %s/%s, which is not in the files; %s", kind, x.namespace, name, want)
	}
	for _, rule := range route.node.field("spec").field("rules").items() {
		for _, filter := range append(rule.field("filters").items(), filtersOf(rule)...) {
			if kind := filter.field("type").text(); !slices.Contains(harmless, kind) {
				return nil, filter.refuse("is a %s, which may change the path or a header before the sidecar sees them, and the rules are about what the client sent; "+
					"write them for what the app gets, and convert with --selector", cmp.Or(kind, "filter"))
			}
		}
		for _, backend := range rule.field("backendRefs").items() {
			namespace := cmp.Or(backend.field("namespace").text(), x.namespace)
			service := g.objects.find(cmp.Or(backend.field("kind").text(), "Service"), namespace, backend.field("name").text())
			if service == nil || service.kind != "Service" {
				return nil, backend.refuse("names a backend that is no Service of the files; %s", want)
			}
			labels := service.node.field("spec").field("selector").pairs()
			if len(labels) == 0 {
				return nil, service.node.refuse("selects no pods by labels; give --selector")
			}
			out = append(out, place{namespace: namespace, labels: labels})
		}
	}
	ref.note(Differs, "its pods are those of the Services behind the route; a sidecar guards them from callers inside the cluster too")
	return out, nil
}
