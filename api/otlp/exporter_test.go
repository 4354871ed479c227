package otlp

import (
	"context"
	"errors"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
)

// fake is a collector that answers as it is told; beyond, it takes everything.
type fake struct {
	answers []error
	times   []time.Duration // since began, of each request
	began   time.Time
	hangs   bool
	reject  int
}

func (f *fake) send(ctx context.Context, _ []byte) (int, error) {
	f.times = append(f.times, time.Since(f.began).Round(time.Second))
	if f.hangs {
		<-ctx.Done()
		return 0, &retryable{error: ctx.Err()}
	}
	if len(f.answers) > 0 {
		err := f.answers[0]
		f.answers = f.answers[1:]
		return 0, err
	}
	return f.reject, nil
}

func (f *fake) close() {}

func TestSending(t *testing.T) {
	t.Parallel()
	down := errors.New("down")
	for name, tt := range map[string]struct {
		fake fake
		want Counts
		// least is how many requests there are at least, and most at most
		least, most int
	}{
		"it takes them":                          {fake{}, Counts{Sent: 2}, 1, 1},
		"it takes a part":                        {fake{reject: 1}, Counts{Sent: 1, Rejected: 1}, 1, 1},
		"it says that it rejects more than sent": {fake{reject: 100}, Counts{Rejected: 2}, 1, 1},
		"it does not want them":                  {fake{answers: []error{down}}, Counts{Failed: 2}, 1, 1},
		"it has no time at first":                {fake{answers: []error{&retryable{error: down}, &retryable{error: down}}}, Counts{Sent: 2}, 3, 3},
		"it asks for time":                       {fake{answers: []error{&retryable{down, 20 * time.Second}}}, Counts{Sent: 2}, 2, 2},
		"it asks for more time than there is":    {fake{answers: []error{&retryable{down, 2 * time.Minute}}}, Counts{Failed: 2}, 1, 1},
		"it hangs":                               {fake{hangs: true}, Counts{Failed: 2}, 4, 7},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := tt.fake
				f.began = time.Now()
				e := &Exporter{conf: Config{Log: logr.Discard(), Endpoint: &url.URL{}}, link: &f, kick: make(chan struct{}, 1)}
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- e.Run(ctx) }()
				e.Add([]byte("span"), 2)
				time.Sleep(3 * time.Minute)
				if diff := cmp.Diff(tt.want, e.Counts()); diff != "" || len(f.times) < tt.least || len(f.times) > tt.most {
					t.Errorf("%s, requests at %v", diff, f.times)
				}
				stop()
				<-done
			})
		})
	}
}

func TestTheFarewellIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{hangs: true, began: time.Now()}
		e := &Exporter{conf: Config{Log: logr.Discard(), Endpoint: &url.URL{}}, link: f, kick: make(chan struct{}, 1)}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- e.Run(ctx) }()
		e.Add([]byte("span"), 1)
		time.Sleep(every + time.Second) // it is being sent
		e.Add([]byte("another"), 1)
		stop()
		began := time.Now()
		<-done
		if took := time.Since(began); took != farewell || e.Counts().Failed != 2 {
			t.Errorf("it took %v, counts %+v", took, e.Counts())
		}
	})
}

func TestRoomIsBounded(t *testing.T) {
	t.Parallel()
	e := &Exporter{kick: make(chan struct{}, 1)}
	span := make([]byte, 1000)
	for range 10000 {
		e.Add(span, 3)
	}
	if n := e.Counts().NoRoom; len(e.pending) > room || n != 30000-3*(room/1000) {
		t.Errorf("%d bytes wait, %d spans were dropped", len(e.pending), n)
	}
}
