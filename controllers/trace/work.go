package trace

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/api/tracing"
)

// maxParts bounds the parts of a Work that are told of: a namespace may have hundreds of statuses to write.
const maxParts = 64

// Work is something that the controller does. A nil Work is one that is not traced. It is for one goroutine.
type Work struct {
	span  *tracing.Span
	now   func() time.Time
	parts int // that have begun
	fails bool
}

// Begin begins a Work that came with these values of the header field traceparent; nil: it is not traced, as where t is nil.
func Begin(t *tracing.Tracer, kind tracing.Kind, traceparent []string) *Work {
	if t == nil {
		return nil
	}
	now := time.Now
	span := t.Start(traceparent, kind, now())
	if span == nil {
		return nil
	}
	return &Work{span: span, now: now}
}

// Text notes an attribute; an empty value is none.
func (w *Work) Text(key, value string) {
	if w != nil {
		w.span.Attrs().Text(key, value)
	}
}

// Int notes an attribute.
func (w *Work) Int(key string, value int) {
	if w != nil {
		w.span.Attrs().Int(key, value)
	}
}

// Fail notes that the Work fails, of which why is a word.
func (w *Work) Fail(why string) {
	if w != nil {
		w.fails = true
		w.Text("error.type", why)
	}
}

// Span returns the Work's span, for what is below it; nil for a nil Work.
func (w *Work) Span() *tracing.Span {
	if w == nil {
		return nil
	}
	return w.span
}

// End ends the Work, by the name that it is to have. Nothing of it may be used afterwards.
func (w *Work) End(name string) {
	if w == nil {
		return
	}
	if w.parts > maxParts {
		w.Int("bearerguard.parts_left_out", w.parts-maxParts)
	}
	w.span.End(name, w.now(), w.fails)
}

type workKey struct{}

// With returns a context that has w; ctx itself for a nil Work.
func With(ctx context.Context, w *Work) context.Context {
	if w == nil {
		return ctx
	}
	return context.WithValue(ctx, workKey{}, w)
}

// Of returns the Work that ctx has; nil: none.
func Of(ctx context.Context) *Work {
	w, _ := ctx.Value(workKey{}).(*Work)
	return w
}

// Part is a step of a Work. A nil Part is one that is not traced.
type Part struct {
	work  *Work
	child tracing.Child
}

// Do begins a step of the Work that ctx has. Its End is to be called before the next step begins, or not at all.
func Do(ctx context.Context, name string) *Part { return Of(ctx).part(name, tracing.Internal) }

// Call begins a step that asks another program.
func Call(ctx context.Context, name string) *Part { return Of(ctx).part(name, tracing.Client) }

func (w *Work) part(name string, kind tracing.Kind) *Part {
	if w == nil {
		return nil
	}
	if w.parts++; w.parts > maxParts {
		return nil
	}
	return &Part{work: w, child: tracing.Child{Name: name, Kind: kind, Start: w.now()}}
}

// Text notes an attribute; an empty value is none.
func (p *Part) Text(key, value string) {
	if p != nil {
		p.child.Attrs.Text(key, value)
	}
}

// Int notes an attribute.
func (p *Part) Int(key string, value int) {
	if p != nil {
		p.child.Attrs.Int(key, value)
	}
}

// End ends the step; err is what came of it. Of an error its kind alone is told, since its text may have anything: the log has it.
func (p *Part) End(err error) {
	if p == nil {
		return
	}
	p.child.End, p.child.Failed = p.work.now(), err != nil
	p.Text("error.type", ErrorType(err))
	p.work.span.Child(&p.child)
}

// ErrorType is a word for an error: the API server's own, timeout, canceled, or _OTHER; empty for none.
func ErrorType(err error) string {
	if err == nil {
		return ""
	}
	if reason := apierrors.ReasonForError(err); reason != metav1.StatusReasonUnknown {
		return string(reason)
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "canceled"
	}
	return "_OTHER"
}
