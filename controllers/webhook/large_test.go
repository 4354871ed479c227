package webhook

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestLargeRequestsAreNotHeldAllAtOnce(t *testing.T) {
	t.Parallel()
	var served atomic.Int32
	entered, release := make(chan struct{}, 40), make(chan struct{})
	h := bounded(newArrivals(), make(chan struct{}, largeReviews), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		large := r.ContentLength < 0 || r.ContentLength > smallReview
		if isLarge(r.Context()) != large {
			t.Errorf("one of %d bytes is taken for large: %v", r.ContentLength, !large)
		}
		if large {
			served.Add(1)
			entered <- struct{}{}
			<-release
		}
	}))
	serve := func(size int64) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, PodsPath, strings.NewReader(""))
		r.ContentLength = size
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() { serve(int64(smallReview+1) * int64(1-i%2*2)) }) // every other one does not tell its length
	}
	for range largeReviews {
		<-entered
	}
	serve(smallReview)
	if n := served.Load(); n > largeReviews {
		t.Errorf("%d large requests are held at a time, want %d", n, largeReviews)
	}
	close(release)
	all.Wait()
	if n := served.Load(); n != 40 {
		t.Errorf("%d of 40 large requests were served in the end", n)
	}
}

func TestALargeRequestThatDoesNotComeGivesUpItsPlace(t *testing.T) {
	t.Parallel()
	failed := make(chan error, 1)
	s := httptest.NewServer(bounded(newArrivals(), make(chan struct{}, 1), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		failed <- err
	})))
	t.Cleanup(s.Close)
	body, end := io.Pipe()
	t.Cleanup(func() { _ = end.Close() })
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, body)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if resp, err := http.DefaultClient.Do(r); err == nil {
			_ = resp.Body.Close()
		}
	}()
	select {
	case err := <-failed:
		if err == nil {
			t.Error("the body came to an end")
		}
	case <-time.After(4 * largeTime):
		t.Error("the request still has its place")
	}
}

// Small requests whose bodies do not come leave room: others of their address are refused, those of another are not, and all end in time.
func TestSmallRequestsThatDoNotComeAreFew(t *testing.T) {
	t.Parallel()
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fewSmallRequests(t, http2)
		})
	}
}

func fewSmallRequests(t *testing.T, http2 bool) {
	t.Helper()
	var served atomic.Int32
	s := httptest.NewUnstartedServer(bounded(newArrivals(), make(chan struct{}, 1), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil || string(text) != "body" {
			t.Errorf("the handler reads %q, %v", text, err)
		}
		served.Add(1)
	})))
	s.EnableHTTP2 = http2
	s.StartTLS()
	t.Cleanup(s.Close)
	post := func(body io.Reader) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, body)
		if err != nil {
			t.Error(err)
			return 0
		}
		r.ContentLength = int64(len("body"))
		resp, err := s.Client().Do(r)
		if err != nil {
			t.Error(err)
			return 0
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	statuses := make(chan int)
	const more = 10
	for range smallArrivals.Place + more {
		body, begins := io.Pipe() // the client closes it
		go func() { _, _ = io.WriteString(begins, "bo") }()
		go func() { statuses <- post(body) }()
	}
	got := map[int]int{}
	for range smallArrivals.Place + more {
		got[<-statuses]++
	}
	tooMany, late := got[http.StatusTooManyRequests], got[http.StatusRequestTimeout]
	if tooMany == 0 || tooMany > more || tooMany+late != smallArrivals.Place+more {
		t.Errorf("by status: %v; want about %d that are too many, and others that do not come", got, more)
	}
	if got := post(strings.NewReader("body")); got != http.StatusOK || served.Load() != 1 {
		t.Errorf("afterwards: %d, served %d", got, served.Load())
	}
}
