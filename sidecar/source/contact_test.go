package source

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
)

// watched is a contact and what it has done.
type watched struct {
	*contact
	mu    sync.Mutex
	stale bool      // guarded by mu
	kept  time.Time // guarded by mu
	lines []string  // guarded by mu
}

func (w *watched) note(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// told returns the lines of the log.
func (w *watched) told() (lines []string) {
	synctest.Wait()
	w.note(func() { lines = slices.Clone(w.lines) })
	return lines
}

func watchContact(most time.Duration) *watched {
	w := &watched{}
	w.contact = &contact{
		most:  most,
		stale: func(is bool) { w.note(func() { w.stale = is }) },
		keep:  func() { w.note(func() { w.kept = time.Now() }) },
		log:   funcr.New(func(_, args string) { w.note(func() { w.lines = append(w.lines, args) }) }, funcr.Options{}),
	}
	return w
}

func (w *watched) is(t *testing.T, when string, connected bool, age time.Duration, stale bool) {
	t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := w.state(); got.Connected != connected || got.Age != age || w.stale != stale {
		t.Errorf("%s: connected %v, age %s, stale %v; want %v, %s, %v", when, got.Connected, got.Age, w.stale, connected, age, stale)
	}
}

func TestTheAgeOfRules(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := watchContact(time.Minute)
		c.begin(time.Time{})
		defer c.end()
		if c.state().Known {
			t.Error("rules are known before there are any")
		}
		c.newest()
		time.Sleep(time.Hour)
		c.is(t, "while the controller is there", true, 0, false)
		var since time.Duration
		c.note(func() { since = time.Since(c.kept) })
		if since > keepEvery {
			t.Errorf("it was noted on disk %s ago", since)
		}
		c.lost("a cause")
		time.Sleep(30 * time.Second)
		c.is(t, "half a minute without it", false, 30*time.Second, false)
		c.lost("refused")
		time.Sleep(29 * time.Second)
		c.is(t, "a stream on which nothing was said", false, 59*time.Second, false)
		time.Sleep(time.Second)
		c.is(t, "a minute without it", false, time.Minute, true)
		c.is(t, "a stream begins", false, time.Minute, true)
		c.newest()
		c.is(t, "the controller says that the rules are the newest", true, 0, false)
		c.behind()
		time.Sleep(time.Minute)
		c.is(t, "newer rules cannot be used", true, time.Minute, true)
		c.newest()
		c.is(t, "newer rules are in force", true, 0, false)
	})
}

func TestACopyFromDiskHasItsOwnAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		old := watchContact(time.Minute)
		old.begin(time.Now().Add(-time.Hour))
		defer old.end()
		old.is(t, "a copy of an hour", false, time.Hour, true)

		young := watchContact(time.Minute)
		young.begin(time.Now().Add(-50 * time.Second))
		defer young.end()
		young.is(t, "a copy of 50 s", false, 50*time.Second, false)
		time.Sleep(10 * time.Second)
		young.is(t, "10 s later", false, time.Minute, true)

		unbounded := watchContact(0)
		unbounded.begin(time.Now().Add(-time.Hour))
		defer unbounded.end()
		unbounded.is(t, "without a bound", false, time.Hour, false)
	})
}

// However long a stream stands, the rules in force are the newest only once the controller has said so.
func TestAControllerThatDoesNotSayWhatIsNewest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := watchContact(time.Minute)
		c.begin(time.Now().Add(-2 * time.Minute))
		defer c.end()
		c.is(t, "from the beginning", false, 2*time.Minute, true)
		time.Sleep(time.Minute)
		c.is(t, "a stream on which nothing is said", false, 3*time.Minute, true)
		c.newest()
		c.is(t, "once it is said", true, 0, false)
	})
}

func TestTheLogTellsOfALostControllerOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := watchContact(0)
		c.begin(time.Time{})
		defer c.end()
		c.newest()
		for range 3 { // streams that end in the ordinary course of things
			c.lost("long enough")
			time.Sleep(time.Second)
			c.newest()
		}
		if lines := c.told(); len(lines) != 0 {
			t.Errorf("the log tells of streams that came again at once: %q", lines)
		}
		c.lost("the cable")
		for range 10 {
			time.Sleep(2 * time.Second)
			c.lost("refused")
		}
		c.newest()
		if lines := c.told(); len(lines) != 2 || !strings.Contains(lines[0], `out of reach`) || !strings.Contains(lines[0], `"cause"="the cable"`) ||
			!strings.Contains(lines[1], "there again") || !strings.Contains(lines[1], `"after"="20s"`) {
			t.Errorf("log: %q", lines)
		}
	})
}
