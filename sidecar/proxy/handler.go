package proxy

import (
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/go-logr/logr"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/refuse"
	"github.com/bearerguard/bearerguard/sidecar/telemetry"
)

// handle settles one request of an HTTP/2 client.
func (p *Proxy) handle(w http.ResponseWriter, r *http.Request) {
	start := p.now()
	info, ok := r.Context().Value(infoKey{}).(*connInfo)
	if !ok || info.Upstream == nil {
		p.refuse(w, r, refuse.Cause{Reason: decision.InternalError})
		return
	}
	v := p.judge(r, info)
	p.observe(r, info, &v, start)
	if !v.Forward {
		p.refuse(w, r, refuse.Cause{Reason: v.Reason, Scopes: v.Scopes})
		return
	}
	p.forwarder.forward(w, r, info, &v)
}

// judge checks what only the server knows, then asks the gate.
func (p *Proxy) judge(r *http.Request, info *connInfo) gate.Verdict {
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
		Port:   info.Port,
		Remote: info.Remote,
	})
}

// refuse answers in place of the app.
func (p *Proxy) refuse(w http.ResponseWriter, r *http.Request, c refuse.Cause) {
	refuse.Render(c, refuse.FormOf(r.ProtoMajor, r.Header.Get("Content-Type"))).Write(w)
}

func (p *Proxy) observe(r *http.Request, info *connInfo, v *gate.Verdict, start time.Time) {
	if p.observer == nil {
		return
	}
	rec := telemetry.Record{
		Time: start, Own: p.now().Sub(start),
		Forwarded: v.Forward, Reason: v.Reason, Policy: v.Policy, Rule: v.Rule,
		Method: r.Method, Host: r.Host, Path: v.Path, Protocol: r.Proto, Port: info.Port, Remote: info.Remote,
		Issuer: v.Issuer, KeyID: v.KeyID, Subject: v.Subject,
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
