package fetch_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/fetch"
)

// A SPIFFE bundle says itself how long it may be kept; that says more than the server's Cache-Control.
func TestABundleSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]fetch.Meta{
		`{"keys":[],"spiffe_refresh_hint":600}`:                 {MaxAge: 10 * time.Minute, HasMaxAge: true},
		`{"keys":[],"spiffe_refresh_hint":0}`:                   {HasMaxAge: true},
		`{"keys":[],"spiffe_refresh_hint":9223372036854775807}`: {MaxAge: fetch.MaxRefresh, HasMaxAge: true},
		`{"keys":[],"spiffe_refresh_hint":-1}`:                  {MaxAge: time.Minute, HasMaxAge: true},
		`{"keys":[],"spiffe_refresh_hint":"600"}`:               {MaxAge: time.Minute, HasMaxAge: true},
		`{"keys":[]}`: {MaxAge: time.Minute, HasMaxAge: true},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			_, _ = w.Write([]byte(body))
		}))
		_, got, err := fetch.Source{JWKSURL: s.URL, SPIFFE: true}.Fetch(t.Context(), open())
		s.Close()
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", body, got, err, want)
		}
	}
}
