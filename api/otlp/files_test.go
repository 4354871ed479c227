package otlp

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReadHeader(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text string
		want []headerField
		bad  string
	}{
		"a token":                   {"Authorization: Bearer abc:def\n", []headerField{{"authorization", "Bearer abc:def"}}, ""},
		"several, and notes":        {"# of the vendor\n\nx-api-key: 1\r\nx-tenant : shop", []headerField{{"x-api-key", "1"}, {"x-tenant", "shop"}}, ""},
		"nothing":                   {"", nil, ""},
		"no colon":                  {"a: b\nsecret", nil, "line 2"},
		"no value":                  {"a:", nil, "line 1"},
		"a name that frames":        {"Content-Length: 1", nil, "line 1"},
		"a name of gRPC's":          {"grpc-timeout: 1S", nil, "line 1"},
		"a binary one":              {"x-bin: 1", nil, "line 1"},
		"a name with a space":       {"a b: 1", nil, "line 1"},
		"a value with a control":    {"a: b\x01", nil, "line 1"},
		"a value that is no ASCII":  {"a: \u00e4", nil, "line 1"},
		"more than there should be": {strings.Repeat("a: b\n", 33), nil, "line 33"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := readHeader(tt.text)
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(headerField{})); diff != "" {
				t.Error(diff)
			}
			if (err == nil) != (tt.bad == "") || err != nil && (!strings.Contains(err.Error(), tt.bad) || strings.Contains(err.Error(), "secret")) {
				t.Errorf("error %v, want %q", err, tt.bad)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-1": 0, "soon": 0, "99999999999999": 0, "4000": patience,
		"Mon, 02 Jan 2006 15:04:05 GMT": 0, "Fri, 02 Jan 2906 15:04:05 GMT": patience,
	} {
		if got := retryAfter(text); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

// FuzzAnswer holds that whatever a collector answers, it is read without harm.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte{0x0a, 0x02, 0x08, 0x05})
	f.Add([]byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, answer []byte) {
		if n := rejectedSpans(answer); n < 0 {
			t.Fatal(n)
		}
	})
}
