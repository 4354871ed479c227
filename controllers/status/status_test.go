package status_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/status"
)

var start = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// line is the conditions of a status, as "Type=Status/Reason" each.
func line(s v1alpha1.AuthPolicyStatus) string {
	var out []string
	for _, kind := range []string{"Accepted", "ResolvedRefs", "Programmed", "Ready"} {
		c := meta.FindStatusCondition(s.Conditions, kind)
		if c == nil {
			out = append(out, kind+" is missing")
			continue
		}
		out = append(out, kind+"="+string(c.Status)+"/"+c.Reason)
	}
	return strings.Join(out, " ")
}

func TestConditions(t *testing.T) {
	t.Parallel()
	current, old := status.Sidecar{Pod: "a", Current: true}, status.Sidecar{Pod: "b"}
	refused := status.Sidecar{Pod: "c", Rejected: "too new"}
	programmed := v1alpha1.AuthPolicyStatus{Conditions: []metav1.Condition{
		{Type: "Programmed", Status: "True", Reason: "Programmed", ObservedGeneration: 2},
	}}
	cases := map[string]struct {
		in      status.Input
		want    string
		summary string
		says    string // part of a message
	}{
		"without sidecars there is none to wait for": {
			status.Input{}, "Accepted=True/Accepted ResolvedRefs=True/Resolved Programmed=True/NoSidecars Ready=True/Ready", "0/0", "",
		},
		"all sidecars are current": {
			status.Input{Sidecars: []status.Sidecar{current, current}},
			"Accepted=True/Accepted ResolvedRefs=True/Resolved Programmed=True/Programmed Ready=True/Ready", "2/2", "all 2",
		},
		"one has not acknowledged": {
			status.Input{Sidecars: []status.Sidecar{current, old}},
			"Accepted=True/Accepted ResolvedRefs=True/Resolved Programmed=False/Pending Ready=False/Pending", "1/2", "1 of 2",
		},
		"one refuses": {
			status.Input{Sidecars: []status.Sidecar{current, old, refused, refused}},
			"Accepted=True/Accepted ResolvedRefs=True/Resolved Programmed=False/Rejected Ready=False/Rejected", "1/4",
			"pod c refused it: too new (1 more sidecar refuses it)",
		},
		"the policy does not compile": {
			status.Input{Problem: errors.New("spec.rules[0]: bad"), Sidecars: []status.Sidecar{current}},
			"Accepted=False/Invalid ResolvedRefs=True/Resolved Programmed=False/Invalid Ready=False/Invalid", "1/1", "spec.rules[0]: bad",
		},
		"a key source fails and there are last good keys": {
			status.Input{Issuers: []status.Issuer{{Name: "corp", Keys: 2, Failure: "Secret corp does not exist"}}},
			"Accepted=True/Accepted ResolvedRefs=False/KeySourceFailed Programmed=True/NoSidecars Ready=False/KeySourceFailed", "0/0",
			"issuer corp: Secret corp does not exist; the last good keys stay in use",
		},
		"a new leader has not heard of a sidecar yet": {
			status.Input{Unheard: 1, Settling: true},
			"Accepted=True/Accepted ResolvedRefs=True/Resolved Programmed=False/Pending Ready=False/Pending", "0/0", "",
		},
		"a new leader keeps what the last one said of this generation": {
			status.Input{Unheard: 1, Settling: true, Previous: programmed},
			"Accepted=True/Accepted ResolvedRefs=True/Resolved Programmed=True/Programmed Ready=True/Ready", "0/0", "",
		},
		"a sidecar that is not connected holds up nothing later": {
			status.Input{Unheard: 1},
			"Accepted=True/Accepted ResolvedRefs=True/Resolved Programmed=True/NoSidecars Ready=True/Ready", "0/0", "not connected and go on with what they have: 1",
		},
		"one that is not connected is told of beside those that are": {
			status.Input{Sidecars: []status.Sidecar{current}, Unheard: 2},
			"Accepted=True/Accepted ResolvedRefs=True/Resolved Programmed=True/Programmed Ready=True/Ready", "1/1",
			"all 1 connected sidecars use this generation; sidecars that are not connected and go on with what they have: 2",
		},
		"one uses this generation and has refused newer keys": {
			status.Input{Sidecars: []status.Sidecar{current, {Pod: "d", Current: true, Rejected: "bad keys"}}},
			"Accepted=True/Accepted ResolvedRefs=True/Resolved Programmed=True/Programmed Ready=True/Ready", "2/2",
			"the sidecar of pod d has refused newer keys, revocations or policies beside it: bad keys",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.in.Generation, c.in.Now = 2, start
			got := status.Compute(c.in)
			if d := cmp.Diff(c.want, line(got)); d != "" {
				t.Error(d)
			}
			if got.Sidecars.Summary != c.summary {
				t.Errorf("summary %s, want %s", got.Sidecars.Summary, c.summary)
			}
			said := ""
			for _, x := range got.Conditions {
				said += x.Message + "\n"
				if x.ObservedGeneration != 2 {
					t.Errorf("%s observed generation %d, want 2", x.Type, x.ObservedGeneration)
				}
			}
			if !strings.Contains(said, c.says) {
				t.Errorf("messages %q; want %q among them", said, c.says)
			}
		})
	}
}

// What is left out of a set is said, whether the source can be read now or not.
func TestNotesAreToldBesideAFailure(t *testing.T) {
	t.Parallel()
	for want, issuer := range map[string]status.Issuer{
		"":                         {},
		"left out: key 1":          {Note: "left out: key 1"},
		"is gone":                  {Failure: "is gone"},
		"is gone; left out: key 1": {Failure: "is gone", Note: "left out: key 1"},
	} {
		if got := status.Compute(status.Input{Issuers: []status.Issuer{issuer}}).Issuers[0].Message; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestTransitionTimesStayUnlessTheStatusFlips(t *testing.T) {
	t.Parallel()
	first := status.Compute(status.Input{Generation: 1, Now: start})
	second := status.Compute(status.Input{
		Generation: 2, Now: start.Add(time.Minute), Previous: first, Sidecars: []status.Sidecar{{Pod: "a"}},
	})
	for kind, want := range map[string]time.Time{"Accepted": start, "Programmed": start.Add(time.Minute)} {
		if got := meta.FindStatusCondition(second.Conditions, kind).LastTransitionTime; !got.Time.Equal(want) {
			t.Errorf("%s changed at %s, want %s", kind, got, want)
		}
	}
}

func TestChanged(t *testing.T) {
	t.Parallel()
	in := status.Input{Generation: 1, Now: start, Issuers: []status.Issuer{{Name: "corp", Keys: 1, Fetched: start}}}
	was := status.Compute(in)
	in.Previous = was
	cases := map[string]struct {
		change func(*status.Input)
		want   bool
	}{
		"nothing":                                {func(*status.Input) {}, false},
		"time passes":                            {func(i *status.Input) { i.Now = start.Add(time.Hour) }, false},
		"keys were read again":                   {func(i *status.Input) { i.Issuers[0].Fetched = start.Add(time.Minute) }, false},
		"keys were read again, an hour later":    {func(i *status.Input) { i.Issuers[0].Fetched = start.Add(time.Hour) }, true},
		"another key":                            {func(i *status.Input) { i.Issuers[0].Keys = 2 }, true},
		"a sidecar":                              {func(i *status.Input) { i.Sidecars = []status.Sidecar{{Pod: "a"}} }, true},
		"another generation with the same sense": {func(i *status.Input) { i.Generation = 2 }, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			next := in
			next.Issuers = append([]status.Issuer(nil), in.Issuers...)
			c.change(&next)
			if got := status.Changed(was, status.Compute(next)); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestLongMessagesAreCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	s := status.Compute(status.Input{Problem: errors.New(strings.Repeat("é", 5000))})
	m := meta.FindStatusCondition(s.Conditions, "Accepted").Message
	if len(m) > 4096 || !strings.HasSuffix(m, "é ...") {
		t.Errorf("message has %d bytes and ends in %q", len(m), m[len(m)-8:])
	}
}
