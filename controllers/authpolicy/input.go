package authpolicy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/credential"
	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/fetch"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/lint"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/controllers/compile"
	"github.com/bearerguard/bearerguard/controllers/keys"
	"github.com/bearerguard/bearerguard/controllers/push"
	"github.com/bearerguard/bearerguard/controllers/status"
)

// input brings together what is known of one policy. It is pure, but for what leaving says of pods.
func input(o compile.Outcome, states map[string]keys.State, sidecars map[string]push.Sidecar, leaving func(compile.Workload) bool) status.Input {
	in := status.Input{Generation: o.Policy.Generation, Problem: o.Problem, Note: noteOf(o.Policy)}
	for _, issuer := range o.Policy.Spec.Issuers {
		i := issuerOf(o.Policy.Namespace, issuer, states)
		i.Without = without(o, issuer, sidecars)
		in.Issuers = append(in.Issuers, i)
	}
	for w := range o.Pods() {
		c, heard := sidecars[w.UID]
		if connected := heard && c.Lost.IsZero(); !connected && leaving(w) {
			continue
		}
		in.Pods = append(in.Pods, podOf(w, c, o.Ref()))
	}
	slices.SortFunc(in.Pods, func(a, b status.Pod) int { return cmp.Compare(a.Name, b.Name) })
	return in
}

// podOf says what a pod's sidecar makes of a policy; the zero Sidecar is one that was never heard.
func podOf(w compile.Workload, c push.Sidecar, p compile.PolicyRef) status.Pod {
	heard := c.UID != ""
	out := status.Pod{
		Name: w.Name, Created: w.Created, Bare: !heard && !w.Injected,
		Open: c.Open, Foreign: c.Foreign, Unsaved: c.Unsaved,
		Heard: heard, Lost: c.Lost, Moved: c.Moved, Current: c.Acked.Has(p),
	}
	if c.Rejected.Has(p) {
		out.Rejected = c.Reason
	}
	return out
}

func issuerOf(namespace string, issuer policy.Issuer, states map[string]keys.State) status.Issuer {
	introspection := states[bundle.IntrospectionID(namespace, issuer)]
	out := status.Issuer{Name: issuer.Name, Keys: introspection.Keys, Fetched: introspection.Fetched}
	if issuer.Introspection == nil || issuer.Keys != (policy.KeySource{}) {
		out = verifying(issuer, states[bundle.SourceID(namespace, issuer)])
	}
	nonces := "proof.nonce"
	if issuer.Proof != nil && issuer.Proof.NonceSecretRef != nil {
		nonces = "proof.nonceSecretRef"
	}
	for _, other := range [...]struct{ field, id string }{
		{nonces, bundle.NonceID(namespace, issuer)},
		{"decryption", bundle.DecryptionID(namespace, issuer)},
	} {
		if f := failure(states[other.id]); f != "" && out.Failure == "" && other.id != "" {
			out.Failure = other.field + ": " + f
		}
	}
	unasked(&out, issuer, introspection)
	if notes := states[bundle.DecryptionID(namespace, issuer)].Notes; len(notes) > 0 {
		out.Note = strings.TrimPrefix(out.Note+"; decryption: "+strings.Join(notes, "; "), "; ")
	}
	return out
}

// verifying says how the keys stand that verify an issuer's signatures.
func verifying(issuer policy.Issuer, state keys.State) status.Issuer {
	out := status.Issuer{
		Name: issuer.Name, Keys: state.Keys, Fetched: state.Fetched, Failure: failure(state), Note: strings.Join(state.Notes, "; "),
	}
	if err := keyset.Serves(state.Algorithms, &issuer); out.Failure == "" && err != nil {
		out.Failure, out.Keys = "the source "+err.Error(), 0
	}
	if of := state.ClusterIssuer; out.Failure == "" && of != "" && issuer.Issuer != "" && issuer.Issuer != of {
		out.Failure = fmt.Sprintf("issuer is %q, but the keys are those of this cluster's issuer %q", issuer.Issuer, of)
	}
	return out
}

// unasked adds why sidecars cannot ask an issuer about tokens, if they should and no other failure is known. Issuers at several
// addresses may share a credential, which has the operator's rules for reaching them, so the addresses are looked at here.
func unasked(out *status.Issuer, issuer policy.Issuer, shown keys.State) {
	in := issuer.Introspection
	if in == nil || out.Failure != "" {
		return
	}
	if c, err := credential.Decode(shown.Set.JWKS); err == nil {
		rules := fetch.Options{AllowHTTP: c.AllowHTTP, AllowNets: c.AllowNets}
		if field, err := fetch.CheckIntrospection(in.URL, in.MetadataURL(), issuer.Issuer, rules); err != nil {
			out.Failure, out.Keys = field+": "+err.Error(), 0
			return
		}
	}
	if f := failure(shown); f != "" {
		out.Failure = "introspection.credentialsSecretRef: " + f
	}
}

// without names the selected pods whose connected sidecars have no keys of an issuer, to verify or to decrypt.
func without(o compile.Outcome, issuer policy.Issuer, sidecars map[string]push.Sidecar) []string {
	if len(o.Selected) == 0 {
		return nil
	}
	var out []string
	verification, decryption := bundle.SourceID(o.Policy.Namespace, issuer), bundle.DecryptionID(o.Policy.Namespace, issuer)
	introspection := bundle.IntrospectionID(o.Policy.Namespace, issuer)
	for w := range o.Pods() {
		c := sidecars[w.UID]
		if c.Lost.IsZero() && (c.Lacks(verification) || c.Lacks(decryption) || c.Lacks(introspection)) {
			out = append(out, w.Name)
		}
	}
	slices.Sort(out)
	return out
}

func failure(s keys.State) string {
	switch {
	case s.Err != nil:
		return s.Err.Error()
	case s.Keys == 0:
		return "the keys have not been read yet"
	}
	return ""
}

// noteOf tells of rules that said nothing of whom they allow.
func noteOf(p *compile.Policy) string {
	var notes []string
	for _, i := range p.Vague {
		notes = append(notes, policy.VagueRule(i))
	}
	return strings.Join(notes, "; ")
}

// hiddenBy tells of a resource whose metadata clients of some pods do not get, since another policy of theirs has them at the same
// path and comes first by name. All are sorted by name.
func hiddenBy(o compile.Outcome, all []compile.Outcome) string {
	path := decision.MetadataPath(&o.Policy.Spec)
	if path == "" || o.Problem != nil {
		return ""
	}
	for _, other := range all {
		if other.Policy.Name >= o.Policy.Name {
			return ""
		}
		if other.Problem == nil && decision.MetadataPath(&other.Policy.Spec) == path && shared(o.Selected, other.Selected) {
			f := lint.HiddenResource(path, other.Policy.Name)
			return f.Error()
		}
	}
	return ""
}

// shared reports whether two policies select the same pods somewhere.
func shared(a, b []*compile.Group) bool {
	return slices.ContainsFunc(a, func(g *compile.Group) bool { return slices.Contains(b, g) })
}

// elsewhere adds to what is known of key sources here what other replicas cannot read.
func elsewhere(states map[string]keys.State, failing map[string]error) map[string]keys.State {
	for id, err := range failing {
		if state, ok := states[id]; ok && state.Err == nil {
			state.Err = err
			states[id] = state
		}
	}
	return states
}
