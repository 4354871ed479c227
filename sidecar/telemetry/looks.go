package telemetry

import (
	"time"

	"golang.org/x/time/rate"

	"github.com/bearerguard/bearerguard/api/decision"
)

// What finding out more about refusals may take of a processor's time: a twentieth, and half a second at once. Anybody can cause
// refusals, and with very many rules a look is dear.
const (
	looksEach  = 50 * time.Millisecond // a second
	looksBurst = 500 * time.Millisecond
)

// looks bounds the time that goes into finding out more about refusals. It is safe for concurrent use.
type looks struct {
	spent *rate.Limiter // of microseconds
	now   func() time.Time
}

func newLooks(now func() time.Time) looks {
	return looks{rate.NewLimiter(rate.Limit(looksEach.Microseconds()), int(looksBurst.Microseconds())), now}
}

// into returns what more is told of a refusal, and of those of Audit policies; what the record itself has, where no time is left for a look.
func (l *looks) into(r *Record) (decision.Details, []decision.AuditDetails) {
	began := l.now()
	if l.spent.TokensAt(began) <= 0 {
		return decision.Details{Policy: r.Policy}, nil
	}
	d, audited := r.details(), r.audited()
	ended := l.now()
	l.spent.ReserveN(ended, int(min(ended.Sub(began), looksBurst).Microseconds()))
	return d, audited
}
