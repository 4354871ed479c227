package otlp

import (
	"fmt"
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

func TestReadResource(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text string
		want []Attribute
		bad  bool
	}{
		"nothing":                         {"", nil, false},
		"a pod":                           {"k8s.namespace.name=shop, k8s.pod.name=orders-1", []Attribute{{"k8s.namespace.name", "shop"}, {"k8s.pod.name", "orders-1"}}, false},
		"one that is empty":               {"a=,b=1", []Attribute{{"b", "1"}}, false},
		"one twice":                       {"a=1,b=2,a=3", []Attribute{{"b", "2"}, {"a", "3"}}, false},
		"what is encoded":                 {"a=b%20c%2Cd", []Attribute{{"a", "b c,d"}}, false},
		"what the exporter knows better":  {"service.name=x,service.version=y,host.name=z", nil, false},
		"no value":                        {"a", nil, true},
		"no key":                          {"=1", nil, true},
		"what is encoded wrongly":         {"a=%zz", nil, true},
		"a control":                       {"a=%0A", nil, true},
		"what is long":                    {"a=" + strings.Repeat("x", 2000), nil, true},
		"more than there should be":       {strings.Repeat("a=1,", 1) + many(65), nil, true},
		"as many as there may be at most": {many(64), nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ReadResource(tt.text)
			if (err != nil) != tt.bad {
				t.Fatal(got, err)
			}
			if tt.want != nil || tt.text == "" {
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

// many returns so many attributes.
func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "k%d=1,", i)
	}
	return b.String()
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
