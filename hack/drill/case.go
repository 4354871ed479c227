package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// drillCase is one thing that goes wrong.
type drillCase struct {
	name  string // a few words, unique
	what  string // what happens and what is expected, as a sentence
	quick bool   // whether it belongs to the quick half
	bound bound
	// run makes it happen, and ends once all is expected to be well again. It calls world.fault when the trouble begins
	// and world.told for each thing that the status has to say. An error is an expectation that did not hold.
	run func(context.Context, *world) error
	// restore undoes what run leaves; nil: nothing. It runs whatever became of run.
	restore func(context.Context, *world) error
}

// bound is how much of the valid traffic a case may cost.
type bound struct {
	refused, dropped int           // at most so many requests; unbounded: -1
	recover          time.Duration // at most so long after the fault; zero: a request that fails at all is too many
}

// unbounded is any number.
const unbounded = -1

// result is what became of a case.
type result struct {
	tally   tally
	lies    []string // what the status should have said, and did not
	checked int      // how often the status was looked at
	took    time.Duration
	err     error
}

// verdict returns why a result is not as wanted; empty if it is.
func (c *drillCase) verdict(r result) string {
	var why []string
	t := r.tally
	if t.allowed > 0 {
		why = append(why, fmt.Sprintf("%d wrongly allowed (%s)", t.allowed, t.sample["allowed"]))
	}
	if c.bound.refused != unbounded && t.refused > c.bound.refused {
		why = append(why, fmt.Sprintf("%d wrongly refused, at most %d wanted (%s)", t.refused, c.bound.refused, t.sample["refused"]))
	}
	if c.bound.dropped != unbounded && t.dropped > c.bound.dropped {
		why = append(why, fmt.Sprintf("%d dropped, at most %d wanted (%s)", t.dropped, c.bound.dropped, t.sample["dropped"]))
	}
	if t.recover > c.bound.recover && t.refused+t.dropped > 0 {
		why = append(why, fmt.Sprintf("recovered after %s, at most %s wanted", t.recover.Round(time.Millisecond), c.bound.recover))
	}
	if t.valid == 0 {
		why = append(why, "no valid request was sent")
	}
	why = append(why, r.lies...)
	if r.err != nil {
		why = append(why, r.err.Error())
	}
	return strings.Join(why, "; ")
}

// line prints a result, with the verdict first.
func (c *drillCase) line(r result) string {
	state, why := "ok  ", c.verdict(r)
	if why != "" {
		state = "FAIL"
	}
	truth := "-"
	switch {
	case len(r.lies) > 0:
		truth = "no"
	case r.checked > 0:
		truth = "yes"
	}
	t := r.tally
	s := fmt.Sprintf("%s %-44s %6d requests: %d wrongly allowed, %d wrongly refused, %d dropped, recovered in %s; status told the truth: %s (%s)",
		state, c.name, t.all, t.allowed, t.refused, t.dropped, t.recover.Round(time.Millisecond), truth, r.took.Round(time.Second))
	if why != "" {
		s += "\n     " + why
	}
	return s
}

// drill runs the cases, and returns an error if one was not as wanted. With again, a case that was not is run once more, since a
// machine that others use as well may have been too slow for it; but never one that wrongly allowed a request.
func (w *world) drill(ctx context.Context, cases []drillCase, again bool) error {
	failed := 0
	for i := range cases {
		c := &cases[i]
		r := w.timed(ctx, c)
		if again && c.verdict(r) != "" && r.tally.allowed == 0 {
			fmt.Println("     it is run once more")
			r = w.timed(ctx, c)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if c.verdict(r) != "" {
			failed++
		}
	}
	fmt.Printf("%d cases, %d not as wanted\n", len(cases), failed)
	if failed > 0 {
		return errors.New("not every case was as wanted")
	}
	return nil
}

// timed runs a case and prints its line.
func (w *world) timed(ctx context.Context, c *drillCase) result {
	start := time.Now()
	r := w.one(ctx, c)
	r.took = time.Since(start)
	fmt.Println(c.line(r))
	return r
}

// one runs a case from a healthy state.
func (w *world) one(ctx context.Context, c *drillCase) (r result) {
	if err := w.heal(ctx); err != nil {
		r.err = fmt.Errorf("the cluster was not well before: %w", err)
		return r
	}
	w.lies, w.checked = nil, 0
	w.load.begin()
	err := c.run(ctx, w)
	if err == nil {
		err = w.settle(ctx)
	}
	r.tally = w.load.end()
	if c.restore != nil {
		err = errors.Join(err, c.restore(ctx, w))
	}
	r.lies, r.checked, r.err = w.lies, w.checked, err
	return r
}

// table is the cases as a Markdown table, as docs/operations.md has it.
func table(cases []drillCase) string {
	var b strings.Builder
	b.WriteString("| case | what happens, and what is expected | refused, dropped at most | recovers within | quick |\n|---|---|---|---|---|\n")
	for _, c := range cases {
		quick := ""
		if c.quick {
			quick = "yes"
		}
		fmt.Fprintf(&b, "| %s | %s | %s, %s | %s | %s |\n", c.name, c.what, most(c.bound.refused), most(c.bound.dropped), within(c.bound), quick)
	}
	return b.String()
}

func most(n int) string {
	if n == unbounded {
		return "any"
	}
	return fmt.Sprint(n)
}

func within(b bound) string {
	if b.refused == 0 && b.dropped == 0 {
		return ""
	}
	return b.recover.String()
}
