package keys

import (
	"fmt"
	"time"

	"github.com/bearerguard/bearerguard/api/credential"
	"github.com/bearerguard/bearerguard/api/fetch"
)

// parts are what a credential is made of, as far as they have been read.
type parts struct {
	entries map[string][]byte
	ca      []byte
	read    bool  // the Secret with the entries has been
	problem error // with one of the two Secrets; nil: none is known
}

// giveCredential takes over a Secret of a credential: that with its entries, that with the authority, or one that is both. What was
// good stays until all that is named is. It is called with mu held.
func (r *Resolver) giveCredential(e *entry, o object, data map[string][]byte, err error, now time.Time) {
	p := &e.credential
	holder, _, _ := e.source.holder()
	authority, key, trusts := e.source.authority()
	if holder != o && (!trusts || authority != o) {
		return
	}
	if holder == o {
		p.entries, p.read, p.problem = data, err == nil, err
	}
	if trusts && authority == o {
		ca, problem := pickCA(o, data, key, err)
		p.ca = ca
		if p.problem == nil || holder != o {
			p.problem = problem
		}
	}
	switch {
	case p.problem != nil:
		r.take(e, nil, time.Time{}, p.problem)
		return
	case !p.read, trusts && p.ca == nil: // the other one is being read
		return
	}
	c, err := credential.Read(p.entries, e.source.Introspection.Auth)
	if err != nil {
		r.take(e, nil, time.Time{}, fmt.Errorf("%s %s %w", holder.kind, holder.name, err))
		return
	}
	c.CA, c.AllowHTTP, c.AllowNets = string(p.ca), r.options.Fetch.AllowHTTP, r.options.Fetch.AllowNets
	r.take(e, c.Encode(), now, nil)
}

// pickCA returns the entry of an object that has certificates to trust. One that has none is found here: for a sidecar it would be too late.
func pickCA(o object, data map[string][]byte, key string, err error) ([]byte, error) {
	ca, err := pick(o, data, key, err)
	if err == nil {
		if err = fetch.CheckCA(ca); err == nil {
			return ca, nil
		}
		err = fmt.Errorf("%s %s: entry %q %w", o.kind, o.name, key, err)
	}
	return nil, fmt.Errorf("caSecretRef: %w", err)
}
