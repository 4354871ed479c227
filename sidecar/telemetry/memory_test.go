package telemetry

import (
	"encoding/json"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
)

func TestARequestIsFoundByItsID(t *testing.T) {
	t.Parallel()
	d := NewDecisionLog(logr.Discard(), LogOptions{})
	memory := []byte("id-7 /orders/7")
	text := unsafe.String(&memory[0], len(memory))
	d.Request(&Record{
		Time: at(0), Own: 12 * time.Microsecond, RequestID: text[:4], Forwarded: true, Reason: decision.Allowed, Policy: "shop/orders", Rule: "read",
		Method: "GET", Host: "orders", Path: text[5:], Protocol: "HTTP/1.1", Port: 8080, Remote: netip.MustParseAddr("10.0.0.7"),
		Issuer: "https://login.example.com", Subject: "alice", KeyID: "k1",
		Audit: []Audit{{Policy: "shop/trial", Reason: decision.Expired, Cause: secretive{}}, {}, {}, {}, {Policy: "the fifth"}},
	})
	copy(memory, "overwritten...")
	d.Request(&Record{Time: at(1), RequestID: "id-7", Reason: decision.UpstreamTimeout, Cause: decision.Because("too slow")})
	d.Request(&Record{Time: at(2), RequestID: "id-8", Reason: decision.NoRule, Why: &why{details: decision.Details{NearestRule: "read"}}})
	got, err := json.Marshal(d.Requests("id-7", "", 10))
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"decision":"deny","time":"2026-01-01T00:00:01Z","requestID":"id-7","reason":"UpstreamTimeout","cause":"too slow","ownMicros":0},` +
		`{"decision":"allow","time":"2026-01-01T00:00:00Z","requestID":"id-7","reason":"Allowed","policy":"shop/orders","rule":"read",` +
		`"method":"GET","host":"orders","path":"/orders/7","remote":"10.0.0.7","keyID":"k1","protocol":"HTTP/1.1","port":8080,"ownMicros":12,"audit":[` +
		`{"policy":"shop/trial","decision":"deny","reason":"Expired","cause":"sub is a number,\\nnot a string"},{"policy":"","decision":"deny","reason":""},` +
		`{"policy":"","decision":"deny","reason":""},{"policy":"","decision":"deny","reason":""}]}]`
	if diff := cmp.Diff(strings.ReplaceAll(want, "2026-01-01T00:00:0", at(0).UTC().Format("2006-01-02T15:04:0")), string(got)); diff != "" {
		t.Error(diff)
	}
	if got := d.Requests("", "deny", 10); len(got) != 2 || got[0].RequestID != "id-8" || got[0].NearestRule != "read" {
		t.Errorf("the refusals are %+v", got)
	}
	if got := d.Requests("", "", 1); len(got) != 1 {
		t.Errorf("%d requests, want the newest alone", len(got))
	}
}

func TestAFloodOfOneReasonDoesNotPushOutTheOthers(t *testing.T) {
	t.Parallel()
	d := NewDecisionLog(logr.Discard(), LogOptions{})
	for i := range 5 {
		d.Request(&Record{Time: at(0), RequestID: strconv.Itoa(i), Reason: decision.NoRule})
	}
	for i := range 100_000 {
		d.Request(&Record{Time: at(i / 100), RequestID: "x" + strconv.Itoa(i), Reason: decision.NoToken})
		d.Request(&Record{Time: at(i / 100), RequestID: "y", Reason: decision.Allowed, Forwarded: true})
	}
	all := map[decision.Reason]int{}
	for _, r := range d.Requests("", "", 10_000) {
		all[r.Reason]++
	}
	want := map[decision.Reason]int{decision.NoRule: 5, decision.NoToken: mostRefused - 5, decision.Allowed: mostPassed}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Error(diff)
	}
	if got := d.Requests("x99999", "", 1); len(got) != 1 {
		t.Error("the newest of a flood is not there")
	}
}

func TestWhatIsRememberedASecondIsBounded(t *testing.T) {
	t.Parallel()
	p := pace{every: int64(10 * time.Millisecond), burst: int64(10*time.Millisecond) * 9}
	count := func(when time.Time) (n int) {
		for range 1000 {
			if p.allow(when) {
				n++
			}
		}
		return n
	}
	for i, want := range []int{10, 10, 10} { // all that there can be at once, each second
		if got := count(at(i)); got != want {
			t.Errorf("in second %d %d of 1000 are let through, want %d", i, got, want)
		}
	}
	if got := count(at(2).Add(20 * time.Millisecond)); got != 2 {
		t.Errorf("20 ms later %d are let through, want 2", got)
	}
}

// TestMemoryOfRequestsIsBounded fills every slot with the most that requests can bring.
func TestMemoryOfRequestsIsBounded(t *testing.T) {
	long := strings.Repeat("a", 64<<10)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	d := NewDecisionLog(logr.Discard(), LogOptions{PerReason: 1e6})
	r := Record{RequestID: long, Method: long, Host: long, Path: long, KeyID: long, Protocol: long, Cause: decision.Because(long), Why: &why{details: decision.Details{Failed: long}}}
	for i := range 4 * mostRefused {
		r.Time, r.Forwarded, r.Reason = at(i), i%2 == 0, decision.Reasons()[i%len(decision.Reasons())]
		d.Request(&r)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if took := int64(after.HeapAlloc) - int64(before.HeapAlloc); took > 5<<20 {
		t.Errorf("what is remembered takes %d KiB, want at most 5 MiB", took>>10)
	} else {
		t.Logf("what is remembered takes %d KiB at worst", took>>10)
	}
	runtime.KeepAlive(d)
}

func TestRequestsAreRememberedConcurrently(t *testing.T) {
	t.Parallel()
	d := NewDecisionLog(logr.Discard(), LogOptions{})
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			for j := range 2000 {
				d.Request(&Record{Time: at(j), RequestID: strconv.Itoa(i), Forwarded: j%3 == 0, Reason: decision.Reasons()[j%20]})
				if j%500 == 0 {
					_ = d.Requests(strconv.Itoa(i), "", 10)
				}
			}
		})
	}
	wait.Wait()
	if n := len(d.Requests("", "deny", 10_000)); n != mostRefused {
		t.Errorf("%d refusals are kept, want %d", n, mostRefused)
	}
}

// What was found is shown while requests go on: a slot that has another one by then shows neither.
func TestWhatIsForgottenMeanwhileIsNotShown(t *testing.T) {
	t.Parallel()
	d := NewDecisionLog(logr.Discard(), LogOptions{})
	refuse := func(i int) {
		d.Request(&Record{Time: at(i), RequestID: strconv.Itoa(i), Reason: decision.NoToken})
	}
	for i := range mostRefused {
		refuse(i)
	}
	found := newest(d.memory.look(func(*slot) bool { return true }), mostRefused)
	const more = 10
	for i := range more {
		refuse(mostRefused + i) // in the place of the oldest
	}
	shown := d.memory.show(found)
	if len(shown) != mostRefused-more {
		t.Fatalf("%d requests are shown, want %d", len(shown), mostRefused-more)
	}
	for i, r := range shown {
		if want := strconv.Itoa(mostRefused - 1 - i); r.RequestID != want {
			t.Fatalf("request %d is %s, want %s", i, r.RequestID, want)
		}
	}
}

// BenchmarkShowingAll tells how long it takes to show all that is remembered, and how much of that holds the lock at a stretch.
func BenchmarkShowingAll(b *testing.B) {
	d := NewDecisionLog(logr.Discard(), LogOptions{})
	for i := range mostRefused {
		d.Request(&Record{Time: at(0), RequestID: strconv.Itoa(i), Path: "/orders", Reason: decision.NoToken})
		d.Request(&Record{Time: at(i), RequestID: strconv.Itoa(i), Path: "/orders", Forwarded: true})
	}
	all := func(*slot) bool { return true }
	b.Run("all", func(b *testing.B) {
		for b.Loop() {
			d.memory.list(mostRefused+mostPassed, all)
		}
	})
	b.Run("held", func(b *testing.B) {
		for b.Loop() {
			d.memory.look(all)
		}
	})
}
