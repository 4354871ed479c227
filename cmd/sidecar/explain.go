package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/time/rate"

	"github.com/bearerguard/bearerguard/sidecar/explain"
)

// newExplaining bounds explanations and lists of requests, which cost much more than a request: ten a second, and twenty at once.
func newExplaining() *rate.Limiter { return rate.NewLimiter(10, 20) }

// debugExplain explains a request. Nothing of it is logged, counted or kept. Whoever gets here is in the pod, by its network or by
// port-forward; they have to show besides that they mean it, so that nobody has an app or a browser ask for them.
func (s *sidecar) debugExplain(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Header.Get(explain.Header) == "":
		http.Error(w, "the header "+explain.Header+" is missing", http.StatusForbidden)
		return
	case r.Header.Get("Content-Type") != "application/json":
		http.Error(w, "want application/json", http.StatusUnsupportedMediaType)
		return
	case !s.explaining.Allow():
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many questions just now", http.StatusTooManyRequests)
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(5 * time.Second))
	var q explain.Question
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, explain.MaxBytes))
	d.DisallowUnknownFields()
	if err := d.Decode(&q); err != nil {
		http.Error(w, "the question is no JSON as it has to be", http.StatusBadRequest) // the error may quote it
		return
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		http.Error(w, "there is something after the question", http.StatusBadRequest)
		return
	}
	writeJSON(w, explain.Explain(s.gate, &q, time.Now()))
}

// mostShown is how many requests an answer has at most.
const mostShown = 1500

// debugRequests shows requests that are remembered: by id, by decision, or the last ones.
func (s *sidecar) debugRequests(w http.ResponseWriter, r *http.Request) {
	if !s.explaining.Allow() {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many questions just now", http.StatusTooManyRequests)
		return
	}
	query := r.URL.Query()
	most := mostShown
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			http.Error(w, "limit: want a number from 1 on", http.StatusBadRequest)
			return
		}
		most = min(n, mostShown)
	}
	switch query.Get("decision") {
	case "", "allow", "deny":
	default:
		http.Error(w, "decision: want allow or deny", http.StatusBadRequest)
		return
	}
	writeJSON(w, map[string]any{"requests": s.decided.Requests(query.Get("id"), query.Get("decision"), most)})
}
