// Package revocations works out what of TokenRevocations is to be written so that tokens are taken back, or given back. It is pure.
package revocations

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// Label is on the objects that are written here, and no others are changed; its value is Manager.
const (
	Label   = "app.kubernetes.io/managed-by"
	Manager = "bearerguard-cli"
)

// What one object has at most: the schema's number of entries, and so many bytes of JSON, which etcd takes well.
const (
	mostEntries = 10000
	mostBytes   = 512 << 10
)

// Plan is what is to be written.
type Plan struct {
	Create, Update, Delete []v1alpha1.TokenRevocation
	// Changed is how many entries are new, wider than before, or taken away. Pruned is how many were over.
	Changed, Pruned int
	// Elsewhere names objects that somebody else wrote and that have the entries, too.
	Elsewhere []string
}

// Empty reports whether nothing is to be written.
func (p *Plan) Empty() bool { return len(p.Create)+len(p.Update)+len(p.Delete) == 0 }

// key tells entries apart.
type key struct{ kind, value string }

func keyOf(e *policy.RevocationEntry) key {
	switch {
	case e.JTI != "":
		return key{"jti", e.JTI}
	case e.Subject != "":
		return key{"subject", e.Subject}
	}
	return key{"session", e.Session}
}

// Kind and Value tell what an entry takes back.
func Kind(e *policy.RevocationEntry) (kind, value string) {
	k := keyOf(e)
	return k.kind, k.value
}

// Entry makes an entry; the kind is jti, subject or session.
func Entry(kind, value string) (policy.RevocationEntry, error) {
	switch kind {
	case "jti":
		return policy.RevocationEntry{JTI: value}, nil
	case "subject", "sub":
		return policy.RevocationEntry{Subject: value}, nil
	case "session", "sid":
		return policy.RevocationEntry{Session: value}, nil
	}
	return policy.RevocationEntry{}, fmt.Errorf("%q is nothing to take tokens back by; want jti, subject or session", kind)
}

// Add takes tokens of an issuer back. An entry that is there already becomes as wide as both: what was taken back stays so. Entries that
// are over make room.
func Add(namespace string, objects []v1alpha1.TokenRevocation, issuer string, entries []policy.RevocationEntry, now time.Time) Plan {
	var p Plan
	wanted := map[key]policy.RevocationEntry{}
	var order []key
	for _, e := range entries {
		k := keyOf(&e)
		if old, ok := wanted[k]; ok {
			e = wider(old, e)
		} else {
			order = append(order, k)
		}
		wanted[k] = e
	}
	own := p.own(objects, issuer, now)
	for _, o := range own {
		for i := range o.entries {
			k := keyOf(&o.entries[i])
			e, ok := wanted[k]
			if !ok {
				continue
			}
			delete(wanted, k)
			if both := wider(o.entries[i], e); !same(both, o.entries[i]) {
				o.entries[i], o.changed = both, true
				p.Changed++
			}
		}
	}
	for _, k := range order {
		e, ok := wanted[k]
		if !ok {
			continue
		}
		own = place(own, e)
		p.Changed++
	}
	p.write(namespace, issuer, own)
	return p
}

// Remove gives tokens of an issuer back, as far as they were taken back here.
func Remove(namespace string, objects []v1alpha1.TokenRevocation, issuer string, entries []policy.RevocationEntry, now time.Time) Plan {
	var p Plan
	gone := map[key]bool{}
	for i := range entries {
		gone[keyOf(&entries[i])] = true
	}
	own := p.own(objects, issuer, now)
	for _, o := range own {
		before := len(o.entries)
		o.entries = slices.DeleteFunc(o.entries, func(e policy.RevocationEntry) bool { return gone[keyOf(&e)] })
		if n := before - len(o.entries); n > 0 {
			o.changed = true
			p.Changed += n
		}
	}
	for i := range objects {
		if objects[i].Labels[Label] == Manager || objects[i].Spec.Issuer != issuer {
			continue
		}
		if slices.ContainsFunc(objects[i].Spec.Entries, func(e policy.RevocationEntry) bool { return gone[keyOf(&e)] }) {
			p.Elsewhere = append(p.Elsewhere, objects[i].Name)
		}
	}
	p.write(namespace, issuer, own)
	return p
}

// Prune leaves out entries that are over, of all issuers.
func Prune(objects []v1alpha1.TokenRevocation, now time.Time) Plan {
	var p Plan
	issuers := map[string]bool{}
	for i := range objects {
		if issuer := objects[i].Spec.Issuer; !issuers[issuer] {
			issuers[issuer] = true
			p.write(objects[i].Namespace, issuer, p.own(objects, issuer, now))
		}
	}
	return p
}

// object is one that is written here.
type object struct {
	old     *v1alpha1.TokenRevocation // nil: it is new
	entries []policy.RevocationEntry
	bytes   int
	changed bool
}

// own returns the objects that were written here for an issuer, without what is over, in the order of their names.
func (p *Plan) own(objects []v1alpha1.TokenRevocation, issuer string, now time.Time) []*object {
	var out []*object
	for i := range objects {
		o := &objects[i]
		if o.Labels[Label] != Manager || o.Spec.Issuer != issuer {
			continue
		}
		one := &object{old: o}
		for _, e := range o.Spec.Entries {
			if e.ExpiresAt != nil && !e.ExpiresAt.After(now) {
				p.Pruned++
				one.changed = true
				continue
			}
			one.entries, one.bytes = append(one.entries, e), one.bytes+size(&e)
		}
		out = append(out, one)
	}
	slices.SortFunc(out, func(a, b *object) int { return cmp.Compare(a.old.Name, b.old.Name) })
	return out
}

// place puts an entry where there is room.
func place(own []*object, e policy.RevocationEntry) []*object {
	n := size(&e)
	for _, o := range slices.Backward(own) {
		if len(o.entries) < mostEntries && o.bytes+n <= mostBytes {
			o.entries, o.bytes, o.changed = append(o.entries, e), o.bytes+n, true
			return own
		}
	}
	return append(own, &object{entries: []policy.RevocationEntry{e}, bytes: n, changed: true})
}

// write adds to the plan what has changed.
func (p *Plan) write(namespace, issuer string, own []*object) {
	for _, o := range own {
		switch {
		case !o.changed:
		case o.old == nil:
			p.Create = append(p.Create, v1alpha1.TokenRevocation{
				ObjectMeta: metav1.ObjectMeta{
					Namespace: namespace, GenerateName: fmt.Sprintf("revoked-%x-", sha256.Sum256([]byte(issuer)))[:len("revoked-")+8] + "-",
					Labels: map[string]string{Label: Manager},
				},
				Spec: policy.Revocation{Issuer: issuer, Entries: o.entries},
			})
		case len(o.entries) == 0:
			p.Delete = append(p.Delete, *o.old)
		default:
			changed := *o.old.DeepCopy()
			changed.Spec.Entries = o.entries
			p.Update = append(p.Update, changed)
		}
	}
}

// wider returns an entry that takes back what either does, for as long as either does.
func wider(a, b policy.RevocationEntry) policy.RevocationEntry {
	out := b
	out.IssuedBefore, out.ExpiresAt = later(a.IssuedBefore, b.IssuedBefore), later(a.ExpiresAt, b.ExpiresAt)
	if out.Reason == "" {
		out.Reason = a.Reason
	}
	return out
}

// later returns the later of two times; nil is never, and later than any.
func later(a, b *policy.Time) *policy.Time {
	switch {
	case a == nil || b == nil:
		return nil
	case a.After(b.Time):
		return a
	}
	return b
}

func same(a, b policy.RevocationEntry) bool {
	return size(&a) == size(&b) && text(&a) == text(&b)
}

func text(e *policy.RevocationEntry) string {
	out, err := json.Marshal(e)
	if err != nil {
		return err.Error() // texts and times always marshal
	}
	return string(out)
}

// size is how many bytes an entry has in an object.
func size(e *policy.RevocationEntry) int { return len(text(e)) + 1 }
