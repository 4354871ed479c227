package loopback

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestOnlyThePodItselfIsShown(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		peer, host string
		want       int
	}{
		"loopback":                     {"127.0.0.1:1", "localhost:15081", http.StatusOK},
		"loopback of IPv6":             {"[::1]:1", "[::1]:15081", http.StatusOK},
		"loopback of IPv4 as IPv6":     {"[::ffff:127.0.0.1]:1", "127.0.0.1", http.StatusOK},
		"another pod":                  {"10.0.0.7:1", "localhost", http.StatusForbidden},
		"another pod by IPv6":          {"[fd00::7]:1", "localhost", http.StatusForbidden},
		"nobody":                       {"", "localhost", http.StatusForbidden},
		"a browser that was led here":  {"127.0.0.1:1", "evil.example", http.StatusForbidden},
		"a name that begins like ours": {"127.0.0.1:1", "localhost.evil.example:1", http.StatusForbidden},
		"a client that names the pod":  {"127.0.0.1:1", "10.0.0.7:15081", http.StatusForbidden},
		"a client that says nothing":   {"127.0.0.1:1", "", http.StatusForbidden},
	} {
		r := httptest.NewRequest(http.MethodGet, "/debug/refusals", http.NoBody)
		r.RemoteAddr, r.Host = tt.peer, tt.host
		w := httptest.NewRecorder()
		Only(func(http.ResponseWriter, *http.Request) {})(w, r)
		if w.Code != tt.want {
			t.Errorf("%s: %d, want %d", name, w.Code, tt.want)
		}
	}
}

func TestAddress(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"127.0.0.1:8082": true, "localhost:1": true, "[::1]:1": true, "127.9.9.9:1": true,
		":8082": false, "0.0.0.0:1": false, "[::]:1": false, "10.0.0.1:1": false, "example.com:1": false, "127.0.0.1": false, "": false,
	} {
		if got := Address(address); got != want {
			t.Errorf("%q: %v, want %v", address, got, want)
		}
	}
}
