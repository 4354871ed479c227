package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/lint"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/compile"
	"github.com/bearerguard/bearerguard/controllers/trace"
)

// policyMemory is what is remembered of policies that were asked about, in bytes.
const policyMemory = 8 << 20

// policyHandler validates AuthPolicies.
type policyHandler struct {
	decoder   admission.Decoder
	checker   *decision.Checker
	allowHTTP bool
	company   func(context.Context, string, compile.Neighbour) []string
	budget    func(context.Context, compile.Newcomer) error
	mayRead   func(ctx context.Context, namespace, secret string) (bool, error)
	turns     *turns
}

func (h *policyHandler) handle(ctx context.Context, req admission.Request) answer {
	step := trace.Do(ctx, "wait for a turn")
	done, err := h.turns.take(ctx, req.Namespace)
	step.End(err)
	if err != nil {
		return failed(http.StatusTooManyRequests, "wait for a turn", err)
	}
	defer done()
	return h.review(ctx, req)
}

func (h *policyHandler) review(ctx context.Context, req admission.Request) answer {
	if req.Operation == admissionv1.Update && sameSpec(req.Object.Raw, req.OldObject.Raw) {
		return allowed("Unchanged", nil)
	}
	var p v1alpha1.AuthPolicy
	if err := h.decoder.Decode(req, &p); err != nil {
		return refused(fmt.Errorf("decode AuthPolicy: %w", err))
	}
	var warnings []string
	if req.Operation == admissionv1.Update && slices.ContainsFunc(p.Spec.Rules, vague) {
		var old v1alpha1.AuthPolicy
		if err := h.decoder.DecodeRaw(req.OldObject, &old); err == nil {
			warnings = clarify(&p.Spec.Spec, old.Spec.Rules)
		}
	}
	step := trace.Do(ctx, "check policy")
	err := checkPolicy(h.checker, req.Namespace, p)
	step.End(nil)
	if err != nil {
		return refused(err)
	}
	if err := h.room(ctx, req, p); err != nil {
		return refused(err)
	}
	warnings = append(warnings, h.warnings(p)...)
	var secrets []named
	for i, issuer := range p.Spec.Issuers {
		secrets = append(secrets, secretsOf(fmt.Sprintf("spec.issuers[%d]", i), issuer)...)
	}
	warnings = append(warnings, closedTo(ctx, h.mayRead, req.Namespace, secrets)...)
	if h.company != nil {
		warnings = append(warnings, h.company(ctx, req.Namespace, compile.Neighbour{
			Name: p.Name, Created: p.CreationTimestamp.Time, Selector: p.Spec.Selector, Issuers: len(p.Spec.Issuers),
			Metadata: decision.MetadataPath(&p.Spec.Spec),
		})...)
	}
	return allowed("", warnings)
}

// room returns an error if the namespace has no room for p.
func (h *policyHandler) room(ctx context.Context, req admission.Request, p v1alpha1.AuthPolicy) error {
	if h.budget == nil {
		return nil
	}
	n := compile.Newcomer{Namespace: req.Namespace, Name: p.Name, Cost: compile.CostOf(req.Namespace, p.Spec.Spec)}
	if req.Operation == admissionv1.Update {
		n.Was = func() *compile.Cost {
			var old v1alpha1.AuthPolicy
			if h.decoder.DecodeRaw(req.OldObject, &old) != nil {
				return nil
			}
			was := compile.CostOf(req.Namespace, old.Spec.Spec)
			return &was
		}
	}
	return h.budget(ctx, n)
}

// sameSpec reports whether the specs of two objects are written alike, as the API server writes what is alike.
func sameSpec(a, b []byte) bool {
	var x, y struct {
		Spec json.RawMessage `json:"spec"`
	}
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && bytes.Equal(x.Spec, y.Spec)
}

func vague(r policy.Rule) bool { return r.Allow != nil && r.Allow.Vague() }

// clarify lets rules that said nothing of whom they allow before this release refused it stay as they are, with a warning.
func clarify(spec *policy.Spec, old []policy.Rule) (warnings []string) {
	for i := range spec.Rules {
		r := &spec.Rules[i]
		was := slices.IndexFunc(old, func(o policy.Rule) bool { return o.Name == r.Name })
		if was < 0 || !vague(old[was]) || !vague(*r) {
			continue
		}
		r.Allow.Authenticated = true
		warnings = append(warnings, policy.VagueRule(i))
	}
	return warnings
}

// checkPolicy returns every reason why a sidecar could not load p in namespace, joined; nil if it can. Keys that are read
// from elsewhere are not looked at: a Secret may come later than the policy.
func checkPolicy(c *decision.Checker, namespace string, p v1alpha1.AuthPolicy) error {
	var errs []error
	errs = append(errs, p.Spec.Selector.Validate("spec.selector"))
	errs = append(errs, c.Check([]decision.Policy{{Namespace: namespace, Name: p.Name, Spec: p.Spec.Spec}}))
	for i, issuer := range p.Spec.Issuers {
		if issuer.Keys.JWKS == "" {
			continue
		}
		if _, err := inlineKeys(issuer); err != nil {
			errs = append(errs, fmt.Errorf("spec.issuers[%d].keys.jwks: %w; want a JWK Set of public keys", i, err))
		}
	}
	return errors.Join(errs...)
}

// warnings returns what is allowed in p but probably not meant.
func (h *policyHandler) warnings(p v1alpha1.AuthPolicy) []string {
	var out []string
	for i, issuer := range p.Spec.Issuers {
		out = append(out, plainHTTP(fmt.Sprintf("spec.issuers[%d]", i), issuer, h.allowHTTP)...)
		if issuer.Keys.JWKS == "" {
			continue
		}
		if set, err := inlineKeys(issuer); err == nil {
			for _, note := range set.Notes() {
				out = append(out, fmt.Sprintf("spec.issuers[%d].keys.jwks: %s", i, note))
			}
			if err := keyset.Serves(set.Algorithms(), &issuer); err != nil {
				out = append(out, fmt.Sprintf("spec.issuers[%d].keys.jwks: %v", i, err))
			}
		}
	}
	object := lint.Object{Namespace: p.Namespace, Name: p.Name, Selector: p.Spec.Selector, Spec: &p.Spec.Spec}
	for _, finding := range lint.Objects([]lint.Object{object}, h.checker.Hints) {
		finding.Policy = ""
		out = append(out, finding.Error())
	}
	return out
}

func inlineKeys(issuer policy.Issuer) (*keyset.Set, error) {
	return keyset.Read([]byte(issuer.Keys.JWKS), keyset.ReadingOf(&issuer))
}

// plainHTTP warns of keys that are fetched where anybody on the way can replace them.
func plainHTTP(field string, issuer policy.Issuer, allowHTTP bool) []string {
	urls := map[string]string{".keys.jwksURL": issuer.Keys.JWKSURL}
	if s := issuer.Keys.SPIFFE; s != nil {
		urls[".keys.spiffe.bundleURL"] = s.BundleURL
	}
	if d := issuer.Keys.Discovery; d != nil {
		urls[".keys.discovery.url"] = d.URL
		if d.URL == "" {
			urls[".issuer"] = issuer.Issuer
		}
	}
	if in := issuer.Introspection; in != nil {
		urls[".introspection.url"] = in.URL
		if d := in.Discovery; d != nil {
			if urls[".introspection.discovery.url"] = d.URL; d.URL == "" {
				urls[".issuer"] = issuer.Issuer
			}
		}
	}
	var out []string
	for _, name := range []string{".issuer", ".keys.discovery.url", ".keys.jwksURL", ".keys.spiffe.bundleURL", ".introspection.discovery.url", ".introspection.url"} {
		if !strings.HasPrefix(strings.ToLower(urls[name]), "http://") {
			continue
		}
		if allowHTTP {
			out = append(out, field+name+": plain http: whoever is on the way can replace the keys")
		} else {
			out = append(out, field+name+": plain http, which the controller does not fetch: it runs without --key-allow-http")
		}
	}
	return out
}

// revocationHandler validates TokenRevocations.
type revocationHandler struct {
	decoder admission.Decoder
	room    func(ctx context.Context, namespace, name string, entries revoked.List, now time.Time) error
}

func (h *revocationHandler) handle(ctx context.Context, req admission.Request) answer {
	if req.Operation == admissionv1.Update && sameSpec(req.Object.Raw, req.OldObject.Raw) {
		return allowed("Unchanged", nil)
	}
	var r v1alpha1.TokenRevocation
	if err := h.decoder.Decode(req, &r); err != nil {
		return refused(fmt.Errorf("decode TokenRevocation: %w", err))
	}
	if err := r.Spec.Validate("spec"); err != nil {
		return refused(err)
	}
	if h.room != nil {
		if err := h.room(ctx, req.Namespace, req.Name, revoked.ListOf(&r.Spec), time.Now()); err != nil {
			return refused(err)
		}
	}
	return allowed("", nil)
}
