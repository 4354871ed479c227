package gate

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/token"
)

const (
	// refusalLife is how long what issuers said is known of a token that they do not vouch for, and of any token until it is in the
	// cache of verified ones: a client that comes again at once is no question more.
	refusalLife = time.Second
	// maxAnswers and maxAnswerBytes bound what is known so. The oldest goes first. Verified tokens are not among them, so that
	// no flood of others pushes them out.
	maxAnswers     = 4096
	maxAnswerBytes = 8 << 20
	// maxUnwaited bounds the questions that Audit policies ask, for which nobody waits.
	maxUnwaited = 16
)

// answers are the questions that are being asked, and what was answered within the last second. It is safe for concurrent use.
type answers struct {
	used atomic.Uint64 // how often a verified token was known by an answer of before

	mu       sync.Mutex
	flights  map[answerKey]*flight  // guarded by mu
	known    map[answerKey]*outcome // guarded by mu
	queue    []*outcome             // guarded by mu: those in known and their forerunners, the oldest first
	bytes    int                    // guarded by mu: of the queue
	unwaited int                    // guarded by mu: flights that nobody waits for
}

// answerKey tells tokens apart, each at the place where it was found.
type answerKey struct {
	place int
	sum   [sha256.Size]byte
}

func answerKeyOf(sd *side, f token.Found) answerKey {
	return answerKey{sd.place(f), sha256.Sum256([]byte(f.Raw))}
}

// outcome is what became of a question.
type outcome struct {
	key     answerKey
	finding *finding
	until   time.Time
	bytes   int
}

// flight is one question, for all who ask it at the same time.
type flight struct {
	key     answerKey
	done    chan struct{} // closed once there is an outcome
	cancel  context.CancelFunc
	waiters int // guarded by answers.mu
}

func newAnswers() *answers {
	return &answers{flights: map[answerKey]*flight{}, known: map[answerKey]*outcome{}}
}

// recall returns what was answered, or nil.
func (a *answers) recall(k answerKey, now time.Time) *finding {
	a.mu.Lock()
	defer a.mu.Unlock()
	if o := a.known[k]; o != nil && now.Before(o.until) {
		return o.finding
	}
	return nil
}

// join asks a question, unless it is being asked, or was answered since q came up. Then leave is to be called.
func (a *answers) join(q *question, client netip.Addr) *flight {
	a.mu.Lock()
	defer a.mu.Unlock()
	if o := a.known[answerKeyOf(q.side, q.found)]; o != nil && q.now().Before(o.until) {
		return landed(o.key)
	}
	f := a.begin(q, client)
	f.waiters++
	return f
}

// landed is a flight that is over.
func landed(k answerKey) *flight {
	f := &flight{key: k, done: make(chan struct{}), cancel: func() {}, waiters: 1}
	close(f.done)
	return f
}

// leave says that one waits no more. A question that nobody waits for gives up its place in the line.
func (a *answers) leave(f *flight) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f.waiters--; f.waiters == 0 {
		f.cancel()
	}
}

// aside asks a question for which nobody waits, if there are not many of them.
func (a *answers) aside(q *question, client netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.unwaited >= maxUnwaited || a.flights[answerKeyOf(q.side, q.found)] != nil {
		return
	}
	a.unwaited++
	f := a.begin(q, client)
	f.waiters++
	go func() {
		<-f.done
		a.leave(f)
		a.mu.Lock()
		defer a.mu.Unlock()
		a.unwaited--
	}()
}

// begin is called with mu held.
func (a *answers) begin(q *question, client netip.Addr) *flight {
	k := answerKeyOf(q.side, q.found)
	if f := a.flights[k]; f != nil {
		return f
	}
	ctx, cancel := context.WithTimeout(context.Background(), DefaultKeyWait)
	f := &flight{key: k, done: make(chan struct{}), cancel: cancel}
	a.flights[k] = f
	own := *q
	raw := strings.Clone(q.found.Raw)
	own.found.Raw = raw
	if own.token != nil {
		own.token, _ = token.Parse(raw) // what it was parsed from is the request's
	}
	go a.fly(ctx, f, &own, client)
	return f
}

// fly asks a question and keeps what comes of it. A panic is a refusal.
func (a *answers) fly(ctx context.Context, f *flight, q *question, client netip.Addr) {
	found := &finding{refusal: decision.Refusal{Reason: decision.InternalError}}
	defer f.cancel()
	defer func() {
		_ = recover() // found is what it was
		a.land(f, found, q.now(), ctx.Err() == nil || found.refusal.Reason != decision.IntrospectionUnavailable)
	}()
	found = q.ask(ctx, client, q.found.Raw)
}

// errPanic is why there is no answer where asking panicked.
var errPanic = errors.New("asking it failed inside the sidecar")

// askOne asks one endpoint. It is called in a goroutine of its own, so a panic, which would end the process, is a failure.
func askOne(ctx context.Context, e Endpoint, client netip.Addr, raw string) (answer token.Answer, err error) {
	defer func() {
		if recover() != nil {
			answer, err = token.Answer{}, errPanic
		}
	}()
	return e.Ask(ctx, client, raw)
}

// land keeps an outcome for a while, if it is one, and wakes those who wait.
func (a *answers) land(f *flight, found *finding, now time.Time, keep bool) {
	defer close(f.done)
	o := &outcome{key: f.key, finding: found, until: earlier(now.Add(refusalLife), found.until), bytes: sizeOf(found)}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.flights, f.key)
	if !keep { // all who waited had left before it was asked
		return
	}
	for len(a.queue) > 0 && (len(a.queue) >= maxAnswers || a.bytes+o.bytes > maxAnswerBytes || !now.Before(a.queue[0].until)) {
		oldest := a.queue[0]
		a.queue[0] = nil
		a.queue = a.queue[1:]
		a.bytes -= oldest.bytes
		if a.known[oldest.key] == oldest {
			delete(a.known, oldest.key)
		}
	}
	a.queue = append(a.queue, o)
	a.bytes += o.bytes
	a.known[f.key] = o
}

// sizeOf is about what an outcome takes.
func sizeOf(f *finding) int {
	const own, member = 512, 64
	n := own
	for name, v := range f.verified.Claims {
		n += member + len(name) + weigh(v)
	}
	return n
}

// weigh is about what a claim's value takes.
func weigh(v any) int {
	const value = 32
	n := value
	switch v := v.(type) {
	case string:
		n += len(v)
	case []any:
		for _, e := range v {
			n += weigh(e)
		}
	case map[string]any:
		for name, e := range v {
			n += value + len(name) + weigh(e)
		}
	}
	return n
}
