package fetch_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/fetch"
)

// origin answers fetches as a test says and remembers when they came.
type origin struct {
	mu    sync.Mutex
	reply map[string]func(ctx context.Context) ([]byte, fetch.Meta, error)
	calls map[string][]time.Duration
	start time.Time
}

func newOrigin() *origin {
	return &origin{
		reply: map[string]func(context.Context) ([]byte, fetch.Meta, error){},
		calls: map[string][]time.Duration{},
		start: time.Now(),
	}
}

func (o *origin) say(url, body string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reply[url] = func(context.Context) ([]byte, fetch.Meta, error) { return []byte(body), fetch.Meta{}, err }
}

func (o *origin) fetch(ctx context.Context, s fetch.Source) ([]byte, fetch.Meta, error) {
	o.mu.Lock()
	o.calls[s.JWKSURL] = append(o.calls[s.JWKSURL], time.Since(o.start))
	reply := o.reply[s.JWKSURL]
	o.mu.Unlock()
	return reply(ctx)
}

func (o *origin) times(url string) []time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]time.Duration(nil), o.calls[url]...)
}

func source(url string) fetch.Source { return fetch.Source{JWKSURL: url} }

func state(p *fetch.Poller, url string) fetch.State {
	s, _ := p.Get(source(url))
	return s
}

func TestPollerKeepsLastGoodKeysWhileASourceFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin()
		o.say("a", "one", nil)
		changes := 0
		p := fetch.NewPoller(fetch.PollerOptions{Fetch: o.fetch, Changed: func(fetch.Source) { changes++ }})
		defer p.Close()
		p.Set([]fetch.Source{source("a")})
		synctest.Wait()
		fetched := time.Now()
		down := errors.New("down")
		o.say("a", "", down)
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		got := state(p, "a")
		if string(got.Keys) != "one" || !errors.Is(got.Err, down) || got.Failures < 10 || !got.Fetched.Equal(fetched) {
			t.Errorf("after an outage: %+v", got)
		}
		if changes != 2 {
			t.Errorf("changed %d times, want 2: the keys came, then the failure", changes)
		}
		o.say("a", "two", nil)
		time.Sleep(time.Minute + 10*time.Second)
		synctest.Wait()
		last := state(p, "a")
		if diff := cmp.Diff(fetch.State{Keys: []byte("two"), Fetched: last.Fetched, Checked: last.Checked, Next: last.Next, Due: last.Due}, last); diff != "" {
			t.Errorf("after recovery (-want +got):\n%s", diff)
		}
	})
}

func TestPollerBacksOffAfterFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin()
		o.say("a", "", errors.New("down"))
		p := fetch.NewPoller(fetch.PollerOptions{Fetch: o.fetch})
		defer p.Close()
		p.Set([]fetch.Source{source("a")})
		time.Sleep(time.Hour)
		synctest.Wait()
		calls := o.times("a")
		for i := 1; i < len(calls); i++ {
			if gap := calls[i] - calls[i-1]; gap < fetch.MinGap || gap > fetch.MaxBackoff {
				t.Errorf("gap %d is %s, want %s to %s", i, gap, fetch.MinGap, fetch.MaxBackoff)
			}
		}
		if len(calls) < 60 || len(calls) > 130 {
			t.Errorf("%d fetches in an hour of outage, want 60 to 130", len(calls))
		}
	})
}

func TestPollerBoundsFetchesHoweverManyAreAskedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin()
		o.say("a", "one", nil)
		p := fetch.NewPoller(fetch.PollerOptions{Fetch: o.fetch})
		defer p.Close()
		p.Set([]fetch.Source{source("a")})
		time.Sleep(4 * time.Minute) // the burst is whole again
		flood := time.Since(o.start)
		for range 60_000 { // of unknown key ids, for a minute
			p.Refetch(source("a"))
			time.Sleep(time.Millisecond)
		}
		var calls []time.Duration
		for _, at := range o.times("a") {
			if at >= flood {
				calls = append(calls, at)
			}
		}
		if most := fetch.Burst + int(time.Minute/fetch.MinGap); len(calls) > most || len(calls) < most-1 {
			t.Errorf("%d fetches in a minute, want %d: a burst, then one in each gap", len(calls), most)
		}
		for i := range calls {
			for j := i; j < len(calls); j++ {
				if most := fetch.Burst + int((calls[j]-calls[i])/fetch.MinGap); j-i+1 > most {
					t.Fatalf("%d fetches within %s, want %d at most", j-i+1, calls[j]-calls[i], most)
				}
			}
		}
	})
}

func TestPollerSaysHowLongAFetchHasToWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin()
		o.say("a", "one", nil)
		p := fetch.NewPoller(fetch.PollerOptions{Fetch: o.fetch})
		defer p.Close()
		if _, ok := p.Refetch(source("a")); ok {
			t.Error("a source that is not wanted is to be fetched")
		}
		p.Set([]fetch.Source{source("a")})
		synctest.Wait()
		for i := range fetch.Burst - 1 {
			if in, ok := p.Refetch(source("a")); in != 0 || !ok {
				t.Errorf("fetch %d of the burst has to wait %s, want none", i+2, in)
			}
			synctest.Wait()
		}
		time.Sleep(time.Second)
		if in, _ := p.Refetch(source("a")); in != fetch.MinGap-time.Second {
			t.Errorf("one more has to wait %s, want the rest of the gap", in)
		}
		time.Sleep(fetch.MinGap - time.Second)
		synctest.Wait()
		if n := len(o.times("a")); n != fetch.Burst+1 {
			t.Errorf("%d fetches, want %d: what was asked for came as soon as it could", n, fetch.Burst+1)
		}
	})
}

func TestPollerTellsOfFetchesThatBeganAfterTheyWereAskedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin()
		slow := func(body string) {
			o.reply["a"] = func(context.Context) ([]byte, fetch.Meta, error) {
				time.Sleep(time.Second)
				return []byte(body), fetch.Meta{}, nil
			}
		}
		slow("one")
		var told []time.Time
		var p *fetch.Poller
		p = fetch.NewPoller(fetch.PollerOptions{Fetch: o.fetch, Checked: func(s fetch.Source) {
			now, _ := p.Get(s)
			told = append(told, now.Checked)
		}})
		defer p.Close()
		begin := time.Now()
		p.Set([]fetch.Source{source("a")})
		time.Sleep(500 * time.Millisecond)
		p.Refetch(source("a")) // while the first runs, which may have missed what is new
		time.Sleep(10 * time.Second)
		synctest.Wait()
		want := []time.Time{begin, begin.Add(time.Second)}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("the fetches that were told of began at (-want +got):\n%s", diff)
		}
	})
}

func TestPollerTriesAgainWhenAFetchThatWasAskedForFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin()
		o.say("a", "one", nil)
		checks := 0
		p := fetch.NewPoller(fetch.PollerOptions{Fetch: o.fetch, Checked: func(fetch.Source) { checks++ }})
		defer p.Close()
		p.Set([]fetch.Source{source("a")})
		time.Sleep(time.Minute)
		o.say("a", "", errors.New("restarts"))
		p.Refetch(source("a"))
		synctest.Wait()
		if checks != 1 {
			t.Errorf("told of %d fetches, want the first alone: the failure is not the last word", checks)
		}
		o.say("a", "two", nil)
		time.Sleep(time.Second)
		synctest.Wait()
		if got := state(p, "a"); string(got.Keys) != "two" || checks != 2 {
			t.Errorf("a second later: keys %q, told of %d fetches; want the new ones, and 2", got.Keys, checks)
		}
		o.say("a", "", errors.New("down"))
		time.Sleep(time.Minute)
		p.Refetch(source("a"))
		time.Sleep(time.Second)
		synctest.Wait()
		if checks != 3 {
			t.Errorf("told of %d fetches, want 3: two failures are the last word", checks)
		}
	})
}

func TestPollerAnswersALoneWishAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin()
		o.say("a", "one", nil)
		p := fetch.NewPoller(fetch.PollerOptions{Fetch: o.fetch})
		defer p.Close()
		p.Set([]fetch.Source{source("a")})
		time.Sleep(time.Minute)
		o.say("a", "rotated", nil)
		p.Refetch(source("a"))
		p.Refetch(source("unknown"))
		synctest.Wait()
		if got := string(state(p, "a").Keys); got != "rotated" {
			t.Errorf("keys = %q, want the rotated ones without a wait", got)
		}
	})
}

func TestPollerRefreshesAsTheAnswerAsks(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		meta     fetch.Meta
		min, max time.Duration
	}{
		"silent":      {min: 270 * time.Second, max: 5 * time.Minute},
		"ten minutes": {meta: fetch.Meta{MaxAge: 10 * time.Minute, HasMaxAge: true}, min: 9 * time.Minute, max: 10 * time.Minute},
		"no-store":    {meta: fetch.Meta{HasMaxAge: true}, min: 54 * time.Second, max: time.Minute},
		"a year":      {meta: fetch.Meta{MaxAge: 8760 * time.Hour, HasMaxAge: true}, min: 54 * time.Minute, max: time.Hour},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := newOrigin()
				o.reply["a"] = func(context.Context) ([]byte, fetch.Meta, error) { return []byte("one"), test.meta, nil }
				p := fetch.NewPoller(fetch.PollerOptions{Fetch: o.fetch})
				defer p.Close()
				p.Set([]fetch.Source{source("a")})
				time.Sleep(2 * time.Hour)
				synctest.Wait()
				calls := o.times("a")
				if gap := calls[1] - calls[0]; gap < test.min || gap > test.max {
					t.Errorf("refreshed after %s, want %s to %s", gap, test.min, test.max)
				}
			})
		})
	}
}

func TestPollerNeverLetsOneSourceDelayAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin()
		o.reply["stuck"] = func(ctx context.Context) ([]byte, fetch.Meta, error) {
			<-ctx.Done()
			return nil, fetch.Meta{}, ctx.Err()
		}
		o.say("fine", "one", nil)
		p := fetch.NewPoller(fetch.PollerOptions{Fetch: o.fetch})
		p.Set([]fetch.Source{source("stuck"), source("fine")})
		synctest.Wait()
		if got := string(state(p, "fine").Keys); got != "one" {
			t.Errorf("keys = %q beside a stuck source, want %q", got, "one")
		}
		p.Set([]fetch.Source{source("fine")})
		if _, known := p.Get(source("stuck")); known {
			t.Error("a source that is no longer wanted is still known")
		}
		p.Close() // hangs, and so fails the test, if the stuck fetch is not cancelled
	})
}

func TestPollerCountsABadAnswerAsAFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin()
		o.say("a", "good", nil)
		p := fetch.NewPoller(fetch.PollerOptions{Fetch: o.fetch, Vet: func(b []byte) ([]byte, error) {
			if string(b) != "good" {
				return nil, errors.New("garbage")
			}
			return b, nil
		}})
		defer p.Close()
		p.Set([]fetch.Source{source("a")})
		synctest.Wait()
		o.say("a", "bad", nil)
		time.Sleep(6 * time.Minute)
		synctest.Wait()
		if got := state(p, "a"); string(got.Keys) != "good" || got.Err == nil {
			t.Errorf("after a bad answer: %+v", got)
		}
	})
}
