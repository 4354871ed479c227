package fetch_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/bearerguard/bearerguard/api/fetch"
)

func TestManyLargeAnswersAreNotHeldAtATime(t *testing.T) {
	t.Parallel()
	padded := serve(t, text(keys+strings.Repeat(" ", 200<<10)))
	small := serve(t, text(keys))
	var held atomic.Int32
	entered, release := make(chan struct{}, 40), make(chan struct{})
	o := open()
	o.Vet = func(b []byte) ([]byte, error) {
		held.Add(1)
		entered <- struct{}{}
		<-release
		return b[:len(keys)], nil
	}
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			if got, _, err := fetch.JWKS(t.Context(), padded.URL, o); err != nil || string(got) != keys {
				t.Errorf("got %d bytes, error %v; want what Vet keeps", len(got), err)
			}
		})
	}
	for range 16 {
		<-entered
	}
	if _, _, err := fetch.JWKS(t.Context(), small.URL, open()); err != nil {
		t.Errorf("a small answer waits for large ones: %v", err)
	}
	if n := held.Load(); n > 16 {
		t.Errorf("%d large answers are held at a time", n)
	}
	close(release)
	all.Wait()
}
