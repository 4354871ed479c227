package proxy

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const briefly = "GET /docs/a HTTP/1.1\r\nHost: a\r\n\r\n"

// brief is an app of short answers, and how often it was asked.
func brief(t *testing.T) (url string, asked *atomic.Int64) {
	t.Helper()
	asked = &atomic.Int64{}
	return app(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = w.Write(make([]byte, 1500))
	}).URL, asked
}

// wholeAnswers is how many there are in a stream up to its end.
func wholeAnswers(r io.Reader) (n int64) {
	for br := bufio.NewReader(r); ; n++ {
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			return n
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			return n
		}
	}
}

// A client that sends one request after the other and reads no answer is not read from any more: nobody keeps its answers.
func TestAnswersThatNobodyReadsEndTheReading(t *testing.T) {
	url, asked := brief(t)
	g := protect(t, url, nil)
	c := dial(t, g.addr)
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	const requests = 12_000
	go func() {
		_, _ = io.WriteString(c, strings.Repeat(briefly, requests-1))
		_, _ = io.WriteString(c, strings.Replace(briefly, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1))
	}()
	if n := steady(t, asked); n > 6_000 {
		t.Errorf("%d requests were answered of which nobody has read an answer", n)
	}
	if n := wholeAnswers(c); n != requests {
		t.Errorf("%d answers, want %d", n, requests)
	}
}
