package authz

import (
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/refuse"
	"github.com/bearerguard/bearerguard/sidecar/requestid"
)

// removeHeader lists, in an answer that lets a request in, the fields that the gateway has to remove from it if they are there.
const removeHeader = "X-Bearerguard-Remove"

// forwardAuth answers the questions of gateways that ask by HTTP: 200 is yes, everything else no.
type forwardAuth struct {
	judge      *judge
	convention Convention
	limits     Limits
}

// ServeHTTP answers one question. Its own method and path say nothing.
func (f *forwardAuth) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := question{start: f.judge.now(), id: requestid.Of(r.Header[requestid.Header]), protocol: "forward-auth", names: f.names(r.Header)}
	var no decision.Refusal
	q.Request, no = Original(r.Header, f.convention)
	if no.Refused() || f.limits.exceeded(&q.Request, r.Header, &no) {
		q.refused = no
	}
	v := f.judge.settle(r.Context(), &q)
	if v.Forward {
		f.allow(w, &q, &v)
		return
	}
	out := refuse.Render(v.Answer(q.id, q.traceID, v.CORS.Set), refuse.HTTP)
	out.Status = f.status(out.Status)
	out.Write(w)
}

// allow says yes: with the identity headers, and which fields have to go. Those without a value are left out, which makes
// Traefik, Caddy and nginx remove what the client sent.
func (f *forwardAuth) allow(w http.ResponseWriter, q *question, v *gate.Verdict) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set(requestid.Header, q.id)
	for i := range v.Edit.Set.Len() {
		field := v.Edit.Set.At(i)
		h.Set(field.Name, field.Value)
	}
	remove := v.Edit.Stripped()
	for _, name := range v.Edit.Identity() {
		if h.Values(name) == nil {
			remove = append(remove, name)
		}
	}
	if len(remove) > 0 {
		h.Set(removeHeader, strings.Join(remove, ", "))
	}
	w.WriteHeader(http.StatusOK)
}

// status returns the status of a refusal that gets through the gateway. Any 2xx would let the request in.
// nginx's auth_request passes 401 and 403 on, and makes 500 of everything else.
func (f *forwardAuth) status(refusal int) int {
	switch {
	case refusal < http.StatusBadRequest:
		return http.StatusForbidden
	case f.convention == XOriginal && refusal < http.StatusInternalServerError && refusal != http.StatusUnauthorized:
		return http.StatusForbidden
	}
	return refusal
}

// names returns the names of the client's fields: those that the gateway set to describe the request are not.
func (f *forwardAuth) names(h http.Header) iter.Seq[string] {
	own, _ := f.convention.fields()
	return func(yield func(string) bool) {
		for name := range h {
			described := false
			for _, o := range own {
				described = described || name == o
			}
			if !described && !yield(name) {
				return
			}
		}
	}
}

// newForwardAuthServer returns the server of a forward-auth port.
func newForwardAuthServer(h http.Handler, l Limits) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true) // over TLS
	return &http.Server{
		Handler: h, Protocols: &protocols, MaxHeaderBytes: l.HeadBytes,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: l.Streams},
		ReadHeaderTimeout: l.ReadHead, ReadTimeout: l.ReadHead + time.Second, IdleTimeout: l.Idle,
		WriteTimeout: l.Write + gate.DefaultKeyWait,
	}
}
