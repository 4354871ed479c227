package main

import "testing"

func TestGarbageBesideWhatIsLive(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		live uint64
		want int
	}{
		"nothing":                      {0, 400},
		"an idle sidecar":              {2 << 20, 400},
		"a busy one":                   {8 << 20, 200},
		"as much as the least":         {16 << 20, 100},
		"as much as the most":          {32 << 20, 100},
		"twice as much":                {64 << 20, 50},
		"three times as much":          {96 << 20, 33},
		"so much that looking is dear": {1 << 30, 25},
	} {
		if got := percentFor(c.live); got != c.want {
			t.Errorf("%s: %d %%, want %d %%", what, got, c.want)
		}
	}
}
