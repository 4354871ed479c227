package gate

import (
	"net/textproto"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/fold"
)

// names are the header names that clients may not send.
type names struct {
	identity []string // removed in every spelling
	token    []string // removed in every spelling but their own, in which the token was looked for
}

// newNames collects the names from the Enforce policies.
func newNames(specs []policy.Spec) *names {
	n := &names{}
	for _, s := range specs {
		if f := s.Forward; f != nil {
			for _, h := range f.Headers {
				n.identity = add(n.identity, h.Name)
			}
			if f.PayloadHeader != "" {
				n.identity = add(n.identity, f.PayloadHeader)
			}
		}
		for _, i := range s.Issuers {
			if i.TakesDPoP() {
				n.token = add(n.token, "Dpop")
			}
			for _, l := range i.Locations() {
				if l.Header != "" {
					n.token = add(n.token, textproto.CanonicalMIMEHeaderKey(l.Header))
				}
			}
		}
	}
	return n
}

// add appends the name unless an equal one is there; the lists are short.
func add(list []string, name string) []string {
	for _, have := range list {
		if fold.Same(have, name) {
			return list
		}
	}
	return append(list, name)
}

// overrides are headers by which a client may ask an app's framework to take the request for another one, with another
// path or method than those that were matched.
var overrides = [...]string{"X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"}

func (n *names) removes(name string) bool {
	for _, o := range overrides {
		if fold.Same(name, o) {
			return true
		}
	}
	for _, id := range n.identity {
		if fold.Same(name, id) {
			return true
		}
	}
	for _, t := range n.token {
		// "X_Token" beside "X-Token": only the latter was looked at, but an app may read the former.
		if fold.Same(name, t) && !sameCase(name, t) {
			return true
		}
	}
	return false
}

// carries reports whether an app may take the name for one of a header that carries tokens.
func (n *names) carries(name string) bool {
	for _, t := range n.token {
		if fold.Same(name, t) {
			return true
		}
	}
	return false
}

func sameCase(a, b string) bool {
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
