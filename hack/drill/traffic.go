package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// kind is one kind of request. Only those with a valid token may be let in.
type kind struct {
	name    string
	valid   bool
	token   func() string
	workers int
	kept    bool // connections are kept open
}

// load sends requests of all kinds from newLoad until close, and counts what becomes of them from begin to end.
type load struct {
	url    string
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu    sync.Mutex
	on    bool      // guarded by mu: count
	fault time.Time // guarded by mu: when the trouble began
	tally tally     // guarded by mu
}

// tally is what became of the requests of a case.
type tally struct {
	all, valid                int
	allowed, refused, dropped int
	recover                   time.Duration // from the fault to the last valid request that failed
	sample                    map[string]string
}

// pace is the pause between two requests of a worker.
const pace = 60 * time.Millisecond

func newLoad(url string, kinds []kind) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{url: url, cancel: cancel}
	for _, k := range kinds {
		for range k.workers {
			l.done.Go(func() { l.work(ctx, k) })
		}
	}
	return l
}

func (l *load) close() {
	l.cancel()
	l.done.Wait()
}

func (l *load) work(ctx context.Context, k kind) {
	transport := &http.Transport{DisableKeepAlives: !k.kept, DialContext: (&net.Dialer{Timeout: 3 * time.Second}).DialContext}
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	for ctx.Err() == nil {
		sent := time.Now()
		code, err := ask(ctx, client, l.url, k.token())
		if ctx.Err() == nil {
			l.note(k, sent, code, err)
		}
		select {
		case <-time.After(pace):
		case <-ctx.Done():
		}
	}
}

// ask sends one request and returns the status code of its answer, taken whole.
func ask(ctx context.Context, client *http.Client, url, token string) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20))
	return response.StatusCode, errors.Join(err, response.Body.Close())
}

func (l *load) note(k kind, sent time.Time, code int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.on {
		return
	}
	t := &l.tally
	t.all++
	if k.valid {
		t.valid++
	}
	switch {
	case !k.valid && err == nil && code == http.StatusOK:
		t.allowed++
		t.remember("allowed", k.name)
	case !k.valid: // refused as it should be, or not answered, which lets nobody in
	case err != nil:
		t.dropped++
		t.remember("dropped", err.Error())
		t.recover = max(t.recover, l.since(sent))
	case code != http.StatusOK:
		t.refused++
		t.remember("refused", fmt.Sprint(code))
		t.recover = max(t.recover, l.since(sent))
	}
}

func (l *load) since(sent time.Time) time.Duration {
	if l.fault.IsZero() {
		return 0
	}
	return sent.Sub(l.fault)
}

func (t *tally) remember(what, text string) {
	if t.sample == nil {
		t.sample = map[string]string{}
	}
	t.sample[what] = text
}

// begin starts counting.
func (l *load) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.on, l.tally, l.fault = true, tally{}, time.Time{}
}

// end stops counting and returns the counts.
func (l *load) end() tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.on = false
	return l.tally
}

// mark says that the trouble begins now.
func (l *load) mark() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = time.Now()
}

// so far returns the counts without ending them.
func (l *load) sofar() tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tally
}
