package logqueue

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log" //nolint:depguard // what the standard library logs by itself
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc/grpclog"
)

// reader reads a log when it is told to: until then, who writes waits.
type reader struct {
	free chan struct{} // closed: it reads
	err  error         // what it answers with while it is not nil

	mu     sync.Mutex
	got    bytes.Buffer
	writes int
}

func newReader() *reader { return &reader{free: make(chan struct{})} }

func (r *reader) Write(p []byte) (int, error) {
	<-r.free
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writes++
	if r.err != nil {
		n := min(len(p), 5)
		r.got.Write(p[:n])
		return n, r.err
	}
	return r.got.Write(p)
}

func (r *reader) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

func (r *reader) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got.String()
}

// queued is a line as slog's handlers write them.
func queued(n, size int) string {
	line := fmt.Sprintf("line %d ", n)
	return line + strings.Repeat("x", size-len(line)-1) + "\n"
}

func writeLines(t *testing.T, q *Queue, from, to, size int) {
	t.Helper()
	for n := from; n < to; n++ {
		line := []byte(queued(n, size))
		if got, err := q.Write(line); got != len(line) || err != nil {
			t.Fatal(got, err)
		}
		copy(line, "overwritten") // it is the caller's again
	}
}

// A log that nobody reads makes nobody wait. All that there is room for is read in the end, then how much was lost, then what came later.
func TestALogThatNobodyReadsHoldsNobody(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"json", "text"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const size, lost = 1 << 10, 100
				r := newReader()
				q := New(r)
				log, err := q.Logger(format, "error")
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				writeLines(t, q, 0, 1, size)
				synctest.Wait() // the first is being written, and does not count
				kept := 1 + mostQueued/size
				writeLines(t, q, 1, kept+lost, size)
				if d := time.Since(began); d != 0 {
					t.Errorf("who logs was held for %s", d)
				}
				if got := q.Dropped(); got != lost {
					t.Errorf("%d lines were dropped, want %d", got, lost)
				}
				if held := cap(q.lines) + cap(q.spare); held > 2*mostQueued {
					t.Errorf("%d bytes are held", held)
				}
				close(r.free)
				synctest.Wait()
				log.Error(nil, "a later one")
				synctest.Wait()
				lines := strings.SplitAfter(r.text(), "\n")
				if len(lines) != kept+3 || lines[kept+2] != "" {
					t.Fatalf("%d lines were read, want %d and two more", len(lines)-1, kept)
				}
				for n := range kept {
					if lines[n] != queued(n, size) {
						t.Fatalf("line %d is %q", n, lines[n])
					}
				}
				if told := lines[kept]; lostIn(t, format, told) != lost {
					t.Errorf("%d are lost, and the log says %q", lost, told)
				}
				if !strings.Contains(lines[kept+1], "a later one") {
					t.Errorf("the log ends with %q", lines[kept+1])
				}
				if r.writes != 3 {
					t.Errorf("it took %d writes, want one for what was first, one for what waited, and one for the rest", r.writes)
				}
			})
		})
	}
}

// lostIn returns how many lines the log says were lost.
func lostIn(t *testing.T, format, line string) (lines int) {
	t.Helper()
	if format == "text" {
		const want = ` level=ERROR msg="log lines were lost: nobody read them in time" lines=`
		_, number, _ := strings.Cut(line, want)
		_, _ = fmt.Sscan(number, &lines)
		return lines
	}
	var said struct {
		Level, Msg string
		Lines      int
	}
	if err := json.Unmarshal([]byte(line), &said); err != nil || said.Level != "ERROR" || said.Msg != "log lines were lost: nobody read them in time" {
		t.Errorf("%q: %v", line, err)
	}
	return said.Lines
}

// Nothing is said between two losses that come one after the other, and no line gets in between.
func TestLossesAreToldInTheirPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReader()
		q := New(r)
		if _, err := q.Logger("text", "info"); err != nil {
			t.Fatal(err)
		}
		writeLines(t, q, 0, 1, 20)
		synctest.Wait()
		writeLines(t, q, 1, 2, mostQueued-50)
		writeLines(t, q, 2, 3, 100) // there is no room for it
		writeLines(t, q, 3, 4, 20)  // there would be, but it came after one that is lost
		close(r.free)
		synctest.Wait()
		writeLines(t, q, 4, 5, 20)
		synctest.Wait()
		lines := strings.SplitAfter(r.text(), "\n")
		if len(lines) != 5 || lines[1] != queued(1, mostQueued-50) || lostIn(t, "text", lines[2]) != 2 || lines[3] != queued(4, 20) {
			t.Errorf("%d lines, the last are %q", len(lines), lines[2:])
		}
	})
}

func TestManyWhoLogKeepTheirLinesWhole(t *testing.T) {
	t.Parallel()
	r := newReader()
	close(r.free)
	q := New(r)
	const writers, each = 8, 500
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for n := range each {
				_, _ = fmt.Fprintf(q, "%d %d %s\n", w, n, strings.Repeat("y", n))
			}
		})
	}
	all.Wait()
	q.Flush(time.Minute)
	next := [writers]int{}
	for line := range strings.Lines(r.text()) {
		var w, n int
		if _, err := fmt.Sscanf(line, "%d %d", &w, &n); err != nil || n != next[w] || line != fmt.Sprintf("%d %d %s\n", w, n, strings.Repeat("y", n)) {
			t.Fatalf("%q: %v", line, err)
		}
		next[w]++
	}
	for w, n := range next {
		if n != each {
			t.Errorf("%d lines of %d were read, want %d", n, w, each)
		}
	}
	if q.Dropped() != 0 {
		t.Errorf("%d lines were dropped", q.Dropped())
	}
}

func TestFlushWaitsForWhoReadsButNotForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReader()
		q := New(r)
		began := time.Now()
		q.Flush(time.Second) // there is nothing
		if d := time.Since(began); d != 0 {
			t.Errorf("waited for nothing for %s", d)
		}
		writeLines(t, q, 0, 3, 20)
		q.Flush(time.Second)
		if d := time.Since(began); d != time.Second {
			t.Errorf("waited for %s for a reader that is stuck, want 1s", d)
		}
		time.AfterFunc(time.Second/2, func() { close(r.free) })
		q.Flush(time.Second)
		if d := time.Since(began); d != 3*time.Second/2 {
			t.Errorf("waited for %s in all, want 1.5s", d)
		}
		if want := queued(0, 20) + queued(1, 20) + queued(2, 20); r.text() != want {
			t.Errorf("%q was read, want %q", r.text(), want)
		}
	})
}

// A disk that is full loses lines, costs one try a line, and what comes once there is room stands in a line of its own.
func TestLinesThatCannotBeWrittenAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReader()
		close(r.free)
		q := New(r)
		log, err := q.Logger("text", "info")
		if err != nil {
			t.Fatal(err)
		}
		r.fail(errors.New("no space left"))
		for range 3 {
			log.Info("lost")
			synctest.Wait()
		}
		if r.writes > 6 || q.Dropped() != 3 {
			t.Errorf("%d writes and %d lines dropped, want 3 of which each is tried once", r.writes, q.Dropped())
		}
		r.fail(nil)
		log.Info("the fourth") // lost, too: it has the queue try again
		synctest.Wait()
		log.Info("the fifth")
		synctest.Wait()
		lines := strings.Split(strings.TrimSuffix(r.text(), "\n"), "\n")
		if len(lines) < 2 || !strings.HasPrefix(lines[len(lines)-2], "time=2000") || !strings.HasSuffix(lines[len(lines)-1], `msg="the fifth"`) ||
			!strings.HasSuffix(lines[len(lines)-2], `msg="log lines were lost: they could not be written" err="no space left" lines=4`) {
			t.Errorf("the log is %q", lines)
		}
	})
}

// It is not parallel, since it counts allocations.
func TestAQueuedLineDoesNotAllocate(t *testing.T) {
	q := New(io.Discard)
	line := []byte(queued(0, 400))
	do := func() {
		_, _ = q.Write(line)
		runtime.Gosched()
	}
	for range 1000 {
		do()
	}
	if n := testing.AllocsPerRun(1000, do); n != 0 {
		t.Errorf("a line allocates %v times", n)
	}
}

func BenchmarkQueuedLine(b *testing.B) {
	q := New(io.Discard)
	line := []byte(queued(0, 400))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = q.Write(line)
	}
}

func TestLostLinesAreAskedForWhenCollected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReader()
		q := New(r)
		reg := prometheus.NewRegistry()
		if err := q.Register(reg); err != nil {
			t.Fatal(err)
		}
		writeLines(t, q, 0, 1, 20)
		synctest.Wait()
		writeLines(t, q, 1, 2, mostQueued)
		writeLines(t, q, 2, 5, 20)
		all, err := reg.Gather()
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		if name, n := all[0].GetName(), all[0].GetMetric()[0].GetCounter().GetValue(); name != "bearerguard_log_lines_dropped_total" || n != 3 {
			t.Errorf("got %s %v", name, n)
		}
		if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
			t.Error(problems, err)
		}
		close(r.free)
	})
}

// What other libraries log by themselves is in the program's own format, and waits for nobody. It is not parallel, since it changes
// what the whole process logs to.
func TestTheLogOfAProgram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReader()
		q := New(r)
		if _, err := q.OfProgram("json", "error"); err != nil {
			t.Fatal(err)
		}
		log.Print("http: panic")
		grpclog.Error("a stream broke")
		grpclog.Info("nobody wants to know")
		slog.Info("nor this")
		close(r.free)
		synctest.Wait()
		lines := strings.SplitAfter(r.text(), "\n")
		if len(lines) != 3 {
			t.Fatalf("the log is %q", lines)
		}
		for i, want := range []string{"http: panic", "a stream broke"} {
			var line struct{ Level, Msg string }
			if err := json.Unmarshal([]byte(lines[i]), &line); err != nil || line.Level != "ERROR" || !strings.Contains(line.Msg, want) {
				t.Errorf("%q, want an error about %q: %v", lines[i], want, err)
			}
		}
	})
}

func TestNewLoggerRefusesUnknownSettings(t *testing.T) {
	t.Parallel()
	for _, tt := range [][2]string{{"xml", "info"}, {"json", "loud"}} {
		if _, err := NewLogger(&bytes.Buffer{}, tt[0], tt[1]); err == nil {
			t.Errorf("format %s, level %s: no error", tt[0], tt[1])
		}
	}
	if _, err := NewLogger(&bytes.Buffer{}, "text", "debug"); err != nil {
		t.Error(err)
	}
}
