package source

import (
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/bearerguard/bearerguard/api/bundle"
)

func TestThePaceOfConnections(t *testing.T) {
	t.Parallel()
	const s = time.Second
	cases := map[string]struct {
		rules bool
		told  []string // at the end of the first stream
		least []time.Duration
		most  []time.Duration
	}{
		"with rules: soon, then ever longer": {
			rules: true, least: []time.Duration{0, s, 2 * s, 4 * s, 7500 * time.Millisecond, 7500 * time.Millisecond},
			most: []time.Duration{s, 2 * s, 4 * s, 8 * s, 15 * s, 15 * s},
		},
		"without rules: never long": {
			least: []time.Duration{s / 10, s / 5, 2 * s / 5, 4 * s / 5, 1500 * time.Millisecond, 1500 * time.Millisecond},
			most:  []time.Duration{s / 5, 2 * s / 5, 4 * s / 5, 8 * s / 5, 3 * s, 3 * s},
		},
		"as the controller says, once": {
			rules: true, told: []string{"2345"}, least: []time.Duration{2345 * time.Millisecond, s}, most: []time.Duration{2345 * time.Millisecond, 2 * s},
		},
		"at once if the controller says so": {
			rules: true, told: []string{"0"}, least: []time.Duration{0}, most: []time.Duration{0},
		},
		"not longer than ever, whatever the controller says": {
			told: []string{"4000000000"}, least: []time.Duration{15 * s}, most: []time.Duration{15 * s},
		},
		"what makes no sense is passed over": {
			rules: true, told: []string{"-5"}, least: []time.Duration{0}, most: []time.Duration{s},
		},
		"what is said twice is passed over": {
			rules: true, told: []string{"5000", "6000"}, least: []time.Duration{0}, most: []time.Duration{s},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 100 {
				var p pace
				p.hear(metadata.MD{bundle.WaitTrailer: c.told})
				for i := range c.least {
					if got := p.next(c.rules); got < c.least[i] || got > c.most[i] {
						t.Errorf("wait %d is %s, want %s to %s", i, got, c.least[i], c.most[i])
					}
				}
				p.good()
				if got := p.next(true); got >= s {
					t.Errorf("after a good stream %s, want less than a second", got)
				}
			}
		})
	}
}
