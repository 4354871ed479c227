package convert_test

import (
	"encoding/json"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// This file says what Istio's objects mean, as its documentation and its generator of Envoy's configuration have it, in the plainest way.
// It shares nothing with the converter.

type meta struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"`
}

type selector struct {
	MatchLabels map[string]string `json:"matchLabels,omitempty"`
}

type trustObject struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   meta   `json:"metadata"`
	Spec       struct {
		Selector *selector `json:"selector,omitempty"`
		JWTRules []jwtRule `json:"jwtRules,omitempty"`
	} `json:"spec"`
}

type jwtRule struct {
	Issuer  string `json:"issuer"`
	JWKSURI string `json:"jwksUri"`
}

type accessObject struct {
	APIVersion string     `json:"apiVersion"`
	Kind       string     `json:"kind"`
	Metadata   meta       `json:"metadata"`
	Spec       accessSpec `json:"spec"`
}

type accessSpec struct {
	Selector *selector    `json:"selector,omitempty"`
	Action   string       `json:"action,omitempty"`
	Rules    []accessRule `json:"rules,omitempty"`
}

type accessRule struct {
	From []struct {
		Source source `json:"source"`
	} `json:"from,omitempty"`
	To []struct {
		Operation operation `json:"operation"`
	} `json:"to,omitempty"`
	When []condition `json:"when,omitempty"`
}

type source struct {
	Principals           []string `json:"principals,omitempty"`
	NotPrincipals        []string `json:"notPrincipals,omitempty"`
	RequestPrincipals    []string `json:"requestPrincipals,omitempty"`
	NotRequestPrincipals []string `json:"notRequestPrincipals,omitempty"`
	IPBlocks             []string `json:"ipBlocks,omitempty"`
	NotIPBlocks          []string `json:"notIpBlocks,omitempty"`
	RemoteIPBlocks       []string `json:"remoteIpBlocks,omitempty"`
}

type operation struct {
	Hosts      []string `json:"hosts,omitempty"`
	NotHosts   []string `json:"notHosts,omitempty"`
	Methods    []string `json:"methods,omitempty"`
	NotMethods []string `json:"notMethods,omitempty"`
	Paths      []string `json:"paths,omitempty"`
	NotPaths   []string `json:"notPaths,omitempty"`
	Ports      []string `json:"ports,omitempty"`
	NotPorts   []string `json:"notPorts,omitempty"`
}

type condition struct {
	Key       string   `json:"key"`
	Values    []string `json:"values,omitempty"`
	NotValues []string `json:"notValues,omitempty"`
}

// asked is a request to a pod.
type asked struct {
	labels                   map[string]string
	host, method, path, peer string
	port                     string
	ip                       netip.Addr
	header                   map[string]string
	claims                   map[string]any // nil: no token
}

// istioAllows is Istio's verdict. What an external authorizer is asked about is refused.
func istioAllows(trust []trustObject, access []accessObject, a asked) bool {
	if a.claims != nil {
		known := false
		for _, t := range trust {
			for _, r := range t.Spec.JWTRules {
				known = known || t.Spec.Selector.fits(a.labels) && r.Issuer == a.claims["iss"]
			}
		}
		if !known {
			return false
		}
	}
	allows, allowed := false, false
	for _, p := range access {
		if !p.Spec.Selector.fits(a.labels) {
			continue
		}
		fits := slices.ContainsFunc(p.Spec.Rules, func(r accessRule) bool { return r.fits(a) })
		switch p.Spec.Action {
		case "DENY", "CUSTOM":
			if fits {
				return false
			}
		case "", "ALLOW":
			allows, allowed = true, allowed || fits
		}
	}
	return allowed || !allows
}

func (s *selector) fits(labels map[string]string) bool {
	if s == nil {
		return true
	}
	for k, v := range s.MatchLabels {
		if labels[k] != v {
			return false
		}
	}
	return true
}

func (r accessRule) fits(a asked) bool {
	from := len(r.From) == 0
	for _, f := range r.From {
		s := f.Source
		from = from || list(s.Principals, s.NotPrincipals, a.principal) && list(s.RequestPrincipals, s.NotRequestPrincipals, a.tokenOf) &&
			list(s.IPBlocks, s.NotIPBlocks, a.inBlock) && len(s.RemoteIPBlocks) == 0
	}
	to := len(r.To) == 0
	for _, t := range r.To {
		o := t.Operation
		to = to || list(o.Hosts, o.NotHosts, func(v string) bool { return text(strings.ToLower(v), a.host) }) &&
			list(o.Methods, o.NotMethods, func(v string) bool { return text(v, a.method) }) &&
			list(o.Ports, o.NotPorts, func(v string) bool { return v == a.port }) && list(o.Paths, o.NotPaths, a.onPath)
	}
	when := true
	for _, c := range r.When {
		when = when && list(c.Values, c.NotValues, func(v string) bool { return a.holds(c.Key, v) })
	}
	return from && to && when
}

// list: any of the values, if there are some, and none of the others.
func list(values, not []string, fits func(string) bool) bool {
	return (len(values) == 0 || slices.ContainsFunc(values, fits)) && !slices.ContainsFunc(not, fits)
}

func text(pattern, s string) bool {
	switch {
	case pattern == "*":
		return s != ""
	case strings.HasPrefix(pattern, "*"):
		return strings.HasSuffix(s, pattern[1:])
	case strings.HasSuffix(pattern, "*"):
		return strings.HasPrefix(s, pattern[:len(pattern)-1])
	}
	return s == pattern
}

func (a asked) principal(v string) bool { return text(v, a.peer) }

func (a asked) inBlock(v string) bool {
	if !strings.Contains(v, "/") {
		return v == a.ip.String()
	}
	return netip.MustParsePrefix(v).Contains(a.ip)
}

// tokenOf compares issuer and subject, which have to be there both.
func (a asked) tokenOf(v string) bool {
	iss, hasIss := a.claims["iss"].(string)
	sub, hasSub := a.claims["sub"].(string)
	if !hasIss || !hasSub {
		return false
	}
	if v == "*" {
		return iss != "" && sub != ""
	}
	i := strings.LastIndex(v, "/")
	if i < 0 {
		if strings.HasPrefix(v, "*") {
			return iss != "" && text(v, sub)
		}
		return strings.HasSuffix(v, "*") && text(v, iss) && sub != ""
	}
	return text(v[:i], iss) && text(v[i+1:], sub)
}

func (a asked) onPath(v string) bool {
	if !strings.Contains(v, "{") {
		return text(v, a.path)
	}
	var b strings.Builder
	segments := strings.Split(v[1:], "/")
	for i, s := range segments {
		switch {
		case s == "{*}":
			b.WriteString("/[^/]+")
		case s == "{**}" && i == len(segments)-1:
			b.WriteString("/.*")
		case s == "{**}":
			b.WriteString("/.+")
		default:
			b.WriteString("/" + regexp.QuoteMeta(s))
		}
	}
	return regexp.MustCompile("^" + b.String() + "$").MatchString(a.path)
}

func (a asked) holds(key, v string) bool {
	inner := func(s string) string { return strings.TrimSuffix(s[strings.Index(s, "[")+1:], "]") }
	switch {
	case strings.HasPrefix(key, "request.headers["):
		value, there := a.header[inner(key)]
		return there && (v == "*" || text(v, value))
	case strings.HasPrefix(key, "request.auth.claims["):
		var at any = a.claims
		names := strings.Split(inner(key), "][")
		for _, name := range names {
			m, _ := at.(map[string]any)
			at = m[name]
		}
		return claimFits(names[len(names)-1], at, v)
	}
	switch key {
	case "request.auth.principal":
		return a.tokenOf(v)
	case "request.auth.audiences":
		return claimFits("aud", a.claims["aud"], v)
	case "source.ip":
		return a.inBlock(v)
	case "destination.port":
		return v == a.port
	}
	return false
}

// claimFits compares texts alone, and splits scope at spaces.
func claimFits(name string, claim any, v string) bool {
	switch claim := claim.(type) {
	case string:
		if name == "scope" || name == "permission" {
			return slices.ContainsFunc(strings.Split(claim, " "), func(s string) bool { return text(v, s) })
		}
		return text(v, claim)
	case []any:
		return slices.ContainsFunc(claim, func(x any) bool { s, ok := x.(string); return ok && text(v, s) })
	}
	return false
}

// manifests writes objects as a file.
func manifests(trust []trustObject, access []accessObject) []byte {
	var out []byte
	add := func(o any) {
		text, err := json.Marshal(o)
		if err != nil {
			panic(err)
		}
		out = append(append(out, text...), "\n---\n"...)
	}
	for _, t := range trust {
		add(t)
	}
	for _, a := range access {
		add(a)
	}
	return out
}
