package push

import "testing"

func TestPlaces(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		greedy []string // each takes as many as it can, one at a time
		got    int      // by the first of them
	}{
		"one address gets half":         {greedy: []string{"a"}, got: 512},
		"two get a third each":          {greedy: []string{"a", "b"}, got: 342},
		"three get a quarter each":      {greedy: []string{"a", "b", "c"}, got: 256},
		"seven leave an eighth as well": {greedy: []string{"a", "b", "c", "d", "e", "f", "g"}, got: 128},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlaces(1024)
			for more := true; more; {
				more = false
				for _, address := range c.greedy {
					more = p.take(address) || more
				}
			}
			if got := p.taken["a"]; got != c.got {
				t.Errorf("a got %d places, want %d", got, c.got)
			}
			if !p.take("another") {
				t.Error("there is no place for another address")
			}
			p.leave("another")
			for address, n := range p.taken {
				for range n {
					p.leave(address)
				}
			}
			if p.free != 1024 || len(p.taken) != 0 {
				t.Errorf("%d places are free afterwards, %d addresses have some; want all and none", p.free, len(p.taken))
			}
		})
	}
}
