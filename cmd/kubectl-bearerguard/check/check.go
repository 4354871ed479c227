package check

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/tracing"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/mcp"
	"github.com/bearerguard/bearerguard/sidecar/refuse"
	"github.com/bearerguard/bearerguard/sidecar/source/manifest"
	"github.com/bearerguard/bearerguard/sidecar/token"
)

// Input is what is to be decided.
type Input struct {
	// Files are the policies and what they refer to. At least one policy is in them.
	Files []manifest.File
	// Namespace of objects that name none.
	Namespace string
	// Labels of the workload: policies whose selector does not fit them take no part. Nil: all take part.
	Labels map[string]string
	// Keys has verification keys by issuer name, instead of what the policy names: JWK Set, PEM or a raw secret.
	Keys map[string][]byte
	// Claims are judged in place of a token; nil: the token is in Header, or there is none.
	Claims *Claims
	// Introspection is what issuers answer that are asked about tokens, JSON or, where signedResponse wants it, a JWS. Nil: not known.
	Introspection []byte
	// Method, Target (path and query) and Host of the request.
	Method, Target, Host string
	// Header of the request, with the token.
	Header http.Header
	// Body of the request, which rules with mcp look at.
	Body []byte
	// Port that the client dials, and its address.
	Port   int
	Remote netip.Addr
	// Now is when.
	Now time.Time

	standIns map[string][]byte // keys that issuers have for Claims, by the source they stand for
}

// Report is the verdict and how it came about. It holds no token and no key. It is for someone who has the token: causes
// show values of its header and its claims.
type Report struct {
	// Allowed says whether the request is forwarded.
	Allowed bool            `json:"allowed"`
	Reason  decision.Reason `json:"reason"`
	// Cause is what exactly led to the refusal; empty where the reason says it all. It may show what is in the token.
	Cause string `json:"cause,omitempty"`
	// Status and Detail are what the client of a refused request gets.
	Status int    `json:"status,omitempty"`
	Detail string `json:"detail,omitempty"`
	// Claims is given where there was no token, and nothing was verified.
	Claims *ClaimsReport `json:"claims,omitempty"`
	// Policy and Rule decided; Rule is empty where none did. Of a token that was not taken, Policy has the issuer.
	Policy string `json:"policy,omitempty"`
	Rule   string `json:"rule,omitempty"`
	// Details are as in the decision log.
	decision.Details
	// Answer is what the sidecar's answer, or the app's, says of CORS, and what challenge there is; empty where both are left to
	// the app.
	Answer []string `json:"answer,omitempty"`
	// Body is what the sidecar answers in the app's place.
	Body string `json:"body,omitempty"`
	// TokenIgnored says that nobody looked at the token, since the rule has ignoreToken.
	TokenIgnored bool `json:"tokenIgnored,omitempty"`
	// Scopes are those that the request needs, where the token lacks some of them.
	Scopes []string `json:"scopes,omitempty"`
	// ACR and MaxAge are what the client is told of how the user has to log in (RFC 9470); MaxAge is in seconds.
	ACR    []string `json:"acr,omitempty"`
	MaxAge int64    `json:"maxAge,omitempty"`
	// Target and Headers are what the app gets of a request that is forwarded.
	Target  string   `json:"target,omitempty"`
	Headers []string `json:"headers,omitempty"`
	// LeftOut are the identity headers that the app does not get of the token.
	LeftOut []LeftOut `json:"leftOut,omitempty"`
	// Issuers says of each issuer whether it takes the token; empty without a token.
	Issuers []IssuerReport `json:"issuers,omitempty"`
	// Rules says of each rule what it had to do with the verdict; empty if it did not come to that.
	Rules []decision.RuleReport `json:"rules,omitempty"`
	// Audit is what each Audit policy would have said.
	Audit []AuditReport `json:"audit,omitempty"`
	// Notes are remarks on keys that are missing or left out, and on objects that are skipped.
	Notes []string `json:"notes,omitempty"`
	// Warnings name what is valid in a policy but probably not meant.
	Warnings []string `json:"warnings,omitempty"`
}

// LeftOut is an identity header that the app does not get, and why.
type LeftOut struct {
	Policy string `json:"policy"`
	Header string `json:"header"`
	Cause  string `json:"cause"`
}

// AuditReport is what an Audit policy would have said.
type AuditReport struct {
	decision.AuditResult
	// Cause is what exactly led to a refusal of the token. It may show what is in the token.
	Cause string `json:"cause,omitempty"`
}

// IssuerReport says whether one issuer of one policy takes the token.
type IssuerReport struct {
	Policy string `json:"policy"`
	Issuer string `json:"issuer"`
	// Reason is empty if it does.
	Reason decision.Reason `json:"reason,omitempty"`
	// Cause is what exactly led to it. It may show what is in the token.
	Cause string `json:"cause,omitempty"`
}

// Run decides the request. The error is about the input; a refusal is a Report.
func Run(in Input) (Report, error) {
	set, err := manifest.ParseForCluster(in.Files, in.Namespace)
	if err != nil {
		return Report{}, err
	}
	if len(set.Policies) == 0 {
		return Report{}, errors.New("the files hold no AuthPolicy")
	}
	warnings := set.Warnings()
	set.Policies = selected(set.Policies, in.Labels)
	var claims *ClaimsReport
	if in.Claims != nil {
		if claims, err = in.standIn(set); err != nil {
			return Report{}, err
		}
	}
	keys, notes, err := resolve(set, &in)
	if err != nil {
		return Report{}, err
	}
	program, err := compile(set)
	if err != nil {
		return Report{}, err
	}
	b := bundle.Assemble(set.Policies, keys)
	now := func() time.Time { return in.Now }
	var left []LeftOut
	snapshot, err := gate.NewSnapshot(b, "check", gate.SnapshotOptions{Now: now, Endpoints: in.endpoints, OnLeftOut: func(l gate.LeftOut) {
		left = append(left, LeftOut{Policy: l.Policy, Header: l.Header, Cause: l.Why.Text()})
	}})
	if err != nil {
		return Report{}, err
	}
	g := gate.New(gate.Options{Now: now})
	g.Revoke(set.Revoked())
	g.Swap(snapshot)
	request := gate.Request{
		Method: in.Method, Target: in.Target, Host: in.Host, Header: in.Header, Port: in.Port, Remote: in.Remote,
		Body: &gate.Body{Data: in.Body, Whole: true},
	}
	verdict := in.judge(g, &request)
	report := newReport(verdict)
	why := verdict.Why(&request)
	if report.Details = why.Details(); report.Policy == "" {
		report.Policy = report.Details.Policy
	}
	if verdict.Reason == decision.IntrospectionUnavailable && in.Introspection == nil {
		notes = append(notes, "only its issuer can tell what the token is, and nobody is asked here: give what the issuer answers with --introspection FILE")
	}
	report.Notes = append(append(notes, overruled(set.Policies, program)...), set.Skipped...)
	report.Warnings, report.Claims = warnings, claims
	if report.Allowed {
		report.LeftOut = left
	}
	return report, explain(&report, in, program, b)
}

// overruled returns remarks on policies whose targets are not forwarded as they were sent, since another policy is against it.
func overruled(policies []bundle.Object, program *decision.Program) []string {
	var want, against []string
	for _, o := range policies {
		switch {
		case o.Spec.Mode == policy.Audit:
		case o.Spec.Paths != nil && o.Spec.Paths.Forward == policy.ForwardAsSent:
			want = append(want, o.ID())
		default:
			against = append(against, o.ID())
		}
	}
	if program.PathOptions().AsSent {
		return nil
	}
	for i, id := range want {
		want[i] = fmt.Sprintf("%s: spec.paths.forward: AsSent has no effect, since %s does not say it", id, strings.Join(against, ", "))
	}
	return want
}

func selected(policies []bundle.Object, labels map[string]string) []bundle.Object {
	if labels == nil {
		return policies
	}
	var out []bundle.Object
	for _, p := range policies {
		if p.Selector.Matches(labels) {
			out = append(out, p)
		}
	}
	return out
}

// compile gives mistakes the file and line where they are written.
func compile(set *manifest.Set) (*decision.Program, error) {
	var policies []decision.Policy
	for _, o := range set.Policies {
		policies = append(policies, decision.Policy{Namespace: o.Namespace, Name: o.Name, Spec: o.Spec})
	}
	program, err := decision.Compile(policies)
	if err == nil {
		return program, nil
	}
	var field *decision.FieldError
	if !errors.As(err, &field) {
		return nil, err
	}
	for _, o := range set.Policies {
		if place := set.Place(o, field.Path); o.ID() == field.Policy && place != "" {
			return nil, fmt.Errorf("%s: %w", place, err)
		}
	}
	return nil, err
}

func newReport(v gate.Verdict) Report {
	r := Report{
		Allowed: v.Forward, Reason: v.Reason, Policy: v.Policy, Rule: v.Rule, TokenIgnored: v.TokenIgnored,
		Cause: detail(v.Cause),
	}
	if c := v.Challenge; c != nil {
		r.Scopes, r.ACR, r.MaxAge = c.Scopes, c.ACR, int64(c.MaxAge/time.Second)
	}
	for _, a := range v.Audit {
		r.Audit = append(r.Audit, AuditReport{a, detail(a.Cause)})
	}
	for _, f := range v.CORS.Set {
		r.Answer = append(r.Answer, f.Name+": "+f.Value)
	}
	if !v.Forward {
		answer := refuse.Render(v.Answer("", tracing.TraceID{}, nil), refuse.HTTP)
		r.Status, r.Detail = answer.Status, refuse.Table(v.Reason).Description
		for _, f := range answer.Header {
			if f.Name == "Www-Authenticate" || v.Document != nil {
				r.Answer = append(r.Answer, f.Name+": "+f.Value)
			}
		}
		if v.Reason.Answered() {
			r.Detail, r.Body = "", string(answer.Body)
		}
		return r
	}
	r.Target = v.Target
	for i := range v.Edit.Set.Len() {
		f := v.Edit.Set.At(i)
		r.Headers = append(r.Headers, f.Name+": "+f.Value)
	}
	return r
}

// detail tells a cause with the values.
func detail(c decision.Cause) string {
	if c == nil {
		return ""
	}
	return c.Detail()
}

// explain adds what each issuer says of the token and what each rule says of the request. A request that has no
// canonical form was refused before any rule.
func explain(report *Report, in Input, program *decision.Program, b *bundle.Bundle) error {
	host, err := decision.CanonicalHost(in.Host)
	if err != nil {
		return nil //nolint:nilerr // the verdict says so already
	}
	raw, query, _ := strings.Cut(in.Target, "?")
	path, err := decision.ReadPath(raw, program.PathOptions())
	if err != nil {
		return nil //nolint:nilerr // as above
	}
	request := decision.Request{
		Method: in.Method, Host: host, Path: path.Match, Readings: path.Readings, RawQuery: query,
		Header: in.Header, Port: in.Port, Remote: in.Remote, Now: in.Now,
	}
	if request.Call = mcp.Head(in.Method, in.Header); request.Call == decision.Unread {
		request.Call, _ = mcp.Read(in.Header, in.Body, true)
	}
	var subject *decision.Subject
	if !report.TokenIgnored {
		if subject, err = identify(report, request, program, b, &in); err != nil {
			return err
		}
	}
	report.Rules = program.Explain(&request, subject).Rules
	return nil
}

// identify asks each issuer, as the gate did, and binds what the first that takes the token says.
func identify(report *Report, r decision.Request, program *decision.Program, b *bundle.Bundle, in *Input) (*decision.Subject, error) {
	issuers := program.Issuers()
	locations := make([]policy.Issuer, 0, len(issuers))
	for _, is := range issuers {
		locations = append(locations, is.Spec)
	}
	locator := token.NewLocator(locations)
	found, no := locator.Find(token.LocateRequest{Header: r.Header, RawQuery: r.RawQuery})
	if no.Refused() || !found.OK {
		return nil, nil //nolint:nilnil // no subject is how a request without a token is judged
	}
	verifiers, err := verifiersOf(issuers, b)
	if err != nil {
		return nil, err
	}
	t, malformed := token.Parse(found.Raw)
	asked := introspected(verifiers, found.Raw, t)
	var claims decision.Claims
	var verified decision.IssuerSet
	for i, is := range issuers {
		no := malformed
		if asked {
			no = decision.Refusal{}
		}
		if !no.Refused() && !found.Takers.Has(i) {
			no = decision.Refusal{Reason: decision.WrongLocation, Cause: locator.Elsewhere(found, i, is.Spec.Name)}
		}
		if !no.Refused() {
			var one token.Verified
			if asked {
				one, no = in.heard(verifiers[i], is, t, b, r.Now)
			} else {
				one, no = verifiers[i].Verify(t, r.Now)
			}
			if !no.Refused() {
				if verified == 0 {
					claims = one.Claims
				}
				verified = verified.With(i)
			}
		}
		report.Issuers = append(report.Issuers, IssuerReport{
			Policy: is.Policy, Issuer: is.Spec.Name, Reason: no.Reason, Cause: detail(no.Cause),
		})
	}
	if verified == 0 {
		return nil, nil //nolint:nilnil // as above
	}
	return program.Bind(claims, verified), nil
}

// verifier makes the verifier of one issuer from the bundle's keys.
func verifier(is decision.Issuer, b *bundle.Bundle) (*token.Verifier, error) {
	namespace, _, _ := strings.Cut(is.Policy, "/")
	c := token.Config{Issuer: is.Spec}
	if raw, ok := b.KeySets[bundle.SourceID(namespace, is.Spec)]; ok {
		set, err := keyset.Parse(raw.JWKS, keyset.Verify)
		if err != nil {
			return nil, err
		}
		c.Keys = set
	}
	if raw, ok := b.KeySets[bundle.DecryptionID(namespace, is.Spec)]; ok {
		set, err := keyset.Parse(raw.JWKS, keyset.Decrypt)
		if err != nil {
			return nil, err
		}
		c.Decryption = set
	}
	return token.NewVerifier(c)
}
