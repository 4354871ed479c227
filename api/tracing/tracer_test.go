package tracing_test

import (
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/tracing"
)

// counted is a sink that counts.
type counted struct{ spans, bytes int }

// Add implements tracing.Sink.
func (c *counted) Add(encoded []byte, spans int) {
	c.spans, c.bytes = c.spans+spans, c.bytes+len(encoded)
}

func TestWhatIsSampled(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, tt := range map[string]struct {
		ratio  float64
		parent []string
		least  int // of 10,000
		most   int
	}{
		"roots by their ratio":              {0.1, nil, 800, 1200},
		"no roots":                          {0, nil, 0, 0},
		"all roots":                         {1, nil, 10000, 10000},
		"a parent that is sampled":          {0, []string{given}, 10000, 10000},
		"a parent that is not":              {1, []string{given[:53] + "00"}, 0, 0},
		"a parent that cannot be read":      {0, []string{given + "-"}, 0, 0},
		"a parent twice":                    {0, []string{given, given}, 0, 0},
		"a parent that cannot be read, too": {1, []string{given + "-"}, 10000, 10000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sink := &counted{}
			tracer := tracing.NewTracer(sink, tracing.Options{Ratio: tt.ratio, PerSecond: 10000})
			for range 10000 {
				tracer.Start(tt.parent, tracing.Server, now).End("GET", now, false)
			}
			if sink.spans < tt.least || sink.spans > tt.most || tracer.Over() != 0 {
				t.Errorf("%d of 10,000 were sampled", sink.spans)
			}
		})
	}
}

func TestTracesOfASecondAreBounded(t *testing.T) {
	t.Parallel()
	sink, now := &counted{}, time.Now()
	tracer := tracing.NewTracer(sink, tracing.Options{PerSecond: 10})
	for range 1000 {
		tracer.Start([]string{given}, tracing.Server, now).End("GET", now, false)
	}
	tracer.Start([]string{given}, tracing.Server, now.Add(time.Second)).End("GET", now, false)
	if sink.spans != 11 || tracer.Over() != 990 {
		t.Errorf("%d were sampled, %d were too many", sink.spans, tracer.Over())
	}
}

// What is not sampled costs no memory, and what is, none that lasts.
func TestNoAllocations(t *testing.T) { //nolint:paralleltest // counts all allocations of the process
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	sink, now := &counted{}, time.Now()
	tracer := tracing.NewTracer(sink, tracing.Options{Ratio: 0, PerSecond: 1 << 30})
	none, sampled := []string(nil), []string{given}
	if n := testing.AllocsPerRun(1000, func() { tracer.Start(none, tracing.Server, now) }); n != 0 {
		t.Errorf("%v allocations for a request that is not sampled", n)
	}
	if n := testing.AllocsPerRun(1000, func() {
		s := tracer.Start(sampled, tracing.Server, now)
		s.Attrs().Text("http.request.method", "GET")
		s.Attrs().Int("http.response.status_code", 200)
		s.End("GET", now, false)
	}); n > 1 {
		t.Errorf("%v allocations for a span", n)
	}
}
