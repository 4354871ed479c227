package status_test

import (
	"errors"
	"fmt"
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
	for _, kind := range []string{"Accepted", "ResolvedRefs", "Programmed", "Guarded", "Ready"} {
		c := meta.FindStatusCondition(s.Conditions, kind)
		if c == nil {
			out = append(out, kind+" is missing")
			continue
		}
		out = append(out, kind+"="+string(c.Status)+"/"+c.Reason)
	}
	return strings.Join(out, " ")
}

func TestSaved(t *testing.T) {
	t.Parallel()
	lossy := func(name string) status.Pod { return status.Pod{Name: name, Heard: true, Current: true, Unsaved: true} }
	tests := map[string]struct {
		pods []status.Pod
		want string
	}{
		"nobody complains":              {[]status.Pod{current}, "True Saved no sidecar says that it could not save what it uses for a restart"},
		"there is nobody":               {nil, "True Saved no sidecar says that it could not save what it uses for a restart"},
		"a pod without a sidecar":       {[]status.Pod{{Name: "e", Bare: true, Unsaved: true}}, "True Saved no sidecar says that it could not save what it uses for a restart"},
		"one of two could not":          {[]status.Pod{current, lossy("x")}, "False NotSaved 1 of 2 sidecars could not save what is in use, so that a restart while the controller is away would begin with something older, or without rules: x"},
		"more than are named could not": {[]status.Pod{lossy("p"), lossy("q"), lossy("r"), lossy("s")}, "False NotSaved 4 of 4 sidecars could not save what is in use, so that a restart while the controller is away would begin with something older, or without rules: p, q, r and 1 more"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := status.Compute(status.Input{Now: start, Elected: start.Add(-time.Hour), Pods: tt.pods})
			c := meta.FindStatusCondition(s.Conditions, "Saved")
			if got := string(c.Status) + " " + c.Reason + " " + c.Message; got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if r := meta.FindStatusCondition(s.Conditions, "Ready"); c.Status == "False" && r.Status != "True" {
				t.Errorf("Ready is %s, want True: the guard holds", r.Status)
			}
		})
	}
}

// counts are those of a status: total current rejecting disconnected missing.
func counts(s v1alpha1.AuthPolicyStatus) string {
	c := s.Sidecars
	return fmt.Sprint(c.Total, c.Current, c.Rejecting, c.Disconnected, c.Missing, " ", c.Summary)
}

const fine = "Accepted=True/Accepted ResolvedRefs=True/Resolved "

// The pods of the tests; all were created long before.
var (
	current  = status.Pod{Name: "a", Heard: true, Current: true}
	behind   = status.Pod{Name: "b", Heard: true}
	refusing = status.Pod{Name: "c", Heard: true, Rejected: "too new"}
	unheard  = status.Pod{Name: "d"}
	bare     = status.Pod{Name: "e", Bare: true}
)

// lost is a current sidecar that was lost some time ago.
func lost(ago time.Duration) status.Pod {
	p := current
	p.Name, p.Lost = "l", start.Add(-ago)
	return p
}

func moved(ago time.Duration) status.Pod {
	p := lost(ago)
	p.Moved = true
	return p
}

func created(ago time.Duration) status.Pod {
	p := unheard
	p.Created = start.Add(-ago)
	return p
}

func TestConditions(t *testing.T) {
	t.Parallel()
	was := func(status metav1.ConditionStatus, reason string, c v1alpha1.SidecarStatus) v1alpha1.AuthPolicyStatus {
		return v1alpha1.AuthPolicyStatus{ObservedGeneration: 2, Sidecars: &c, Conditions: []metav1.Condition{
			{Type: "Programmed", Status: status, Reason: reason, ObservedGeneration: 2},
		}}
	}
	pods := func(p ...status.Pod) status.Input { return status.Input{Pods: p} }
	elsewhere := created(time.Second)
	elsewhere.Elsewhere = true
	const away = "1 of 2 sidecars is out of touch with the controller, so it is not known what is enforced there: "
	cases := map[string]struct {
		in     status.Input
		want   string
		counts string
		says   string // part of a message
	}{
		"a policy may come before its pods": {
			pods(), fine + "Programmed=True/NoWorkload Guarded=Unknown/NoWorkload Ready=True/NoWorkload", "0 0 0 0 0 0/0",
			"its selector matches no live pod: it guards nothing yet",
		},
		"what the next release refuses is noted": {
			status.Input{Pods: []status.Pod{current, current}, Note: "spec.rules[0].allow: says nothing"},
			fine + "Programmed=True/Programmed Guarded=True/Guarded Ready=True/Ready", "2 2 0 0 0 2/2",
			"the policy is valid; spec.rules[0].allow: says nothing",
		},
		"all sidecars are current": {
			pods(current, current), fine + "Programmed=True/Programmed Guarded=True/Guarded Ready=True/Ready", "2 2 0 0 0 2/2",
			"all 2 sidecars use this generation",
		},
		"one has not acknowledged": {
			pods(current, behind), fine + "Programmed=False/Pending Guarded=True/Guarded Ready=False/Pending", "2 1 0 0 0 1/2",
			"1 of 2 sidecars uses this generation; still to come: b",
		},
		"one refuses": {
			pods(current, behind, refusing, refusing), fine + "Programmed=False/Rejected Guarded=True/Guarded Ready=False/Rejected",
			"4 1 2 0 0 1/4", "pod c refused it: too new (1 more sidecar refuses it)",
		},
		"one pod runs bare": {
			pods(current, bare), fine + "Programmed=True/Programmed Guarded=False/Unguarded Ready=False/Unguarded", "2 1 0 0 1 1/2",
			"1 of 2 selected pods runs without a sidecar, so nothing guards them: e",
		},
		"all pods run bare": {
			pods(bare, bare, bare, bare, bare), fine + "Programmed=True/NoSidecars Guarded=False/Unguarded Ready=False/Unguarded",
			"5 0 0 0 5 0/5", "5 of 5 selected pods run without a sidecar, so nothing guards them: e, e, e and 2 more",
		},
		"pods can be reached past their sidecars": {
			pods(current, status.Pod{Name: "f", Heard: true, Current: true, Open: "18080"}, status.Pod{Name: "g", Heard: true, Current: true, Open: "18080, 19090"}),
			fine + "Programmed=True/Programmed Guarded=False/Bypassable Ready=False/Bypassable", "3 3 0 0 0 3/3",
			"2 of 3 selected pods are open to others past the sidecar; have the app listen on 127.0.0.1 alone, or close the port by a NetworkPolicy: pod f, port 18080 (1 more pod is)",
		},
		"pods could be reached past their sidecars, and NetworkPolicies close that": {
			pods(current, status.Pod{Name: "f", Heard: true, Current: true, Open: "18080", Closed: true}),
			fine + "Programmed=True/Programmed Guarded=True/Guarded Ready=True/Ready", "2 2 0 0 0 2/2",
			"all 2 selected pods carry a sidecar; the ports past the sidecar of 1 of 2 pods are closed by NetworkPolicies, if the cluster's network enforces them",
		},
		"a NetworkPolicy opens the port of one": {
			status.Input{Unfenced: "none is made", Pods: []status.Pod{
				{Name: "f", Heard: true, Current: true, Open: "18080", Closed: true}, {Name: "g", Heard: true, Current: true, Open: "18080", Opener: "all"},
			}},
			fine + "Programmed=True/Programmed Guarded=False/Bypassable Ready=False/Bypassable", "2 2 0 0 0 2/2",
			"pod g, port 18080; NetworkPolicy all lets others in there; networkPolicy: none is made",
		},
		"no NetworkPolicy is there, and none is needed now": {
			status.Input{Unfenced: "none is made", Pods: []status.Pod{current}},
			fine + "Programmed=True/Programmed Guarded=True/Guarded Ready=True/Ready", "1 1 0 0 0 1/1",
			"the only selected pod carries a sidecar; networkPolicy: none is made",
		},
		"one runs bare and another can be reached": {
			pods(bare, status.Pod{Name: "f", Heard: true, Current: true, Open: "18080"}),
			fine + "Programmed=True/Programmed Guarded=False/Unguarded Ready=False/Unguarded", "2 1 0 0 1 1/2",
			"1 of 2 selected pods runs without a sidecar, so nothing guards them: e",
		},
		"TLS comes to a guarded port": {
			pods(status.Pod{Name: "f", Heard: true, Current: true, Foreign: "8443 TLS"}),
			fine + "Programmed=True/Programmed Guarded=True/Guarded Ready=True/Ready", "1 1 0 0 0 1/1",
			"the only selected pod carries a sidecar; clients of pod f speak something else than HTTP on guarded ports: 8443 TLS; list such a port in bearerguard.dev/exclude-ports",
		},
		"the policy does not compile": {
			status.Input{Problem: errors.New("spec.rules[0]: bad"), Pods: []status.Pod{current}},
			"Accepted=False/Invalid ResolvedRefs=True/Resolved Programmed=False/Invalid Guarded=True/Guarded Ready=False/Invalid",
			"1 1 0 0 0 1/1", "spec.rules[0]: bad",
		},
		"a key source fails and there are last good keys": {
			status.Input{Pods: []status.Pod{current}, Issuers: []status.Issuer{{Name: "corp", Keys: 2, Failure: "Secret corp does not exist"}}},
			"Accepted=True/Accepted ResolvedRefs=False/KeySourceFailed Programmed=True/Programmed Guarded=True/Guarded Ready=False/KeySourceFailed",
			"1 1 0 0 0 1/1", "issuer corp: Secret corp does not exist; the last good keys stay in use",
		},
		"sidecars that are connected to another replica have no keys": {
			status.Input{Pods: []status.Pod{current}, Issuers: []status.Issuer{{Name: "corp", Keys: 2, Without: []string{"a", "b", "c", "d"}}}},
			"Accepted=True/Accepted ResolvedRefs=False/KeySourceFailed Programmed=True/Programmed Guarded=True/Guarded Ready=False/KeySourceFailed",
			"1 1 0 0 0 1/1", "issuer corp: 4 sidecars have no keys: a, b, c and 1 more; there its tokens are answered 503",
		},
		"a sidecar has no keys and their source fails": {
			status.Input{Pods: []status.Pod{current}, Issuers: []status.Issuer{{Name: "corp", Keys: 2, Failure: "is down", Without: []string{"a"}}}},
			"Accepted=True/Accepted ResolvedRefs=False/KeySourceFailed Programmed=True/Programmed Guarded=True/Guarded Ready=False/KeySourceFailed",
			"1 1 0 0 0 1/1", "issuer corp: is down; 1 sidecar has no keys: a; there its tokens are answered 503",
		},
		"one is out of touch": {
			pods(current, lost(6*time.Second)), fine + "Programmed=Unknown/Disconnected Guarded=True/Guarded Ready=Unknown/Disconnected",
			"2 1 0 1 0 1/2", away + "l",
		},
		"one is reconnecting": {
			pods(current, lost(4*time.Second)), fine + "Programmed=True/Programmed Guarded=True/Guarded Ready=True/Ready", "2 2 0 0 0 2/2", "",
		},
		"one was lost with its replica and looks for another": {
			pods(current, moved(19*time.Second)), fine + "Programmed=True/Programmed Guarded=True/Guarded Ready=True/Ready", "2 2 0 0 0 2/2", "",
		},
		"one was lost with its replica and has found no other": {
			pods(current, moved(21*time.Second)), fine + "Programmed=Unknown/Disconnected Guarded=True/Guarded Ready=Unknown/Disconnected",
			"2 1 0 1 0 1/2", away + "l",
		},
		"a new pod starts": {
			pods(current, created(50*time.Second)), fine + "Programmed=False/Pending Guarded=True/Guarded Ready=False/Pending", "2 1 0 0 0 1/2",
			"still to come: d",
		},
		"a pod whose sidecar never comes up": {
			pods(current, created(time.Hour)), fine + "Programmed=Unknown/Disconnected Guarded=True/Guarded Ready=Unknown/Disconnected",
			"2 1 0 1 0 1/2", away + "d",
		},
		"one is with another release until it is restarted, however new it is": {
			pods(current, elsewhere), fine + "Programmed=Unknown/Disconnected Guarded=True/Guarded Ready=Unknown/Disconnected",
			"2 1 0 1 0 1/2", away + elsewhere.Name + "; injected by another release of the controller, which serves them until they are restarted: " + elsewhere.Name,
		},
		"every sidecar crash-loops": {
			pods(unheard, unheard, unheard), fine + "Programmed=Unknown/Disconnected Guarded=True/Guarded Ready=Unknown/Disconnected",
			"3 0 0 3 0 0/3", "3 of 3 sidecars are out of touch",
		},
		"one is behind and one is out of touch": {
			pods(behind, lost(time.Hour)), fine + "Programmed=False/Pending Guarded=True/Guarded Ready=False/Pending", "2 0 0 1 0 0/2",
			"0 of 2 sidecars use this generation; still to come: b; out of touch with the controller: l",
		},
		"what is False counts before what is Unknown": {
			pods(lost(time.Hour), bare), fine + "Programmed=Unknown/Disconnected Guarded=False/Unguarded Ready=False/Unguarded",
			"2 0 0 1 1 0/2", "",
		},
		"a new leader has not heard of a sidecar yet": {
			status.Input{Pods: []status.Pod{unheard}, Elected: start.Add(-20 * time.Second)},
			fine + "Programmed=False/Pending Guarded=True/Guarded Ready=False/Pending", "1 0 0 0 0 0/1", "",
		},
		"a new leader keeps what the last one said of this generation": {
			status.Input{
				Pods: []status.Pod{current, unheard, unheard}, Elected: start.Add(-20 * time.Second),
				Previous: was("True", "Programmed", v1alpha1.SidecarStatus{Total: 3, Current: 3}),
			},
			fine + "Programmed=True/Programmed Guarded=True/Guarded Ready=True/Ready", "3 3 0 0 0 3/3", "",
		},
		"a new leader keeps what the last one said of a sidecar out of touch": {
			status.Input{
				Pods: []status.Pod{unheard, unheard}, Elected: start.Add(-20 * time.Second),
				Previous: was("Unknown", "Disconnected", v1alpha1.SidecarStatus{Total: 2, Current: 1, Disconnected: 1}),
			},
			fine + "Programmed=Unknown/Disconnected Guarded=True/Guarded Ready=Unknown/Disconnected", "2 1 0 1 0 1/2", "",
		},
		"a new leader knows that a pod is new": {
			status.Input{
				Pods: []status.Pod{created(20 * time.Second)}, Elected: start.Add(-20 * time.Second),
				Previous: was("True", "Programmed", v1alpha1.SidecarStatus{Total: 1, Current: 1}),
			},
			fine + "Programmed=False/Pending Guarded=True/Guarded Ready=False/Pending", "1 0 0 0 0 0/1", "",
		},
		"a new leader believes nothing that was said of no pod": {
			status.Input{
				Pods: []status.Pod{unheard}, Elected: start.Add(-20 * time.Second), Previous: was("True", "NoWorkload", v1alpha1.SidecarStatus{}),
			},
			fine + "Programmed=False/Pending Guarded=True/Guarded Ready=False/Pending", "1 0 0 0 0 0/1", "",
		},
		"a leader that has settled believes what it has heard": {
			status.Input{
				Pods: []status.Pod{unheard}, Elected: start.Add(-30 * time.Second),
				Previous: was("True", "Programmed", v1alpha1.SidecarStatus{Total: 1, Current: 1}),
			},
			fine + "Programmed=Unknown/Disconnected Guarded=True/Guarded Ready=Unknown/Disconnected", "1 0 0 1 0 0/1", "",
		},
		"a new leader tells of what it knows": {
			status.Input{
				Pods: []status.Pod{behind, unheard}, Elected: start.Add(-20 * time.Second),
				Previous: was("True", "Programmed", v1alpha1.SidecarStatus{Total: 2, Current: 2}),
			},
			fine + "Programmed=False/Pending Guarded=True/Guarded Ready=False/Pending", "2 1 0 0 0 1/2", "",
		},
		"one uses this generation and has refused newer keys": {
			pods(current, status.Pod{Name: "d", Heard: true, Current: true, Rejected: "bad keys"}),
			fine + "Programmed=True/Programmed Guarded=True/Guarded Ready=True/Ready", "2 2 0 0 0 2/2",
			"the sidecar of pod d has refused newer keys, revocations or policies beside it: bad keys",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.in.Generation, c.in.Now = 2, start
			got, _ := status.Compute(c.in)
			if d := cmp.Diff(c.want, line(got)); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(c.counts, counts(got)); d != "" {
				t.Errorf("counts: %s", d)
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

func TestWhenAStatusChangesByTimeAlone(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		pods []status.Pod
		want time.Duration // from now; 0: never
	}{
		"one was not heard by the new leader":  {[]status.Pod{unheard}, 28 * time.Second},
		"nothing is under way":                 {[]status.Pod{current, behind, bare, lost(time.Hour)}, 0},
		"one is reconnecting":                  {[]status.Pod{current, lost(2 * time.Second)}, 3 * time.Second},
		"one is on its way to another replica": {[]status.Pod{moved(2 * time.Second)}, 18 * time.Second},
		"one is starting":                      {[]status.Pod{created(time.Second)}, 59 * time.Second},
		"the first of several":                 {[]status.Pod{created(time.Second), lost(time.Second), moved(0)}, 4 * time.Second},
	}
	for name, c := range cases {
		_, next := status.Compute(status.Input{Pods: c.pods, Now: start, Elected: start.Add(-2 * time.Second)})
		if c.want == 0 && !next.IsZero() || c.want != 0 && !next.Equal(start.Add(c.want)) {
			t.Errorf("%s: %s, want %s later", name, next, c.want)
		}
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
		s, _ := status.Compute(status.Input{Issuers: []status.Issuer{issuer}})
		if got := s.Issuers[0].Message; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestTransitionTimesStayUnlessTheStatusFlips(t *testing.T) {
	t.Parallel()
	first, _ := status.Compute(status.Input{Generation: 1, Now: start})
	second, _ := status.Compute(status.Input{
		Generation: 2, Now: start.Add(time.Minute), Previous: first, Pods: []status.Pod{behind},
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
	was, _ := status.Compute(in)
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
		"a sidecar":                              {func(i *status.Input) { i.Pods = []status.Pod{current} }, true},
		"another generation with the same sense": {func(i *status.Input) { i.Generation = 2 }, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			next := in
			next.Issuers = append([]status.Issuer(nil), in.Issuers...)
			c.change(&next)
			s, _ := status.Compute(next)
			if got := status.Changed(was, s); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestLongMessagesAreCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	s, _ := status.Compute(status.Input{Problem: errors.New(strings.Repeat("é", 5000))})
	m := meta.FindStatusCondition(s.Conditions, "Accepted").Message
	if len(m) > 4096 || !strings.HasSuffix(m, "é ...") {
		t.Errorf("message has %d bytes and ends in %q", len(m), m[len(m)-8:])
	}
}

func TestIssuersSayHowTheirKeysStand(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in   status.Issuer
		want v1alpha1.IssuerStatus
	}{
		"fresh keys":             {status.Issuer{Keys: 2}, v1alpha1.IssuerStatus{Keys: 2, State: "Current"}},
		"last good keys":         {status.Issuer{Keys: 2, Failure: "is down"}, v1alpha1.IssuerStatus{Keys: 2, State: "Stale", Message: "is down"}},
		"no keys":                {status.Issuer{Failure: "is down"}, v1alpha1.IssuerStatus{State: "Missing", Message: "is down"}},
		"a sidecar without":      {status.Issuer{Keys: 2, Without: []string{"a"}}, v1alpha1.IssuerStatus{Keys: 2, State: "Current", PodsWithoutKeys: 1, Message: "1 sidecar has no keys: a"}},
		"no keys, so no sidecar": {status.Issuer{Failure: "is down", Without: []string{"a"}}, v1alpha1.IssuerStatus{State: "Missing", PodsWithoutKeys: 1, Message: "is down"}},
	} {
		got, _ := status.Compute(status.Input{Now: start, Issuers: []status.Issuer{c.in}})
		if d := cmp.Diff([]v1alpha1.IssuerStatus{c.want}, got.Issuers); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}
