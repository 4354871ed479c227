package revsource

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/fetch"
)

// What a status says of a transmitter that cannot be asked names the field, and no token.
func TestWhatIsWrongWithATransmitterNamesTheField(t *testing.T) {
	t.Parallel()
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	for name, tt := range map[string]struct {
		status  int
		url     string // in place of a server with the status
		allowed []netip.Prefix
		want    string
	}{
		"a token that is not taken":          {status: 401, allowed: loopback, want: "sharedSignals.credentialsSecretRef: the transmitter does not take the token: ask http://"},
		"a token of somebody else":           {status: 403, allowed: loopback, want: "sharedSignals.credentialsSecretRef: the token may not do that"},
		"another path":                       {status: 404, allowed: loopback, want: "sharedSignals.transmitter: there is no such endpoint"},
		"a failure":                          {status: 503, allowed: loopback, want: "sharedSignals.transmitter: it fails and is asked again: ask http://"},
		"a redirect":                         {status: 302, allowed: loopback, want: "sharedSignals.transmitter: ask http://"},
		"nobody there":                       {url: "http://127.0.0.1:1/", allowed: loopback, want: "within reach of the controller's pods"},
		"an address that is not to be asked": {url: "http://127.0.0.1:1/", want: "sharedSignals.transmitter: ask http://127.0.0.1:1/: address 127.0.0.1 is refused: loopback; the operator can allow its network"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := tt.url
			if url == "" {
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(tt.status) }))
				defer server.Close()
				url = server.URL
			}
			_, err := fetch.Ask(t.Context(), fetch.Question{URL: url, Token: "canary"}, fetch.Options{AllowHTTP: true, AllowNets: tt.allowed, Timeout: 5 * time.Second})
			if err = blame(err); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "canary") {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
		})
	}
	if err := blame(context.Canceled); !errors.Is(err, context.Canceled) || err.Error() != context.Canceled.Error() {
		t.Errorf("%v", err)
	}
}
