package exchange

import (
	"slices"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// member is a connection that says of itself how long it has waited for a next request.
type member struct {
	loop.Nobody
	name  string
	rests time.Duration
	ended *[]string
}

// Clear implements Member.
func (m *member) Clear(bool) { *m.ended = append(*m.ended, m.name) }

// Rests implements Member.
func (m *member) Rests() time.Duration { return m.rests }

// End implements Member.
func (*member) End() {}

// Who has waited for a next request for longest makes way first; who has one does not, nor who had one a moment ago.
func TestWhoHasWaitedLongestMakesWay(t *testing.T) {
	t.Parallel()
	l, err := loop.New(loop.Options{})
	if err != nil {
		t.Fatal(err)
	}
	go l.Run()
	defer l.Close()
	var ended []string
	h := NewHost(t.Context(), &Config{}, l)
	done := make(chan struct{})
	l.Post(func() {
		defer close(done)
		for _, m := range []*member{
			{name: "short", rests: 2 * time.Second}, {name: "longest", rests: time.Hour}, {name: "busy"}, {name: "in use", rests: leastRest - 1},
			{name: "other", rests: leastRest}, {name: "long", rests: time.Minute},
		} {
			m.ended = &ended
			fd, _ := ends(t)
			if _, err := l.Add(fd, m); err != nil {
				t.Error(err)
			}
		}
		all := func(Member) bool { return true }
		h.MakeWay(2, func(m Member) bool { return m.(*member).name != "other" })
		ended = append(ended, "then")
		h.MakeWay(9, all)
	})
	<-done
	if want := []string{"longest", "long", "then", "longest", "long", "short", "other"}; !slices.Equal(ended, want) {
		t.Errorf("ended: %q, want %q", ended, want)
	}
}
