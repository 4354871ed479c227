package authz

import (
	"errors"
	"fmt"
	"slices"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

// Promise is something that policies may ask for, that nobody can tell a gateway to do for one request, and that the operator
// says the gateway's own configuration does.
type Promise string

// The promises.
const (
	// StripToken: the field, cookie or parameter that carried the token does not get to the app.
	StripToken Promise = "strip-token"
	// MaxBody: bodies are bounded as the policies say.
	MaxBody Promise = "max-body"
	// CORS: preflights are answered, and answers say what pages of other origins may do.
	CORS Promise = "cors"
	// ResourceMetadata: the metadata of protected resources (RFC 9728) are served.
	ResourceMetadata Promise = "resource-metadata"
	// CloseStreams: streams end when their token expires.
	CloseStreams Promise = "close-streams"
)

// Promises returns all of them.
func Promises() []Promise {
	return []Promise{StripToken, MaxBody, CORS, ResourceMetadata, CloseStreams}
}

// Means are what can be done about a request.
type Means struct {
	// ForwardAuth says that some questions come by forward-auth, whose answers say less than those to Envoy.
	ForwardAuth bool
	// Port says that the port which rules see is known.
	Port bool
	// Promises are kept by the gateway.
	Promises []Promise
}

// Unenforceable says what policies ask for and nobody would do: each is named with its field and what would help. Nil: nothing.
// Of Audit policies, which change nothing, only what is not known of requests counts.
func (m Means) Unenforceable(policies []bundle.Policy) error {
	var problems []error
	for _, p := range policies {
		f := finder{means: m, policy: p.ID()}
		for i := range p.Spec.Rules {
			f.rule(i, &p.Spec.Rules[i], p.Spec.Mode == policy.Audit)
		}
		if p.Spec.Mode != policy.Audit {
			f.spec(&p.Spec)
		}
		problems = append(problems, f.problems...)
	}
	return errors.Join(problems...)
}

type finder struct {
	means    Means
	policy   string
	problems []error
}

func (f *finder) add(field, problem string) {
	f.problems = append(f.problems, fmt.Errorf("%s: %s: %s", f.policy, field, problem))
}

// needs adds a problem unless the gateway keeps a promise.
func (f *finder) needs(field string, p Promise, problem string) {
	if !slices.Contains(f.means.Promises, p) {
		f.add(field, fmt.Sprintf("%s; --gateway-does %s says that its own configuration does", problem, p))
	}
}

const cannotTell = "a gateway that asks by forward-auth cannot be told to "

func (f *finder) spec(s *policy.Spec) {
	if s.Forward != nil && s.Forward.Token == policy.Strip && f.means.ForwardAuth {
		f.needs("spec.forward.token", StripToken, cannotTell+"strip the token")
	}
	for i := range s.Issuers {
		f.issuer(fmt.Sprintf("spec.issuers[%d]", i), &s.Issuers[i])
	}
	if s.CORS != nil {
		f.needs("spec.cors", CORS, "a gateway cannot be told what the app's answers are to say")
	}
	if s.Resource != nil && f.means.ForwardAuth {
		f.needs("spec.resource", ResourceMetadata, cannotTell+"answer with its metadata")
	}
	if s.Streams != nil && s.Streams.OnExpiry == policy.CloseStream {
		f.needs("spec.streams.onExpiry", CloseStreams, "a gateway cannot be told to end a stream")
	}
}

// issuer looks for what a gateway that asks by forward-auth does not show, or leaves in its place.
func (f *finder) issuer(at string, is *policy.Issuer) {
	if !f.means.ForwardAuth {
		return
	}
	if is.Proof != nil && is.Proof.MTLS == policy.BindingRequired {
		f.add(at+".proof.mtls",
			"a gateway that asks by forward-auth does not show the client's certificate; Envoy (--ext-authz, include_peer_certificate) and a sidecar in the pod do")
	}
	for j, from := range is.From {
		if from.Query != "" || from.WebSocketProtocol != "" {
			f.needs(fmt.Sprintf("%s.from[%d]", at, j), StripToken, cannotTell+"cut a token out of the query or a subprotocol")
		}
	}
}

func (f *finder) rule(i int, r *policy.Rule, audit bool) {
	at := fmt.Sprintf("spec.rules[%d]", i)
	for j, m := range r.Match {
		if len(m.Ports)+len(m.NotPorts) > 0 && !f.means.Port {
			f.add(fmt.Sprintf("%s.match[%d]", at, j), "the port that rules see is not known; --app-port says it")
		}
		if m.MCP != nil && f.means.ForwardAuth {
			f.add(fmt.Sprintf("%s.match[%d].mcp", at, j), "a gateway that asks by forward-auth does not show the body of a request; Envoy (--ext-authz) and a sidecar in the pod do")
		}
	}
	if r.Deny != nil {
		f.when(at+".deny.when", r.Deny.When)
	}
	if r.Allow == nil {
		return
	}
	f.when(at+".allow.when", r.Allow.When)
	if r.Allow.MaxBody != nil && !audit {
		f.needs(at+".allow.maxBody", MaxBody, "a gateway cannot be told to bound a body")
	}
}

// when looks for what an expression asks of a request and nobody knows.
func (f *finder) when(field, text string) {
	for _, read := range decision.RequestReads(text) {
		switch {
		case read == "port" && !f.means.Port:
			f.add(field, "the port that rules see is not known; --app-port says it")
		case read == "tls":
			f.add(field, "request.tls: a gateway does not say with which certificate its client came")
		}
	}
}
