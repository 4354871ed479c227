package main

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestVerdict(t *testing.T) {
	t.Parallel()
	fine := tally{all: 100, valid: 40}
	with := func(change func(*tally)) tally {
		out := fine
		change(&out)
		return out
	}
	for name, c := range map[string]struct {
		bound bound
		r     result
		want  string // a part of the verdict; empty: as wanted
	}{
		"nothing failed":                           {r: result{tally: fine}},
		"one wrongly allowed":                      {bound: bound{unbounded, unbounded, time.Hour}, r: result{tally: with(func(t *tally) { t.allowed = 1 })}, want: "1 wrongly allowed"},
		"one refused where none may be":            {r: result{tally: with(func(t *tally) { t.refused = 1 })}, want: "1 wrongly refused"},
		"one dropped where none may be":            {r: result{tally: with(func(t *tally) { t.dropped = 1 })}, want: "1 dropped"},
		"as many as may be, in time":               {bound: bound{2, 3, time.Second}, r: result{tally: with(func(t *tally) { t.refused, t.dropped, t.recover = 2, 3, time.Second })}},
		"as many as may be, too late":              {bound: bound{2, 3, time.Second}, r: result{tally: with(func(t *tally) { t.refused, t.recover = 2, 2*time.Second })}, want: "recovered after 2s"},
		"any number refused":                       {bound: bound{refused: unbounded, recover: time.Second}, r: result{tally: with(func(t *tally) { t.refused = 99 })}},
		"any number refused, but none dropped":     {bound: bound{refused: unbounded}, r: result{tally: with(func(t *tally) { t.dropped = 1 })}, want: "1 dropped"},
		"no traffic proves nothing":                {r: result{tally: tally{}}, want: "no valid request was sent"},
		"the status lies":                          {r: result{tally: fine, checked: 1, lies: []string{"status: Programmed is True"}}, want: "Programmed is True"},
		"an expectation of the case does not hold": {r: result{tally: fine, err: os.ErrNotExist}, want: os.ErrNotExist.Error()},

		"the cluster was not well before the fault": {r: result{err: os.ErrDeadlineExceeded}, want: os.ErrDeadlineExceeded.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := (&drillCase{bound: c.bound}).verdict(c.r)
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("verdict %q, want %q", got, c.want)
			}
		})
	}
}

func TestTally(t *testing.T) {
	t.Parallel()
	good, bad := kind{name: "good", valid: true}, kind{name: "expired"}
	l := &load{}
	l.note(good, time.Now(), 500, nil) // before the case: does not count
	l.begin()
	l.mark()
	sent := l.fault.Add(3 * time.Second)
	l.note(good, sent, 200, nil)
	l.note(good, sent, 403, nil)
	l.note(good, sent.Add(time.Second), 0, os.ErrDeadlineExceeded)
	l.note(bad, sent, 401, nil)
	l.note(bad, sent, 0, os.ErrDeadlineExceeded)
	l.note(bad, sent, 200, nil)
	got := l.end()
	if got.all != 6 || got.valid != 3 || got.allowed != 1 || got.refused != 1 || got.dropped != 1 || got.recover != 4*time.Second {
		t.Errorf("%+v", got)
	}
	if got.sample["allowed"] != "expired" {
		t.Errorf("what was wrongly allowed is %q, want expired", got.sample["allowed"])
	}
}

func TestCasesHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range cases() {
		if c.name == "" || c.what == "" || c.run == nil || seen[c.name] {
			t.Errorf("case %q: want a name of its own, what happens, and a run", c.name)
		}
		seen[c.name] = true
	}
}

func TestDocsHaveTheTable(t *testing.T) {
	t.Parallel()
	docs, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(docs), table(cases())) {
		t.Errorf("docs/operations.md has another table than \"make drill LIST=1\" prints; want\n%s", table(cases()))
	}
}
