package token

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// inOnePlace makes tokens that have one place among the frequent ones.
func inOnePlace[T any](c *Cache[T], n int) []string {
	var out []string
	var place any
	for i := 0; len(out) < n; i++ {
		raw := fmt.Sprintf("%0100d", i)
		at := c.frequent.place(c.hash(cacheKey{raw, 0}))
		if place == nil {
			place = at
		}
		if place == any(at) {
			out = append(out, raw)
		}
	}
	return out
}

func TestATokenThatIsUsedOftenTakesThePlace(t *testing.T) {
	t.Parallel()
	c := NewCache[int](256 << 10)
	tokens := inOnePlace(c, 2)
	byText := func(i int) bool {
		return c.frequent.find(c.hash(cacheKey{tokens[i], 0}), cacheKey{tokens[i], 0}) != nil
	}
	keep(c, tokens[0], 0, 0)
	keep(c, tokens[1], 0, 1)
	if !byText(0) || byText(1) {
		t.Fatal("the first has its place at once, the second finds it taken")
	}
	bytes := c.Stats().Bytes
	for i := range frequentAfter - 1 {
		if !known(c, tokens[1], 0, 1) || byText(1) {
			t.Fatalf("after %d times", i)
		}
	}
	if !known(c, tokens[1], 0, 1) || !byText(1) || byText(0) {
		t.Fatal("the second has not taken the place")
	}
	if !known(c, tokens[0], 0, 0) || !known(c, tokens[1], 0, 1) || c.Stats().Bytes != bytes {
		t.Error("both are known, and take what they took")
	}
}

func TestAnExpiredTokenMakesRoom(t *testing.T) {
	t.Parallel()
	c := NewCache[int](256 << 10)
	tokens := inOnePlace(c, 2)
	c.Fill(tokens[0], 0, now, func(string) Entry[int] { return Entry[int]{Expiry: now.Add(time.Minute), Keep: true} })
	later := now.Add(time.Minute)
	c.Fill(tokens[1], 0, later, func(string) Entry[int] { return Entry[int]{Value: 1, Keep: true} })
	if c.frequent.find(c.hash(cacheKey{tokens[1], 0}), cacheKey{tokens[1], 0}) == nil {
		t.Error("it did not")
	}
}

// A token that was pushed out of the table may still be known by its text, but not past its expiry.
func TestTextsOutliveTheirEntriesUntilTheyExpire(t *testing.T) {
	t.Parallel()
	c := NewCache[int](64 << 10)
	const first = "first"
	c.Fill(first, 0, now, func(string) Entry[int] { return Entry[int]{Value: 1, Expiry: now.Add(time.Minute), Keep: true} })
	for i := range 2000 {
		keep(c, fmt.Sprintf("%0100d", i), 0, i)
	}
	if c.Get(first, 0, now.Add(time.Minute)) != nil {
		t.Error("known past its expiry")
	}
	fresh := 0
	c.Fill(first, 0, now.Add(time.Minute), func(string) Entry[int] { fresh++; return Entry[int]{Value: 2} })
	if fresh != 1 {
		t.Error("its verdict is of before its expiry")
	}
}

func TestFrequentTokensAreBounded(t *testing.T) {
	t.Parallel()
	const limit = 64 << 10
	c := NewCache[int](limit)
	for i := range 3000 {
		raw := fmt.Sprintf("%0100d", i) + strings.Repeat("x", i%3*1000)
		keep(c, raw, 0, i)
		for range frequentAfter + 1 {
			c.Get(raw, 0, now)
		}
	}
	if b := c.frequent.bytes.Load(); b > limit/frequentShare || b < limit/frequentShare/4 {
		t.Errorf("they take %d bytes of %d", b, limit/frequentShare)
	}
	held := int64(0)
	for i := range c.frequent.places {
		if h := c.frequent.places[i].Load(); h != nil {
			held += h.bytes()
		}
	}
	if b := c.frequent.bytes.Load(); b != held {
		t.Errorf("%d bytes are counted, %d are held", b, held)
	}
}
