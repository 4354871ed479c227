package conformance

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// endless is a body that does not end.
type endless struct{}

var xs = strings.Repeat("x", 64<<10)

// Read implements io.Reader.
func (endless) Read(b []byte) (int, error) { return copy(b, xs), nil }

// Who takes much over HTTP/2, and opens its windows in small steps, as net/http does for those that read little at a time, floods nobody.
func TestWindowsThatAreOpenedInSmallSteps(t *testing.T) {
	t.Parallel()
	const size = 32 << 20
	for name, moves := range map[string]func(testing.TB, *http.Client, string) (int64, error){
		"by a client": func(t testing.TB, c *http.Client, url string) (int64, error) {
			res, err := c.Do(request(t, "GET", url, nil))
			if err != nil {
				return 0, err
			}
			defer res.Body.Close()
			return io.CopyBuffer(struct{ io.Writer }{io.Discard}, res.Body, make([]byte, 4<<10))
		},
		"by an app": func(t testing.TB, c *http.Client, url string) (int64, error) {
			res, err := c.Do(request(t, "POST", url, io.LimitReader(endless{}, size)))
			if err != nil {
				return 0, err
			}
			defer res.Body.Close()
			return io.Copy(io.Discard, res.Body)
		},
	} {
		overH2C(t, name, func(t testing.TB) {
			url := app(t, func(w http.ResponseWriter, r *http.Request) {
				n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r.Body, make([]byte, 4<<10))
				if err != nil {
					t.Errorf("the app, after %d bytes: %v", n, err)
				}
				_, _ = io.CopyN(w, endless{}, size)
			})
			if n, err := moves(t, client(t, http2), "http://"+guard(t, url)+"/open/a"); n != size || err != nil {
				t.Errorf("%d bytes come: %v", n, err)
			}
		})
	}
}
