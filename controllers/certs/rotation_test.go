package certs

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

var names = []string{"webhook.test", "push.test"}

const day = 24 * time.Hour

// life takes the steps of a time span, as a leader does, and returns which and when, in days.
type life struct {
	t   *testing.T
	s   *state
	now time.Time
}

func newLife(t *testing.T) *life {
	t.Helper()
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	s, err := begin(now, names)
	if err != nil {
		t.Fatal(err)
	}
	return &life{t: t, s: s, now: now}
}

// until goes on until a time has passed; what is published to everybody takes one look.
func (l *life) until(end time.Time) []step {
	l.t.Helper()
	var out []step
	looked := false
	for l.now.Before(end) {
		what, wait := plan(l.s, l.now, timing{}.withDefaults(), names, looked)
		if what == stepNone {
			if wait <= 0 {
				l.t.Fatalf("nothing to do and no wait at %v", l.now)
			}
			looked = true
			l.now = l.now.Add(min(wait, end.Sub(l.now)))
			continue
		}
		next, err := l.s.take(what, l.now, names)
		if err != nil {
			l.t.Fatal(err)
		}
		l.check(next)
		// Through the Secret and back.
		var secret corev1.Secret
		next.write(&secret)
		if l.s, err = read(&secret); err != nil {
			l.t.Fatalf("after %q: %v", what, err)
		}
		out, looked = append(out, what), false
	}
	return out
}

// check holds the invariant: what is served after a step was trusted before it, and what was served before is trusted after.
func (l *life) check(next *state) {
	l.t.Helper()
	for _, pair := range [][2]*state{{l.s, next}, {next, l.s}} {
		if _, err := check(pair[0].cert, pair[0].key, pair[1].bundle()); err != nil {
			l.t.Errorf("a step cuts somebody off: %v", err)
		}
	}
}

func TestAnAuthorityIsRotatedInGoodOrder(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	first := l.s.ca.cert
	steps := l.until(l.now.Add(authorities))
	renewals := 0
	for _, s := range steps {
		if s == stepRenew {
			renewals++
		}
	}
	rest := slices.DeleteFunc(slices.Clone(steps), func(s step) bool { return s == stepRenew })
	if diff := cmp.Diff([]step{stepAnnounce, stepTrusted, stepPromote, stepRetire}, rest); diff != "" {
		t.Errorf("rotation (-want +got):\n%s", diff)
	}
	if renewals < 15 || renewals > 20 {
		t.Errorf("%d renewals of the serving certificate in three years", renewals)
	}
	if bytes.Equal(l.s.ca.cert, first) || len(certificates(l.s.bundle())) != 1 {
		t.Error("the first authority is still trusted when it expires")
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change    func(*life)
		everybody bool
		want      step
	}{
		"nothing is to be done at first":  {func(*life) {}, false, stepNone},
		"somebody asks for a rotation":    {func(l *life) { l.s.rotate = true }, false, stepAnnounce},
		"a name is missing":               {func(l *life) { l.s.cert, l.s.key, _ = newLeaf(l.s.ca, l.now, names[:1]) }, false, stepRenew},
		"the clock was ahead":             {func(l *life) { l.now = l.now.Add(-3 * time.Hour) }, false, stepRenew},
		"the clock is 5 minutes behind":   {func(l *life) { l.now = l.now.Add(-5 * time.Minute) }, false, stepNone},
		"asleep until all has expired":    {func(l *life) { l.now = l.now.Add(2 * authorities) }, false, stepAnew},
		"asleep until the leaf expired":   {func(l *life) { l.now = l.now.Add(leaves + day) }, false, stepRenew},
		"the next is not everywhere":      {func(l *life) { l.take(stepAnnounce) }, false, stepNone},
		"the next is everywhere":          {func(l *life) { l.take(stepAnnounce) }, true, stepTrusted},
		"a namespace takes no ConfigMap":  {func(l *life) { l.take(stepAnnounce); l.now = l.now.Add(patience) }, false, stepTrusted},
		"kubelets have not brought it":    {func(l *life) { l.take(stepAnnounce, stepTrusted); l.now = l.now.Add(9 * time.Minute) }, true, stepNone},
		"kubelets have brought it":        {func(l *life) { l.take(stepAnnounce, stepTrusted); l.now = l.now.Add(10 * time.Minute) }, true, stepPromote},
		"the former one is trusted a bit": {func(l *life) { l.take(stepAnnounce, stepTrusted, stepPromote) }, true, stepNone},
		"and then no more": {func(l *life) {
			l.take(stepAnnounce, stepTrusted, stepPromote)
			l.now = l.now.Add(time.Hour)
		}, true, stepRetire},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLife(t)
			tc.change(l)
			got, wait := plan(l.s, l.now, timing{}.withDefaults(), names, tc.everybody)
			if got != tc.want || (got == stepNone) != (wait > 0) {
				t.Errorf("got %q in %v, want %q", got, wait, tc.want)
			}
		})
	}
}

func (l *life) take(steps ...step) {
	l.t.Helper()
	for _, s := range steps {
		next, err := l.s.take(s, l.now, names)
		if err != nil {
			l.t.Fatal(err)
		}
		l.s = next
	}
}

func TestWhatASecretSays(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	other := newLife(t)
	l.take(stepAnnounce, stepTrusted)
	for name, tc := range map[string]struct {
		change    func(map[string][]byte)
		authority bool // is of use
		fine      bool
		next      bool
	}{
		"all of it":                   {func(map[string][]byte) {}, true, true, true},
		"nothing":                     {func(d map[string][]byte) { clear(d) }, false, false, false},
		"no serving certificate":      {func(d map[string][]byte) { delete(d, certEntry) }, true, false, true},
		"the key of another":          {func(d map[string][]byte) { d[keyEntry] = other.s.key }, true, false, true},
		"the authority's key is lost": {func(d map[string][]byte) { delete(d, caKeyEntry) }, false, false, false},
		"a leaf as authority":         {func(d map[string][]byte) { d[caEntry], d[caKeyEntry] = l.s.cert, l.s.key }, false, false, false},
		"the next without its key":    {func(d map[string][]byte) { delete(d, nextKeyEntry) }, true, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var secret corev1.Secret
			l.s.write(&secret)
			tc.change(secret.Data)
			s, err := read(&secret)
			if (s != nil) != tc.authority || (err == nil) != tc.fine {
				t.Fatalf("got %v, %v", s != nil, err)
			}
			if s != nil && s.next.none() == tc.next {
				t.Errorf("next authority: %v", !s.next.none())
			}
		})
	}
}
