package push

import (
	"runtime"
	"sync"
	"time"
)

const (
	// turnsAtATime is how many sidecars for each processor are sent something at a time. All at once would be thousands of
	// goroutines that encrypt, before which the admission of a pod would wait.
	turnsAtATime = 32
	// longestTurn is how long a sidecar that does not acknowledge keeps its turn.
	longestTurn = 20 * time.Millisecond
)

// turns bounds how many are served at a time, and gives groups of them turns in rotation: for streams that send, namespaces, so that an
// edit for few sidecars does not wait behind one for thousands. It is safe for concurrent use.
type turns struct {
	mu       sync.Mutex
	free     int                           // guarded by mu
	waiting  map[string][]func(end func()) // guarded by mu; by group, never empty
	rotation []string                      // guarded by mu; the keys of waiting
}

// newTurns returns turns for so many at a time on each processor.
func newTurns(atATime int) *turns {
	return &turns{free: atATime * runtime.GOMAXPROCS(0), waiting: map[string][]func(end func()){}}
}

// take calls do in a goroutine of its own when it is the turn of one of group, at once or later; until then there is no
// goroutine. The turn lasts until do or somebody else calls end, which may be called again; without that it ends by itself soon. take
// does not block.
func (t *turns) take(group string, do func(end func())) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.free > 0 {
		t.free--
		t.begin(do)
		return
	}
	if len(t.waiting[group]) == 0 {
		t.rotation = append(t.rotation, group)
	}
	t.waiting[group] = append(t.waiting[group], do)
}

// begin begins a turn.
func (t *turns) begin(do func(end func())) {
	end := sync.OnceFunc(t.next)
	late := time.AfterFunc(longestTurn, end)
	go do(func() { late.Stop(); end() })
}

// next passes a turn on.
func (t *turns) next() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.rotation) == 0 {
		t.free++
		return
	}
	group := t.rotation[0]
	t.rotation = t.rotation[1:]
	line := t.waiting[group]
	t.begin(line[0])
	line[0] = nil
	if len(line) == 1 {
		delete(t.waiting, group)
		return
	}
	t.waiting[group] = line[1:]
	t.rotation = append(t.rotation, group)
}
