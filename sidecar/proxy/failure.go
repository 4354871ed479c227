package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"

	"github.com/bearerguard/bearerguard/api/decision"
	ends "github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/telemetry"
)

// fail answers a request that the app did not answer.
func (f *forwarder) fail(w http.ResponseWriter, r *http.Request, err error) {
	x := exchangeOf(r.Context())
	if r.Context().Err() != nil {
		panic(http.ErrAbortHandler) // the client is gone: nobody reads an answer
	}
	reason := failure(err, x.answered.Load())
	if x.watch.Slow() {
		reason = decision.RequestTimeout
	}
	if o := x.proxy.observer; o != nil {
		info := x.info
		x.record = telemetry.Record{
			Trace: x.trace.ID(),
			Time:  x.proxy.now(), RequestID: x.id, Reason: reason, Cause: decision.Because(cause(reason, err)), Policy: x.verdict.Policy, Rule: x.verdict.Rule,
			Method: r.Method, Host: r.Host, Path: x.verdict.Path, Protocol: r.Proto, Port: info.Port, Remote: info.Remote,
		}
		o.Request(&x.record)
	}
	x.refuse(w, r, reason)
}

// failure maps an error of forwarding to a reason. Answered says that the app had sent something.
func failure(err error, answered bool) decision.Reason {
	var timeout net.Error
	var large *http.MaxBytesError
	var op *net.OpError
	switch {
	case errors.As(err, &large): // of the client's body
		return decision.BodyTooLarge
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		return decision.UpstreamTimeout
	case breaksHTTP2(err):
		return decision.UpstreamMalformed
	case !answered, errors.As(err, &op), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, syscall.ECONNRESET):
		return decision.UpstreamUnavailable
	}
	return decision.UpstreamMalformed
}

// breaksHTTP2 reports whether an error is that of an app which says in HTTP/2 what may not be said, or too much of it. Nothing
// but their texts tells such errors of net/http's from others, and from what the app itself says of a stream.
func breaksHTTP2(err error) bool {
	text := err.Error()
	ours := strings.HasPrefix(text, "connection error: ") || strings.HasPrefix(text, "stream error: ") && !strings.HasSuffix(text, "received from peer")
	return ours || strings.HasPrefix(text, "malformed response from server") || strings.Contains(text, "response header list larger")
}

// cause is ends.CauseOf for errors of net/http's as well.
func cause(reason decision.Reason, err error) string {
	switch {
	case errors.Is(err, errInterim):
		return errInterim.Error()
	case breaksHTTP2(err):
		return "the application breaks HTTP/2"
	}
	return ends.CauseOf(reason, err)
}
