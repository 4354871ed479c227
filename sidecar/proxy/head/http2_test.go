package head

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ofParts is a request that came in HTTP/2.
type ofParts struct {
	Method, Target, Host string
	Header               map[string][]string
	Length               int64
}

func (p *ofParts) read(r *Request) error {
	r.Take(p.Method, p.Target, p.Host)
	for name, values := range p.Header {
		for _, v := range values {
			r.Fields = append(r.Fields, FieldOf(name, v))
		}
	}
	return r.Complete(p.Length)
}

func TestRequestsOfParts(t *testing.T) {
	t.Parallel()
	parts := func(change func(*ofParts)) ofParts {
		p := ofParts{Method: "POST", Target: "/a", Host: "a.example", Header: map[string][]string{"X-A": {" 1\t", "2"}}, Length: 3}
		change(&p)
		return p
	}
	add := func(name string, values ...string) func(*ofParts) {
		return func(p *ofParts) { p.Header[name] = values }
	}
	for name, tt := range map[string]struct {
		give ofParts
		want string
		err  error
	}{
		"as it is":                     {parts(func(*ofParts) {}), "POST /a a.example 3 false: X-A=1 X-A=2", nil},
		"a length that is said":        {parts(add("Content-Length", "3")), "POST /a a.example 3 false: Content-Length=3 X-A=1 X-A=2", nil},
		"no length":                    {parts(func(p *ofParts) { p.Length = -1 }), "POST /a a.example 0 true: X-A=1 X-A=2", nil},
		"two lengths":                  {parts(add("Content-Length", "3", "3")), "", ErrLength},
		"a length of no digits":        {parts(add("Content-Length", "+3")), "", ErrLength},
		"a length in another spelling": {parts(add("Content_Length", "3")), "", ErrSpelling},
		"a length behind the body":     {parts(func(p *ofParts) { p.Length, p.Header["Trailer"] = -1, []string{"X-Sum, Content-Length"} }), "", ErrTrailer},
		"two tokens":                   {parts(add("Authorization", "Bearer a", "Bearer b")), "", ErrAuthorization},
	} {
		var r Request
		err := tt.give.read(&r)
		if err != tt.err { //nolint:errorlint // constants
			t.Errorf("%s: got %v, want %v", name, err, tt.err)
			continue
		}
		if err != nil {
			continue
		}
		var fields []string
		for _, f := range r.Fields[1:] {
			fields = append(fields, fmt.Sprintf("%s=%s", f.Name, f.Value))
		}
		slices.Sort(fields)
		got := fmt.Sprintf("%s %s %s %d %v: %s", r.Method, r.Target, r.Host, r.Length, r.Chunked, strings.Join(fields, " "))
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
