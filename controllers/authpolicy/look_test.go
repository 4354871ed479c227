package authpolicy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/controllers/status"
)

// patches takes statuses and puts them on a shelf.
type patches struct {
	client.SubResourceWriter
	shelf *shelf
	taken int
	fails error
}

// server is a client that only has statuses patched.
type server struct {
	client.Client
	patches *patches
}

func (s server) Status() client.SubResourceWriter { return s.patches }

func (p *patches) Patch(_ context.Context, o client.Object, patch client.Patch, _ ...client.SubResourcePatchOption) error {
	if p.fails != nil {
		return p.fails
	}
	data, err := patch.Data(o)
	if err != nil {
		return err
	}
	var with struct{ Status json.RawMessage }
	if err := json.Unmarshal(data, &with); err != nil {
		return err
	}
	p.taken++
	for i := range p.shelf.policies {
		if x := &p.shelf.policies[i]; x.Name == o.GetName() {
			x.Status = with.Status
			x.ResourceVersion += "'"
		}
	}
	return nil
}

// newWriter returns a writer for what a compiler has compiled.
func newWriter(c *compiler, s *shelf) (*writer, *patches) {
	p := &patches{shelf: s}
	began := time.Now()
	return &writer{
		reader: s, client: server{patches: p}, compiler: c, keys: c.keys, push: c.push, metrics: c.metrics, now: time.Now,
		events: &recorder{events: &events.FakeRecorder{}}, written: map[types.UID]written{}, elected: func() time.Time { return began },
	}, p
}

func writeOnce(t testing.TB, w *writer) {
	t.Helper()
	w.compiler.space("shop").writes = pace{}
	if _, err := w.Reconcile(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
}

func TestAStatusIsComputedForWhatIsNew(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	for i := range 20 {
		s.policy(fmt.Sprint("p", i), fmt.Sprint("app-", i), 0)
	}
	s.pod("w0", "app-0")
	c := newCompiler(t, s)
	reconcileOnce(t, c)
	w, p := newWriter(c, s)
	now := time.Now()
	w.now = func() time.Time { return now }
	made := func(why string, computed, written int) {
		t.Helper()
		now = now.Add(time.Second)
		before := p.taken
		writeOnce(t, w)
		got := 0
		for _, l := range c.space("shop").looks {
			if l.at.Equal(now) {
				got++
			}
		}
		if got != computed || p.taken-before != written {
			t.Errorf("%s: %d computed, %d written, want %d and %d", why, got, p.taken-before, computed, written)
		}
	}
	made("all are new", 20, 20)
	made("all have been written", 20, 0)
	made("nothing has changed", 0, 0)
	s.policies[3].Status = json.RawMessage(`{}`)
	s.policies[3].ResourceVersion = "another"
	now = now.Add(lag)
	made("somebody has written one", 1, 1)
	made("it has been written", 1, 0)
	s.pod("w5", "app-5")
	reconcileOnce(t, c)
	made("a pod has come", 1, 1)
	s.policies = s.policies[:19]
	reconcileOnce(t, c)
	made("one has gone, and one has been written", 1, 0)
	if n := len(c.space("shop").looks); n != 19 {
		t.Errorf("%d policies are remembered, want 19", n)
	}
	s.policy("p7", "app-7", 1)
	reconcileOnce(t, c)
	p.fails = errors.New("the API server is away")
	if _, err := w.Reconcile(t.Context(), "shop"); err == nil && c.space("shop").writes.rest(now) == 0 {
		t.Error("a write that fails is not told of")
	}
	p.fails = nil
	made("a write has failed", 1, 1)
}

func TestAStatusIsMadeAnewForWhateverItTells(t *testing.T) {
	t.Parallel()
	base := func() (*policyObject, *status.Input) {
		o := &policyObject{}
		o.UID, o.ResourceVersion = "u", "1"
		return o, &status.Input{
			Generation: 1, Issuers: []status.Issuer{{Name: "corp", Keys: 1, Fetched: time.Unix(100, 0)}}, Pods: []status.Pod{{Name: "a", Heard: true}},
		}
	}
	o, in := base()
	same := sumOf(o, in)
	for name, change := range map[string]func(*policyObject, *status.Input){
		"the object":           func(o *policyObject, _ *status.Input) { o.ResourceVersion = "2" },
		"the generation":       func(_ *policyObject, in *status.Input) { in.Generation = 2 },
		"a problem":            func(_ *policyObject, in *status.Input) { in.Problem = errors.New("is bad") },
		"a note":               func(_ *policyObject, in *status.Input) { in.Note = "is vague" },
		"who leads":            func(_ *policyObject, in *status.Input) { in.Elected = time.Unix(7, 0) },
		"a source that fails":  func(_ *policyObject, in *status.Input) { in.Issuers[0].Failure = "is away" },
		"keys":                 func(_ *policyObject, in *status.Input) { in.Issuers[0].Keys = 2 },
		"keys that were read":  func(_ *policyObject, in *status.Input) { in.Issuers[0].Fetched = time.Time{} },
		"a pod without keys":   func(_ *policyObject, in *status.Input) { in.Issuers[0].Without = []string{"a"} },
		"a sidecar that is up": func(_ *policyObject, in *status.Input) { in.Pods[0].Current = true },
		"another pod":          func(_ *policyObject, in *status.Input) { in.Pods = append(in.Pods, status.Pod{Name: "b"}) },
	} {
		o, in := base()
		if change(o, in); sumOf(o, in) == same {
			t.Errorf("%s makes no difference", name)
		}
	}
	o, in = base()
	if in.Issuers[0].Fetched = time.Unix(200, 0); sumOf(o, in) != same {
		t.Error("that keys were read again makes a difference")
	}
	now := time.Unix(1000, 0)
	l := look{sum: same, at: now, changes: now.Add(time.Minute)}
	for after, want := range map[time.Duration]bool{0: true, time.Second: true, time.Minute: false} {
		if l.holds(same, now.Add(after)) != want {
			t.Errorf("after %s a status that changes in a minute holds: %t", after, !want)
		}
	}
	if l.changes = (time.Time{}); l.holds(same, now.Add(refresh/2)) || !l.holds(same, now.Add(time.Minute)) || l.holds(same+1, now) {
		t.Error("a status does not hold for half an hour")
	}
}

// The statuses of a namespace of 5,000 policies, one of which is another object.
func BenchmarkStatusesOfFiveThousand(b *testing.B) {
	s := many(100, func(i int) string { return fmt.Sprint("app-", i) })
	c := newCompiler(b, s)
	reconcileOnce(b, c)
	w, _ := newWriter(c, s)
	writeOnce(b, w)
	writeOnce(b, w)
	turn := 0
	defer processor(b)()
	for b.Loop() {
		turn++
		s.policies[0].ResourceVersion = fmt.Sprint(turn)
		writeOnce(b, w)
	}
}

// What a status is made of is hashed by sumOf, field by field: one more field has to be added there, and then here.
func TestNoFieldIsLeftOutOfTheSum(t *testing.T) {
	t.Parallel()
	for of, want := range map[reflect.Type]string{
		reflect.TypeFor[status.Input]():  "Generation Now Problem Note Issuers Pods Unfenced Elected Previous",
		reflect.TypeFor[status.Issuer](): "Name Keys Fetched Failure Note Without",
	} {
		var got []string
		for f := range of.Fields() {
			got = append(got, f.Name)
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("%s has the fields %s, want %s", of, got, want)
		}
	}
}
