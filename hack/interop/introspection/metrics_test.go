package introspection

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// adminPage reads what an admin port has.
func adminPage(t *testing.T, admin, path string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+admin+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(send(t, http.DefaultClient, r, http.StatusOK))
}

// TestMetricsOfASidecarThatAsks: what a dashboard sees of a token that is used three times, and of one that is made up.
func TestMetricsOfASidecarThatAsks(t *testing.T) {
	t.Parallel()
	asks := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"active":%v,"sub":"alice","aud":"urn:orders","scope":"orders.read","exp":%d}`, r.FormValue("token") == "good", time.Now().Add(time.Hour).Unix())
	}))
	t.Cleanup(asks.Close)
	admin := fmt.Sprintf("127.0.0.1:%d", port(t))
	rules := strings.Replace(policies("https://login.example.com", false), "discovery: {}, signedResponse: false, cacheTTL: 1s", fmt.Sprintf("url: %q", asks.URL), 1)
	at := sidecar(t, rules, "--admin", admin)
	for i, token := range []string{"good", "good", "good", "bad"} {
		if status, want := get(t, at, token), map[string]int{"good": 200, "bad": 401}[token]; status != want {
			t.Errorf("request %d: %d, want %d", i, status, want)
		}
	}
	page := adminPage(t, admin, "/metrics")
	for _, want := range []string{
		`requests_total{result="answered"} 2`, "duration_seconds_count 2", "cache_hits_total 2", "in_flight 0", "endpoints 1", "breakers_open 0",
	} {
		if !strings.Contains(page, "\nbearerguard_introspection_"+want+"\n") {
			t.Errorf("/metrics has no bearerguard_introspection_%s", want)
		}
	}
}
