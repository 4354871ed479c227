package page

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
)

// Whoever uses the machine can ask the playground: questions are answered one at a time, few wait, and those whose asker has gone are not answered.
func TestQuestionsAreAnsweredInTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan struct{})
		answered, most, now := 0, 0, 0
		var mu sync.Mutex
		h := inTurn(func(http.ResponseWriter, *http.Request) {
			mu.Lock()
			now++
			answered, most = answered+1, max(most, now)
			mu.Unlock()
			<-ended
			mu.Lock()
			now--
			mu.Unlock()
		})
		ask := func(ctx context.Context) int {
			w := httptest.NewRecorder()
			h(w, httptest.NewRequestWithContext(ctx, http.MethodPost, "/decide", http.NoBody))
			return w.Code
		}
		gone, leave := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		for i := range mostWaiting {
			ctx := t.Context()
			if i > 0 {
				ctx = gone
			}
			wait.Go(func() { ask(ctx) })
			synctest.Wait()
		}
		if code := ask(t.Context()); code != http.StatusTooManyRequests {
			t.Errorf("one more is answered with %d", code)
		}
		leave()
		synctest.Wait()
		wait.Go(func() { ask(t.Context()) })
		synctest.Wait()
		close(ended)
		wait.Wait()
		if answered != 2 || most != 1 {
			t.Errorf("%d are answered, %d at a time; want 2 and 1", answered, most)
		}
	})
}
