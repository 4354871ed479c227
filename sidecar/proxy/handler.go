package proxy

import (
	"errors"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/go-logr/logr"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
	"github.com/bearerguard/bearerguard/sidecar/refuse"
	"github.com/bearerguard/bearerguard/sidecar/telemetry"
)

// handle settles one request.
func (p *Proxy) handle(w http.ResponseWriter, r *http.Request) {
	start := p.now()
	conn, ok := r.Context().Value(connKey{}).(*clientConn)
	if !ok || conn.info.upstream == nil {
		p.refuse(w, r, refuse.Cause{Reason: decision.InternalError})
		return
	}
	v := p.judge(r, conn)
	p.observe(r, conn, &v, start)
	if !v.Forward {
		p.refuse(w, r, refuse.Cause{Reason: v.Reason, Scopes: v.Scopes})
		return
	}
	body := watchBody(r)
	p.forwarder.forward(w, r, conn, &v, body)
	if conn.strict != nil && r.ProtoMajor == 1 && !body.ended.Load() {
		conn.strict.abandon()
	}
}

// judge checks what only the server knows, then asks the gate.
func (p *Proxy) judge(r *http.Request, conn *clientConn) gate.Verdict {
	if conn.strict != nil && r.ProtoMajor == 1 {
		if err := conn.strict.next(); err != nil {
			return gate.Verdict{Reason: reasonOf(err)}
		}
	}
	fields := 0
	for _, values := range r.Header {
		fields += len(values)
	}
	if fields > p.limits.Fields {
		return gate.Verdict{Reason: decision.TooLarge}
	}
	return p.gate.JudgeWaiting(r.Context(), &gate.Request{
		Method: r.Method,
		Target: r.RequestURI,
		Host:   r.Host,
		Header: r.Header,
		Port:   conn.info.port,
		Remote: conn.info.remote,
	})
}

// reasonOf maps what is wrong with a head to a reason.
func reasonOf(err error) decision.Reason {
	switch {
	case errors.Is(err, head.ErrTooLarge):
		return decision.TooLarge
	case errors.Is(err, head.ErrHost), errors.Is(err, head.ErrHostMismatch):
		return decision.BadHost
	case errors.Is(err, head.ErrAuthorization):
		return decision.DuplicateAuthorization
	}
	return decision.BadRequest
}

// refuse answers in place of the app.
func (p *Proxy) refuse(w http.ResponseWriter, r *http.Request, c refuse.Cause) {
	refuse.Render(c, refuse.FormOf(r.ProtoMajor, r.Header.Get("Content-Type"))).Write(w)
}

func (p *Proxy) observe(r *http.Request, conn *clientConn, v *gate.Verdict, start time.Time) {
	if p.observer == nil {
		return
	}
	rec := telemetry.Record{
		Time: start, Own: p.now().Sub(start),
		Forwarded: v.Forward, Reason: v.Reason, Policy: v.Policy, Rule: v.Rule,
		Method: r.Method, Host: r.Host, Path: v.Path, Protocol: r.Proto, Port: conn.info.port, Remote: conn.info.remote,
		Issuer: v.Issuer, KeyID: v.KeyID, Subject: v.Subject,
	}
	if conn.strict != nil && conn.strict.refused(conn.strict.served) {
		rec.Method, rec.Host = "", "" // of the head that took the bad one's place
	}
	for _, a := range v.Audit {
		rec.Audit = append(rec.Audit, telemetry.Audit(a))
	}
	p.observer.Request(&rec)
}

// stdLog gives net/http a place for its messages, which are about connections and come from clients' mistakes.
func stdLog(l logr.Logger) *log.Logger {
	return log.New(logWriter{l}, "", 0)
}

type logWriter struct{ log logr.Logger }

// Write logs one message at debug level.
func (w logWriter) Write(b []byte) (int, error) {
	w.log.V(1).Info("server", "message", strings.TrimSpace(string(b)))
	return len(b), nil
}
