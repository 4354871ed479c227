package fetch_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/api/fetch"
)

func TestPollerTellsWhenItFetchesNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin()
		o.say("a", "one", nil)
		p := fetch.NewPoller(fetch.PollerOptions{Fetch: o.fetch})
		defer p.Close()
		p.Set([]fetch.Source{source("a")})
		synctest.Wait()
		began := time.Now()
		r := state(p, "a").Report()
		if in := r.Next.Sub(began); !r.Fetched.Equal(began) || in < fetch.DefaultRefresh*9/10 || in > fetch.DefaultRefresh || r.Error != "" {
			t.Fatalf("after the first fetch: %+v", r)
		}
		o.say("a", "", errors.New("down\x1b[2J"))
		time.Sleep(time.Until(r.Next))
		synctest.Wait()
		if n := len(o.times("a")); n != 2 {
			t.Fatalf("%d fetches when the next was due, want 2", n)
		}
		r = state(p, "a").Report()
		if in := time.Until(r.Next); !r.Fetched.Equal(began) || in <= 0 || in > fetch.MaxBackoff || r.Failures != 1 || r.Error != `down\x1b[2J` {
			t.Errorf("after a failure: %+v", r)
		}
	})
}

func TestReportsAreBounded(t *testing.T) {
	t.Parallel()
	if r := (fetch.State{Err: errors.New(strings.Repeat("x", 1<<20))}).Report(); len(r.Error) > 1024 {
		t.Errorf("the error has %d bytes", len(r.Error))
	}
}
