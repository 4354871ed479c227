package telemetry

import (
	"sync/atomic"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
)

const (
	// cheap is how long a look into a refusal may take without a rest after it. The rules of most pods take much less.
	cheap = time.Millisecond
	// restful is how many times as long as a dear look took no other begins: anybody can cause refusals.
	restful = 20
)

// looks bounds the time that goes into finding out more about refusals to a twentieth of a processor, where a look is dear. It is
// safe for concurrent use.
type looks struct {
	after atomic.Int64 // when the next may begin, in nanoseconds since 1970
	now   func() time.Time
}

// into returns what more is told of a refusal; what the record itself has, where it is too early to look.
func (l *looks) into(r *Record) decision.Details {
	began := l.now()
	if began.UnixNano() < l.after.Load() {
		return decision.Details{Policy: r.Policy}
	}
	d := r.details()
	if ended := l.now(); ended.Sub(began) > cheap {
		l.after.Store(ended.Add(restful * ended.Sub(began)).UnixNano())
	}
	return d
}
