package refuse

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
)

// Form is how a refusal is written.
type Form int

// The forms of a refusal. The zero Form is HTTP.
const (
	// HTTP is a status, a challenge and a problem document; for upgrades too.
	HTTP Form = iota
	// GRPC is the trailers-only form of gRPC over HTTP/2.
	GRPC
)

// FormOf returns the form that the client of a request understands, by the request's HTTP major version and its
// Content-Type. gRPC needs HTTP/2, so that a client of HTTP/1.1 is never answered with 200.
func FormOf(protoMajor int, contentType string) Form {
	const grpc = "application/grpc"
	if protoMajor < 2 || len(contentType) < len(grpc) || !strings.EqualFold(contentType[:len(grpc)], grpc) {
		return HTTP
	}
	if len(contentType) > len(grpc) && contentType[len(grpc)] != '+' && contentType[len(grpc)] != ';' {
		return HTTP // application/grpc-web is another protocol; its clients read the HTTP status
	}
	return GRPC
}

// Cause is what a refusal is made from.
type Cause struct {
	// Reason picks the line of the table.
	Reason decision.Reason
	// Challenge is what the challenge says beyond the reason; nil: nothing.
	Challenge *Challenge
	// RequestID is the id that the log has of the request; empty: none is told. One that is no plain text is left out.
	RequestID string
	// TraceID is the id of the trace that the request is in, for the problem document; empty: none.
	TraceID string
	// CORS are fields that let a page of another origin read the answer; none if it may not.
	CORS []Field
	// Document is the answer where the Reason is to give it.
	Document *Document
}

// Document is what the sidecar answers in the app's place. It is immutable.
type Document struct {
	// Status is the HTTP status code, Header what goes with it but for Content-Length.
	Status int
	Header []Field
	Body   []byte
}

// Challenge is what a WWW-Authenticate header says beyond the reason. It is immutable.
type Challenge struct {
	// Scopes are those that the request needs (RFC 6750 section 3).
	Scopes []string
	// ACR are authentication context classes of which the request needs one, the preferred first, and MaxAge is how long ago
	// the user may have logged in, in whole seconds; 0: no matter (RFC 9470 section 3).
	ACR    []string
	MaxAge time.Duration
	// ResourceMetadata is where the client learns whom to get a token from (RFC 9728 section 5.1), a URL in canonical form.
	ResourceMetadata string
	// DPoP is what is said of the scheme DPoP; nil: no token is taken under it.
	DPoP *DPoP
}

// DPoP is what challenges say of the scheme DPoP (RFC 9449 section 7.1). It is immutable.
type DPoP struct {
	// Algorithms are those of proofs, with spaces between.
	Algorithms string
	// Only says that no token is taken under Bearer.
	Only bool
	// Came says that the request's token came under the scheme DPoP.
	Came bool
}

// Field is one header field.
type Field struct {
	// Name is in canonical MIME form.
	Name string
	// Value is ASCII.
	Value string
}

// Response is a refusal ready to be written by any server.
type Response struct {
	// Status is the HTTP status code.
	Status int
	// Header is in a fixed order and has no Content-Length.
	Header []Field
	// Body may be shared: it must not be changed.
	Body []byte
}

// Render returns the response for a cause in one form.
func Render(c Cause, f Form) Response {
	if c.Reason == decision.Preflight {
		return Response{Status: http.StatusNoContent, Header: c.CORS}
	}
	if d := c.Document; d != nil && c.Reason == decision.ResourceMetadata {
		return d.render(c.RequestID)
	}
	r := Table(c.Reason)
	out := Response{Status: r.Status, Header: make([]Field, 0, 6+len(c.CORS))}
	if f == GRPC {
		out.Status = http.StatusOK
		out.add("Content-Type", "application/grpc")
		out.add("Grpc-Status", strconv.FormatUint(uint64(r.GRPC), 10))
		out.add("Grpc-Message", r.Description)
	} else {
		out.add("Content-Type", "application/problem+json")
		out.add("Cache-Control", "no-store")
		out.Body = body(known(c.Reason), c.RequestID, c.TraceID)
	}
	if plain(c.RequestID) {
		out.add("X-Request-Id", c.RequestID)
	}
	for _, value := range challenges(r, c.Challenge) {
		out.add("Www-Authenticate", value)
	}
	if r.Allow != "" {
		out.add("Allow", r.Allow)
	}
	if r.RetryAfter > 0 {
		out.add("Retry-After", strconv.Itoa(r.RetryAfter))
	}
	out.Header = append(out.Header, c.CORS...)
	return out
}

// Write sends the refusal through a net/http server. It must be called before anything else was written.
func (r Response) Write(w http.ResponseWriter) {
	h := w.Header()
	for _, f := range r.Header {
		h.Del(f.Name)
	}
	for _, f := range r.Header {
		h.Add(f.Name, f.Value)
	}
	w.WriteHeader(r.Status)
	if len(r.Body) > 0 {
		_, _ = w.Write(r.Body) // the client may be gone; there is nobody else to tell
	}
}

func (r *Response) add(name, value string) {
	r.Header = append(r.Header, Field{Name: name, Value: value})
}

// render returns the answer that the document is.
func (d *Document) render(requestID string) Response {
	out := Response{Status: d.Status, Header: make([]Field, 0, len(d.Header)+1), Body: d.Body}
	out.Header = append(out.Header, d.Header...)
	if plain(requestID) {
		out.add("X-Request-Id", requestID)
	}
	return out
}

// challenges writes the credentials challenges of RFC 6750 section 3 and RFC 9449 section 7.1, if any: that of the scheme under
// which the token came, and of a 401 that of the other scheme too, without the error, if tokens are taken under both (RFC 9449
// section 7.2).
func challenges(r Refusal, c *Challenge) []string {
	if c == nil {
		c = &Challenge{}
	}
	if !r.Challenge && (c.ResourceMetadata == "" || r.Status != http.StatusForbidden) {
		return nil
	}
	if c.DPoP == nil {
		return []string{scheme("Bearer", c.params(r))}
	}
	return c.both(r)
}

// both writes the challenges of the schemes DPoP and Bearer, first that which the client is to look at.
func (c *Challenge) both(r Refusal) []string {
	bearer, proof := c.params(r), c.params(r)
	other := &bearer
	if !c.DPoP.Came && !c.DPoP.Only && r.Error != invalidProof && r.Error != useNonce {
		other = &proof
	}
	if r.Error != "" {
		*other = c.params(Refusal{})
	}
	proof.add("algs", c.DPoP.Algorithms)
	both := []string{scheme("DPoP", proof), scheme("Bearer", bearer)}
	switch {
	case c.DPoP.Only || r.Status != http.StatusUnauthorized && other == &bearer:
		return both[:1]
	case r.Status != http.StatusUnauthorized:
		return both[1:]
	case other == &proof:
		both[0], both[1] = both[1], both[0]
	}
	return both
}

// scheme writes a challenge.
func scheme(name string, p params) string {
	if p.text == "" {
		return name
	}
	return name + " " + p.text
}

// params are the parameters that a challenge has under each scheme. Without an error code there is no error information: the
// request carried no token (RFC 6750 section 3.1), or no other one would help.
func (c *Challenge) params(r Refusal) (p params) {
	p.add("error", r.Error)
	if r.Error != "" {
		p.add("error_description", r.Description)
	}
	p.add("scope", list(c.Scopes))
	p.add("acr_values", list(c.ACR))
	if c.MaxAge > 0 {
		p.add("max_age", strconv.FormatInt(int64(c.MaxAge/time.Second), 10))
	}
	p.add("resource_metadata", c.ResourceMetadata)
	return p
}

// params are the parameters of a challenge (RFC 9110 section 11.2).
type params struct{ text string }

// add adds a parameter, unless its value is empty. The value needs no escapes.
func (p *params) add(name, value string) {
	if value == "" {
		return
	}
	if p.text != "" {
		p.text += ", "
	}
	p.text += name + `="` + value + `"`
}

// list joins scopes, or other values of their grammar. What is none is left out.
func list(values []string) string {
	var b strings.Builder
	for _, s := range values {
		if !scopeToken(s) {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(s)
	}
	return b.String()
}

// scopeToken reports whether s is a scope-token of RFC 6749 section 3.3, and so needs no quoting. The compiler of
// policies holds scopes to it too; here it keeps a header from ever being broken.
func scopeToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < '!' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return s != ""
}

// page is the address of docs/reasons.md, which says of each reason what it means and what to do.
const page = "https://github.com/bearerguard/bearerguard/blob/main/docs/reasons.md"

// Type returns the type of a problem (RFC 9457 section 3.1.1): the address of the text on its reason.
func Type(reason decision.Reason) string { return page + "#" + Anchor(reason) }

// Anchor returns the fragment of a reason's section on that page, as Markdown makes it of the heading.
func Anchor(reason decision.Reason) string { return strings.ToLower(string(reason)) }

func known(reason decision.Reason) decision.Reason {
	if _, ok := bodies[reason]; ok {
		return reason
	}
	return decision.InternalError
}

// bodies holds the problem document of each reason. It is read only.
var bodies = problems()

// body is the problem document of a reason with the request's id in it, and its trace's.
func body(reason decision.Reason, requestID, traceID string) []byte {
	const request, trace = `,"requestId":"`, `,"traceId":"`
	shared := bodies[reason]
	if !plain(requestID) && !plain(traceID) {
		return shared
	}
	open := shared[:len(shared)-len("}\n")]
	b := make([]byte, 0, len(shared)+len(request)+len(requestID)+len(trace)+len(traceID)+2)
	b = append(b, open...)
	if plain(requestID) {
		b = append(append(append(b, request...), requestID...), '"')
	}
	if plain(traceID) {
		b = append(append(append(b, trace...), traceID...), '"')
	}
	return append(b, "}\n"...)
}

// plain reports whether a text needs no escapes in JSON, nor in a header field. What chooses ids sees to that too; here it
// keeps a document and a head from ever being broken.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < '!' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return s != ""
}

// problem is a problem document of RFC 9457 section 3. Each answer's has the member requestId besides.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Reason string `json:"reason"`
}

func problems() map[decision.Reason][]byte {
	out := make(map[decision.Reason][]byte, len(refusals))
	for reason, r := range refusals {
		b, err := json.Marshal(problem{
			Type:   Type(reason),
			Title:  r.Title,
			Status: r.Status,
			Detail: r.Description,
			Reason: string(reason),
		})
		if err != nil {
			panic(err) // strings and an int always marshal
		}
		out[reason] = append(b, '\n')
	}
	return out
}
