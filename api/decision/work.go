package decision

import (
	"time"

	"github.com/google/cel-go/cel"
)

// What a unit of cel-go's cost model takes at most, by BenchmarkConditionCost: 10 to 50 ns, but 200 where a regular expression is looked for.
// Claims that a regular expression of a claim condition is looked for in take workPerByte.
const (
	workPerUnit    = 50 * time.Nanosecond
	workPerMatched = 200 * time.Nanosecond
	workPerByte    = 60 * time.Nanosecond
)

// workSizes are the sizes for which the cost of an expression is estimated. They lie far apart, since each estimate makes a policy take
// longer to compile.
var workSizes = [...]uint64{16, 128, assumedSize, 8 << 10, largestSize}

// work is what an expression may take where nothing that it looks at is larger than each of workSizes: has more characters or entries.
type work [len(workSizes)]time.Duration

// workOf estimates it. What macros make of what comes in is at most grows times as large.
func workOf(env *cel.Env, checked *cel.Ast, grows uint64, matches bool) (w work) {
	per := workPerUnit
	if matches {
		per = workPerMatched
	}
	for i, size := range workSizes {
		units := uint64(maxCost) // there evaluation ends
		if cost, err := env.EstimateCost(checked, sizes{size * max(1, grows)}); err == nil {
			units = min(units, cost.Max)
		}
		w[i] = per * time.Duration(units) //nolint:gosec // not above maxCost
	}
	return w
}

// at is for one size. Costs grow as powers of it, or not at all: the line between two of them is never below.
func (w *work) at(size int) time.Duration {
	n, last := uint64(max(size, 0)), len(workSizes)-1
	if n <= workSizes[0] {
		return w[0]
	}
	for i := 1; i <= last; i++ {
		if from, to := workSizes[i-1], workSizes[i]; n <= to {
			return w[i-1] + (w[i]-w[i-1])*time.Duration(n-from)/time.Duration(to-from) //nolint:gosec // small
		}
	}
	return w[last]
}

// extent is the size of the largest text, list or object in a claim's value.
func extent(v any) (n int) {
	switch v := v.(type) {
	case string:
		n = len(v)
	case []any:
		n = len(v)
		for _, e := range v {
			n = max(n, extent(e))
		}
	case map[string]any:
		n = len(v)
		for name, e := range v {
			n = max(n, len(name), extent(e))
		}
	}
	return n
}

// newBinding sums up what the rules' conditions on claims alone may take.
func newBinding(rules []*rule) (b binding) {
	for _, r := range rules {
		if r == nil {
			continue
		}
		if r.when != nil && !r.when.readsRequest {
			for i, d := range r.when.work {
				b.when[i] += d
			}
			b.some = true
		}
		for i := range r.claims {
			if r.claims[i].op == opMatches {
				b.perByte += workPerByte
				b.some = true
			}
		}
	}
	return b
}

// binding is what it takes to bind a token to a Program.
type binding struct {
	some    bool // else what it takes need not be counted
	when    work
	perByte time.Duration
}

// BindWork estimates what it takes to Bind the claims of a token of so many bytes, as far as it may take long; nil claims are not known
// yet.
func (p *Program) BindWork(claims Claims, bytes int) time.Duration {
	if p == nil || !p.binding.some {
		return 0
	}
	size := bytes
	if claims != nil {
		size = min(size, extent(map[string]any(claims)))
	}
	return p.binding.when.at(size) + p.binding.perByte*time.Duration(bytes)
}

// affords takes off the request's budget what it may take to evaluate the condition of a rule. What an Audit policy would have said can be
// done without.
func (j *judge) affords(r *rule) bool {
	b := &j.request.Budget
	if !b.Bounded() {
		return true
	}
	size := max(j.subject.extent, len(j.request.Path), len(j.request.RawQuery))
	if r.when.headers.all {
		size = max(size, largestSize)
	}
	for _, name := range r.when.headers.names {
		sum := 0
		for _, v := range j.request.header(name) {
			sum += len(v) + len(", ")
		}
		size = max(size, sum)
	}
	ok := b.Spend(r.when.work.at(size) * time.Duration(1+len(j.request.Readings)))
	if !ok && r.audit {
		b.Spare()
	}
	return ok
}
