package revsource

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/bearerguard/bearerguard/api/fair"
	"github.com/bearerguard/bearerguard/controllers/keys"
)

// crowd is who waits for new keys in a test.
type crowd struct {
	t   *testing.T
	n   newKeys
	all sync.WaitGroup
}

// come has an address wait some times more, and returns what becomes of it.
func (c *crowd) come(id string, by caller, times int) chan error {
	out := make(chan error, times)
	for range times {
		c.all.Go(func() { out <- c.n.wait(c.t.Context(), id, by, func(string) {}) })
		synctest.Wait() // one after the other
	}
	return out
}

// told has the source fetched, and returns how many of those who wait were told.
func told(got chan error) (n int) {
	for len(got) > 0 {
		if err := <-got; err == nil {
			n++
		}
	}
	return n
}

func stranger(i int) caller {
	return caller{from: fair.Place(fmt.Sprintf("10.0.%d.%d:1", i>>8, i&255))}
}

// Whoever can make tokens of unknown keys, which takes no key, leaves room to other addresses and to other sources.
func TestWhoWaitsForNewKeysLeavesRoom(t *testing.T) {
	t.Parallel()
	honest := caller{from: fair.Place("[2001:db8::1]:1")}
	known := caller{from: honest.from, proven: true}
	for name, tc := range map[string]struct {
		addresses, each int // of the attacker
		by              caller
		comes           int
		want            int // of these that are told
	}{
		"one address that sends without end":                        {1, 1000, honest, 4, 4},
		"four addresses that fill all places":                       {4, 1000, honest, 4, 4},
		"four addresses, and a provider that sends many":            {4, 1000, honest, 16, 12}, // 64 places for five
		"thirty addresses":                                          {30, 1000, honest, 2, 2},
		"as many addresses as there are places":                     {64, 1, honest, 1, 0},
		"the same, and an address that good events have come from":  {64, 1, known, 16, 16},
		"a thousand addresses, and one that good events came from":  {1000, 16, known, 16, 16},
		"a provider that sends more than an address may have":       {0, 0, honest, 20, 16},
		"one that good events have come from, and sends more":       {0, 0, known, 20, 16},
		"as many addresses as places but one, and then a provider":  {63, 1, honest, 1, 1},
		"two addresses that take turns with what they have at once": {2, 16, honest, 16, 16},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := &crowd{t: t}
				for i := range tc.addresses {
					c.come("login", stranger(i), min(tc.each, maxNewKeysOf+1))
				}
				got, polled := c.come("login", tc.by, tc.comes), c.come("login", caller{from: fetched}, atATime)
				for i := range tc.addresses { // they do not let go
					c.come("login", stranger(i), 2)
				}
				other := c.come("other", stranger(0), 1)
				c.n.checked(keys.Checked{ID: "login"})
				synctest.Wait()
				if n := told(got); n != tc.want {
					t.Errorf("%d of %d are told, want %d", n, tc.comes, tc.want)
				}
				if n := told(polled); n != atATime {
					t.Errorf("%d of %d that were fetched are told", n, atATime)
				}
				if len(other) > 0 {
					t.Error("another source: is told")
				}
				if err := <-other; !errors.Is(err, errTooSoon) { // the clock goes on
					t.Errorf("a source that is not fetched: %v", err)
				}
				c.all.Wait()
				if len(c.n.of) != 0 {
					t.Errorf("%d sources are left", len(c.n.of))
				}
			})
		})
	}
}

func TestWhoseNewKeysAreWaitedForIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{t: t}
		for i := range 1000 {
			c.come("login", stranger(i), 1)
		}
		for i := range 100 {
			c.come("login", caller{fair.Place(fmt.Sprintf("10.9.9.%d:1", i)), true}, 1)
		}
		c.n.mu.Lock()
		if a := c.n.of["login"]; a.waiting != maxNewKeys+maxProven || a.posted.n != maxNewKeys || a.proven.n != maxProven {
			t.Errorf("%d wait: %d and %d", a.waiting, a.posted.n, a.proven.n)
		}
		c.n.mu.Unlock()
		c.all.Wait()
	})
}

func TestAddressesOfGoodEventsAreBounded(t *testing.T) {
	t.Parallel()
	var p proven
	first, last := stranger(0).from, stranger(100).from
	for i := range 101 {
		p.note(stranger(i).from)
		p.note(stranger(i).from)
	}
	if len(p.all) != provenKept || p.has(first) || !p.has(last) {
		t.Errorf("%d are kept: %v", len(p.all), p.all)
	}
}
