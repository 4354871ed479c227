package gate

import (
	"net/netip"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/tracing"
	"github.com/bearerguard/bearerguard/sidecar/fold"
	"github.com/bearerguard/bearerguard/sidecar/refuse"
)

// Request is what is judged. Nothing of it is changed or kept: its strings and what Header returns may lie in memory
// that the caller uses for something else once Judge has returned and the Verdict has been used.
type Request struct {
	// Time is when the request came, which saves asking the clock; zero: Options.Now is asked.
	Time time.Time
	// Method as sent.
	Method string
	// Target is the request target as sent, query included: origin-form or absolute-form (RFC 9112 section 3.2).
	Target string
	// Host is the Host header or :authority as sent.
	Host string
	// NoHost says that Host is empty because the client's version of HTTP can do without, which is HTTP/1.0. No allow rule's
	// hosts fit then, and every deny rule's.
	NoHost bool
	// Header has the request's header fields, without Host. Names are in canonical MIME form. What Values returns is used
	// up before it is called again.
	Header decision.Header
	// Port is the port that the client dialled.
	Port int
	// Remote is the address of the connection's peer.
	Remote netip.Addr
	// ClientCert is what the verified certificate of a TLS client says; nil without one.
	ClientCert *decision.ClientCert
	// Client is looked at while the request waits for keys; nil: it is taken to stay.
	Client Client
	// Places bounds the requests of one connection that wait for keys; nil: there is no bound for it alone.
	Places *Places
	// Body is what has been read of the body since a Verdict asked for it; nil before.
	Body *Body
	// Trace is told how the request was judged; nil: nobody asks.
	Trace *Trace

	proved bool // its proof of possession has been taken, when it was judged before
}

// Body is the beginning of a request's body.
type Body struct {
	// Data is as the client sent it, without the framing of a chunked body.
	Data []byte
	// Whole says that there is no more.
	Whole bool
}

// noHeader has no fields.
type noHeader struct{}

// Values returns nothing.
func (noHeader) Values(string) []string { return nil }

// Verdict is what becomes of a request. The zero Verdict refuses. Host, Target, Path and Edit.Replace may share the
// memory of the request's strings; everything else outlives the request.
type Verdict struct {
	// Forward says that the request goes to the app, with Host, Target and Edit; else it is refused for Reason.
	Forward bool
	Reason  decision.Reason
	// Cause is what exactly led to a refusal; nil where the Reason says it all.
	Cause decision.Cause
	// Policy is "namespace/name" and Rule the name of what decided; empty where no rule did.
	Policy, Rule string
	// TokenIgnored says that a rule with ignoreToken let the request in, whatever its token.
	TokenIgnored bool
	// WantBody is how many bytes of the body, with the framing of a chunked one, have to be read before the request can be judged:
	// it is to be judged again with Request.Body. 0: the Verdict is final. Who does not look at it refuses.
	WantBody int
	// Challenge is what a refusal's challenge says beyond the reason; nil: nothing.
	Challenge *refuse.Challenge
	// Document is what a request that the sidecar answers itself gets.
	Document *refuse.Document
	// Audit has what each Audit policy would have said; it changes nothing.
	Audit []decision.AuditResult

	// Host is the canonical host with the port that the client gave, or empty with Request.NoHost; Target is the canonical path and the query
	// without the token. What was matched is what is to be forwarded.
	Host, Target string
	// Path is the canonical path alone, for the log; empty where there is none.
	Path string
	// CORS is what the answer says of CORS, whoever gives it.
	CORS CORS
	// Edit says what becomes of the header.
	Edit Edit
	// MaxBody is the largest body that may be forwarded, in bytes; 0: no policy sets a limit.
	MaxBody int64
	// Until is when a stream ends that this request starts, as its token expires and a policy wants streams closed then.
	// Zero: not.
	Until time.Time

	// Issuer and Subject are of the verified token, KeyID is the key id of a verified or the header's of any other
	// token; empty without one. They are for the log: Subject only where that is allowed.
	Issuer, Subject, KeyID string

	by     decision.IssuerSet // the issuers that vouch for the token
	lack   *lack              // what could change about the verdict; nil: nothing
	proved bool               // the proof of possession was taken
	judged judged
}

// Answer is what a client gets in place of an answer of the app's, of a request in this trace, if it is not zero. The fields of cors are added to it.
func (v *Verdict) Answer(requestID string, trace tracing.TraceID, cors []refuse.Field) refuse.Cause {
	return refuse.Cause{Reason: v.Reason, Challenge: v.Challenge, RequestID: requestID, TraceID: trace.String(), CORS: cors, Document: v.Document}
}

// Field is a header field with one value.
type Field struct {
	// Name is in canonical MIME form.
	Name, Value string
}

// Replacement is a header field with new values.
type Replacement struct {
	// Name is in canonical MIME form.
	Name string
	// Values are instead of the old ones; none removes the field.
	Values []string
}

// Edit is what becomes of a request's header on the way to the app, in this order: fields for which Remove holds are
// dropped, those of Replace get other values, those of Set are added. The zero Edit changes nothing.
// The slices are shared: they must not be changed.
type Edit struct {
	// Replace has fields from which a token was cut out.
	Replace []Replacement
	// Set has the identity headers. Remove holds for each of their names.
	Set Fields
	// AnswerProtocol, if not empty, is the Sec-WebSocket-Protocol of a 101 answer that names none. The client offered
	// only the subprotocol that announced its token, which the app does not see; browsers insist on an answer to an
	// offer (RFC 6455 section 4.1).
	AnswerProtocol string

	names *names   // of the snapshot; nil removes nothing
	strip string   // a header that carried the token and is not kept
	more  []string // further ones
}

// Remove reports whether a field that the client sent is to be dropped. The name may be in any case.
func (e Edit) Remove(name string) bool {
	if e.names == nil {
		return false
	}
	if e.names.removes(name) || e.strip != "" && fold.Same(name, e.strip) {
		return true
	}
	for _, other := range e.more {
		if fold.Same(name, other) {
			return true
		}
	}
	return false
}

// Spoofs reports whether a field that the client sent is to be dropped whatever carried the token: an app may take it for an
// identity header, for one that carries a token, or for one that makes another request of this one. The name may be in any case.
func (e Edit) Spoofs(name string) bool { return e.names != nil && e.names.removes(name) }

// Identity returns the names of all identity headers, those that are not set included, in canonical MIME form. The slice must
// not be changed.
func (e Edit) Identity() []string {
	if e.names == nil {
		return nil
	}
	return e.names.identity
}

// Stripped returns the names of fields that carried the token and are not kept.
func (e Edit) Stripped() []string {
	if e.strip == "" {
		return e.more
	}
	return append([]string{e.strip}, e.more...)
}

// RemoveTrailer reports whether a trailer that the client sent is to be dropped. Nobody looks for a token there, so what an
// app may take for the header of one goes, too.
func (e Edit) RemoveTrailer(name string) bool {
	return e.Remove(name) || e.names != nil && e.names.carries(name)
}
