package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/fetch"
)

type fetches map[string]map[string]fetch.Report

func (f fetches) Fetches(namespace string) map[string]fetch.Report { return f[namespace] }

func TestDebugTellsHowFetchesGo(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	h := debugPages(fetches{"shop": {"url:x": {Next: at, Failures: 2, Error: "down"}}})
	ask := func(peer string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/debug/sources?namespace=shop", http.NoBody)
		r.RemoteAddr, r.Host = peer, "localhost"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	var got struct {
		Version string
		Time    time.Time
		Sources map[string]fetch.Report
	}
	if err := json.Unmarshal(ask("127.0.0.1:1").Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if want := (fetch.Report{Next: at, Failures: 2, Error: "down"}); got.Sources["url:x"] != want || got.Version == "" || time.Since(got.Time) > time.Minute {
		t.Errorf("got %+v, want the source %+v", got, want)
	}
	if w := ask("10.0.0.7:1"); w.Code != http.StatusForbidden {
		t.Errorf("another pod: %d", w.Code)
	}
}
