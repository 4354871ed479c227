package exchange

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
	"github.com/bearerguard/bearerguard/sidecar/refuse"
)

// errTimeout says that the app has not answered in time.
var errTimeout error = os.ErrDeadlineExceeded

// Breach says that the app says in HTTP/2 what may not be said, or too much of it: what rule it breaks, which is a constant.
func Breach(rule error) error { return head.Error("the application breaks HTTP/2: " + rule.Error()) }

// Aborted says that the app has reset the stream of a request (RFC 9113 section 6.4).
type Aborted struct {
	// Code is the code that it gave; Name is what the RFC calls it.
	Code uint32
	Name string
}

// Error returns the text.
func (e *Aborted) Error() string { return "the application reset the stream: " + e.Name }

// Guard runs something of the exchange's for an App, which other exchanges may be of too: a panic ends the client's connection alone.
func (x *Exchange) Guard(do func()) { x.client.Guard(do) }

// AppFails says that the app does not answer, or has broken its answer off, or cannot be connected to. The App is of no use any more, nor the Waiter.
func (x *Exchange) AppFails(err error) {
	x.app = nil
	if x.told {
		x.client.Break(err)
		x.over()
		return
	}
	x.waits = nil
	x.fail("", err)
}

// fail answers a request that the app did not answer, or ends an answer that is under way. The reason is found from the error if it is empty.
func (x *Exchange) fail(reason decision.Reason, err error) {
	x.abandon()
	if reason == "" {
		reason = failureOf(err)
	}
	x.observeFailure(reason, causeOf(reason, err))
	if x.told || x.cancelled(err) { // a refusal would be taken for a part of the answer
		x.client.Break(err)
		x.over()
		return
	}
	x.refuse(reason)
}

// cancelled reports whether a client of gRPC gets the app's reset itself: CANCEL, as servers say when a call's deadline has passed. The client
// knows by its own clock what that means.
func (x *Exchange) cancelled(err error) bool {
	const cancel = 8 // RFC 9113 section 7
	a, ok := errors.AsType[*Aborted](err)
	return ok && a.Code == cancel && x.form() == refuse.GRPC
}

// reasons maps what is wrong with a message to a reason, where it is not BadRequest. It is read only.
var reasons = map[head.Error]decision.Reason{
	head.ErrTooLarge: decision.TooLarge, head.ErrTarget: decision.URITooLong,
	head.ErrHost: decision.BadHost, head.ErrHostMismatch: decision.BadHost,
	head.ErrAuthorization: decision.DuplicateAuthorization, head.ErrCrowded: decision.Overloaded,
}

// reasonOf maps what is wrong with a client's head or body to a reason.
func reasonOf(err error) decision.Reason {
	var bad head.Error
	if errors.As(err, &bad) {
		if r, ok := reasons[bad]; ok {
			return r
		}
	}
	return decision.BadRequest
}

// failureOf maps an error of the app's to a reason.
func failureOf(err error) decision.Reason {
	var bad head.Error
	switch {
	case errors.As(err, &bad), errors.Is(err, io.ErrUnexpectedEOF):
		return decision.UpstreamMalformed
	case TimedOut(err):
		return decision.UpstreamTimeout
	}
	return decision.UpstreamUnavailable
}

// TimedOut reports whether an error says that time is up.
func TimedOut(err error) bool {
	var timeout net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// causeOf is what may be said of an error that a request failed for: its own text may quote what the app or the client sent.
// It is empty where the reason is the client's and says it all.
func causeOf(reason decision.Reason, err error) string {
	var op *net.OpError
	var bad head.Error
	switch {
	case errors.As(err, &bad):
		return bad.Error()
	case reason != decision.UpstreamTimeout && reason != decision.UpstreamMalformed && reason != decision.UpstreamUnavailable:
		return ""
	case reason == decision.UpstreamTimeout && !(errors.As(err, &op) && op.Op == "dial"):
		return "the application has not answered within --response-timeout"
	case errors.As(err, &op):
		return op.Error() // addresses and the system's message
	}
	cause := connectionCause(err)
	switch {
	case cause != "":
		return cause
	case reason == decision.UpstreamMalformed:
		return "the application's answer is malformed"
	}
	return "the connection to the application failed"
}

// connectionCause is what may be said of a connection to the app that failed; empty if that is not known.
func connectionCause(err error) string {
	var no syscall.Errno
	var aborted *Aborted
	var untrusted *tls.CertificateVerificationError
	var noTLS tls.RecordHeaderError
	switch {
	case errors.As(err, &no):
		return no.Error()
	case errors.As(err, &aborted):
		return aborted.Error()
	case errors.Is(err, io.EOF):
		return "the application closed the connection before it answered"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "the application closed the connection within the head of its answer"
	case errors.As(err, &untrusted):
		return "the application's certificate cannot be verified"
	case errors.As(err, &noTLS):
		return "the application does not speak TLS"
	case errors.Is(err, context.Canceled):
		return "the sidecar stops"
	}
	return ""
}
