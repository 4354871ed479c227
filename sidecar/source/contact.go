package source

import (
	"sync"
	"time"

	"github.com/go-logr/logr"
)

// Freshness is what is known of how new the rules in force are.
type Freshness struct {
	// Connected says that the controller is there.
	Connected bool
	// Age is the time since the rules in force were last known to be the newest: 0 while they are. Known is false as long as
	// there have been no rules.
	Age   time.Duration
	Known bool
}

const (
	// outOfTouch is how long the controller has to be out of reach for the log to speak of it: streams end and begin in the
	// ordinary course of things.
	outOfTouch = 5 * time.Second
	// keepEvery is how often it is noted on disk that the rules are the newest.
	keepEvery = 15 * time.Second
)

// contact follows whether the controller is there and the rules in force are the newest. It is safe for concurrent use.
type contact struct {
	log   logr.Logger
	most  time.Duration // the longest age; 0: any
	stale func(bool)    // is told whether the age is more
	keep  func()        // notes on disk that the rules are the newest now

	mu        sync.Mutex
	connected bool        // guarded by mu
	current   bool        // guarded by mu: the rules in force are the newest
	last      time.Time   // guarded by mu: when they were so last; zero: never
	since     time.Time   // guarded by mu: when the controller was lost, or the start
	told      bool        // guarded by mu: the log has spoken of that
	expiry    *time.Timer // guarded by mu: tells that the rules are stale
	quiet     *time.Timer // guarded by mu: tells the log
	keeping   *time.Timer // guarded by mu: calls keep
}

// begin starts the clock, with rules that were the newest at that time, or none.
func (c *contact) begin(last time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = last
	c.wait("the controller has not been reached yet")
}

// none takes begin back: there are no rules.
func (c *contact) none() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = time.Time{}
	if c.expiry != nil {
		c.expiry.Stop()
	}
	if c.most > 0 {
		c.stale(false)
	}
}

// heard notes a sign of life of the controller.
func (c *contact) heard() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hear()
}

func (c *contact) hear() {
	if c.connected {
		return
	}
	c.connected = true
	c.quiet.Stop()
	if c.told {
		c.log.Info("the controller is there again", "after", time.Since(c.since).Round(time.Second).String())
	}
	c.told = false
}

// newest notes that the rules in force are the newest.
func (c *contact) newest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hear()
	c.fresh()
}

func (c *contact) fresh() {
	c.last = time.Now()
	c.keep()
	if c.current {
		return
	}
	c.current = true
	c.keeping = time.AfterFunc(keepEvery, c.kept)
	if c.expiry != nil {
		c.expiry.Stop()
	}
	if c.most > 0 {
		c.stale(false)
	}
}

func (c *contact) kept() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current {
		c.keep()
		c.keeping.Reset(keepEvery)
	}
}

// behind notes that there are newer rules than those in force, which cannot be used.
func (c *contact) behind() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hear()
	c.old()
}

// lost notes that the stream has ended.
func (c *contact) lost(cause string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.old()
	if c.connected {
		c.connected = false
		c.wait(cause)
	}
}

// old is called with mu held once the rules are not known to be the newest any more.
func (c *contact) old() {
	if !c.current {
		return
	}
	c.current, c.last = false, time.Now()
	c.keep()
	c.keeping.Stop()
	c.expire()
}

// wait is called with mu held when there is no controller.
func (c *contact) wait(cause string) {
	c.since = time.Now()
	c.quiet = time.AfterFunc(outOfTouch, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.connected && !c.told {
			c.told = true
			c.log.Info("the controller is out of reach; going on with the rules in force", "since", c.since.UTC().Format(time.RFC3339), "cause", cause)
		}
	})
	if !c.current {
		c.expire()
	}
}

// expire is called with mu held: from now on the rules grow old.
func (c *contact) expire() {
	if c.most == 0 || c.last.IsZero() {
		return
	}
	if c.expiry != nil {
		c.expiry.Stop()
	}
	left := c.most - time.Since(c.last)
	if left <= 0 {
		c.tooOld()
		return
	}
	c.expiry = time.AfterFunc(left, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.current && time.Since(c.last) >= c.most {
			c.tooOld()
		}
	})
}

func (c *contact) tooOld() {
	c.stale(true)
	c.log.Info("the rules in force are too old: every request is refused until the controller is there", "maxStaleness", c.most.String())
}

// end stops the clocks.
func (c *contact) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range []*time.Timer{c.expiry, c.quiet, c.keeping} {
		if t != nil {
			t.Stop()
		}
	}
}

// state returns what is known now.
func (c *contact) state() Freshness {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := Freshness{Connected: c.connected, Known: !c.last.IsZero()}
	if f.Known && !c.current {
		f.Age = max(0, time.Since(c.last))
	}
	return f
}
