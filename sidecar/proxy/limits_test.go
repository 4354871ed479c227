package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// eventually waits for what has to become true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in %v: %s", patience, what)
		}
	}
}

// smallBodies is a policy whose rule for /docs/small takes bodies of up to 10 bytes.
func smallBodies() bundle.Object {
	spec := orders()
	spec.Rules[0].Match[0].NotPaths = []string{"/docs/small"}
	spec.Rules = append(spec.Rules, policy.Rule{
		Name: "small", Match: []policy.Match{{Paths: []string{"/docs/small"}}},
		Allow: &policy.Allow{Anonymous: true, MaxBody: &policy.Size{Bytes: 10}},
	})
	return gatetest.Policy("orders", spec)
}

// content is a body: so many bytes, of which the client says how many they are, or does not.
type content struct {
	bytes int
	sized bool
}

func (c content) reader() io.Reader {
	text := strings.NewReader(strings.Repeat("b", c.bytes))
	if c.sized {
		return text
	}
	return io.MultiReader(text)
}

// Each limit of a request's size is met from both sides, whatever way a request takes: what is at the limit passes, what is
// above is refused with a reason, and the app does not get it.
func TestLimitsOfSize(t *testing.T) {
	t.Parallel()
	fields := func(n int) http.Header {
		h := http.Header{}
		for i := range n {
			h.Set(fmt.Sprintf("X-%d", i), "y")
		}
		return h
	}
	one := func(size int) http.Header { return http.Header{"X-One": {strings.Repeat("y", size)}} }
	tests := map[string]struct {
		path   string
		header http.Header
		body   content
		want   string
	}{
		"fields below --max-headers":                 {"/docs/a", fields(15), content{}, "200"},
		"more fields than --max-headers":             {"/docs/a", fields(21), content{}, "431 TooLarge"},
		"many small fields":                          {"/docs/a", fields(90), content{}, "431 TooLarge"},
		"bytes below --max-header-bytes":             {"/docs/a", one(3000), content{}, "200"},
		"a target at --max-url-bytes":                {"/docs/" + strings.Repeat("a", 94), nil, content{}, "200"},
		"a target above --max-url-bytes":             {"/docs/" + strings.Repeat("a", 95), nil, content{}, "414 URITooLong"},
		"a query above --max-url-bytes":              {"/docs/a?" + strings.Repeat("a", 95), nil, content{}, "414 URITooLong"},
		"a body of known length at --max-body-bytes": {"/docs/a", nil, content{1000, true}, "200"},
		"a body of known length above":               {"/docs/a", nil, content{1001, true}, "413 BodyTooLarge"},
		"a body of unknown length at the limit":      {"/docs/a", nil, content{1000, false}, "200"},
		"a body of unknown length above":             {"/docs/a", nil, content{1001, false}, "413 BodyTooLarge"},
		"a body of unknown length far above":         {"/docs/a", nil, content{300_000, false}, "413 BodyTooLarge"},
		"a body at a rule's maxBody":                 {"/docs/small", nil, content{10, true}, "200"},
		"a body above a rule's maxBody":              {"/docs/small", nil, content{11, true}, "413 BodyTooLarge"},
		"of unknown length above a rule's maxBody":   {"/docs/small", nil, content{11, false}, "413 BodyTooLarge"},
	}
	var whole atomic.Int32 // requests of which the app got all
	a := app(t, func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			whole.Add(1)
		}
	})
	limits := Limits{HeadBytes: 4096, Fields: 20, URL: 100, Body: 1000, Drain: time.Second}
	g := protect(t, a.URL, func(c *Config) { c.Limits = limits }, smallBodies())
	over := protect(t, a.URL, func(c *Config) { c.Limits, c.AppProtocol = limits, AppH2C }, smallBodies())
	passed := int32(0)
	for name, tt := range tests {
		for way, to := range map[string]struct {
			addr string
			h2   bool
		}{"HTTP/1.1": {g.addr, false}, "HTTP/2": {g.addr, true}, "HTTP/2 all the way": {over.addr, true}} {
			r := request(t, "POST", "http://"+to.addr+tt.path, tt.body.reader())
			for n, v := range tt.header {
				r.Header[n] = v
			}
			if got := verdict(t, client(t, to.h2), r); got != tt.want {
				t.Errorf("%s, %s: %s, want %s", name, way, got, tt.want)
			}
			if tt.want == "200" {
				passed++
			}
		}
	}
	if n := whole.Load(); n != passed {
		t.Errorf("the app got %d requests, want %d", n, passed)
	}
}

// verdict is an answer's status, and its reason if it is a refusal.
func verdict(t *testing.T, c *http.Client, r *http.Request) string {
	t.Helper()
	res, err := c.Do(r)
	if err != nil {
		return "no answer: " + err.Error()
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	if _, reason, ok := strings.Cut(string(b), `"reason":"`); ok {
		reason, _, _ = strings.Cut(reason, `"`)
		return fmt.Sprint(res.StatusCode, " ", reason)
	}
	return fmt.Sprint(res.StatusCode)
}
