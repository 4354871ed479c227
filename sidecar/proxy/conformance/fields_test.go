package conformance

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/sidecar/proxy"
)

// RFC 9110 section 7.6 and 7.7: what is end to end passes as it is. Names may change in case alone.

// lower makes a line's name lower case.
func lower(line string) string {
	name, value, _ := strings.Cut(line, ":")
	return strings.ToLower(name) + ": " + strings.Trim(value, " \t")
}

// only returns the lines with one of these names, in their order, names in lower case.
func only(lines []string, names ...string) []string {
	var out []string
	for _, l := range lines {
		name, _, _ := strings.Cut(lower(l), ":")
		if slices.Contains(names, name) {
			out = append(out, lower(l))
		}
	}
	return out
}

func TestFieldsPassUntouched(t *testing.T) {
	t.Parallel()
	tests := map[string][]string{
		"a repeated field keeps its order":      {"X-A: 2", "X-A: 1", "X-A: 3"},
		"other fields between change nothing":   {"X-A: 2", "X-B: 1", "X-A: 1"},
		"cookies":                               {"Set-Cookie: a=1; Path=/", "Set-Cookie: b=2, c", "Set-Cookie: a=3; Expires=Wed, 09 Jun 2027 10:18:14 GMT"},
		"an empty value":                        {"X-A:", "X-B: "},
		"an empty value among others":           {"X-A: 1", "X-A:", "X-A: 2"},
		"bytes beyond ASCII":                    {"X-A: caf\xe9 \xff\x80", "X-B: \xe2\x82\xac"},
		"white space inside":                    {"X-A: a  b\tc"},
		"quotes, commas and backslashes":        {`X-A: "a, \"b\"", c;d="e\\"`},
		"a value that looks like a field":       {"X-A: X-B: c", "X-B: 1"},
		"a long value":                          {"X-A: " + pattern(30_000)},
		"a name with every character":           {"X!#$%&'*+-.^`|~09: 1"},
		"a name with an underscore":             {"X_Under_Score: 1"},
		"a list is not taken apart, nor joined": {"Accept: a/b, c/d", "Accept: e/f", "Cache-Control: no-cache, no-store", "X-List: 1, 2"},
		"tracing":                               {"Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "Tracestate: a=b,c=d", "Baggage: e=f"},
	}
	names := func(lines []string) (out []string) {
		for _, l := range lines {
			name, _, _ := strings.Cut(lower(l), ":")
			out = append(out, name)
		}
		return out
	}
	sameNames := func(want, got []string) string { // order between names set aside: it means nothing (RFC 9110 section 5.3)
		sorted := func(lines []string) []string {
			out := make([]string, 0, len(lines))
			for _, l := range lines {
				out = append(out, lower(l))
			}
			slices.SortStableFunc(out, func(a, b string) int {
				return strings.Compare(strings.SplitN(a, ":", 2)[0], strings.SplitN(b, ":", 2)[0])
			})
			return out
		}
		return cmp.Diff(sorted(want), sorted(got))
	}
	for name, lines := range tests {
		text := strings.Join(lines, "\r\n") + "\r\n"
		run(t, "of requests: "+name, func(t testing.TB) {
			got := forwarded(t, "GET /open/a HTTP/1.1\r\nHost: a\r\n"+text+"\r\n")
			if diff := sameNames(lines, only(got.fields, names(lines)...)); diff != "" {
				t.Error(diff)
			}
		})
		run(t, "of answers: "+name, func(t testing.TB) {
			c := dial(t, guard(t, says(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"+text+"\r\n")))
			c.send(get("/open/a"))
			h, _ := c.answer()
			if diff := sameNames(lines, only(h.fields, names(lines)...)); diff != "" {
				t.Error(diff)
			}
		})
		both(t, "both ways: "+name, func(t testing.TB, v version) {
			asked := make(chan http.Header, 1)
			addr := guard(t, app(t, func(w http.ResponseWriter, r *http.Request) {
				asked <- r.Header
				for _, l := range lines {
					name, value, _ := strings.Cut(l, ":")
					w.Header().Add(name, strings.TrimLeft(value, " "))
				}
			}))
			r := request(t, "GET", "http://"+addr+"/open/a", nil)
			for _, l := range lines {
				name, value, _ := strings.Cut(l, ":")
				r.Header.Add(name, strings.TrimLeft(value, " "))
			}
			res, _ := ask(t, client(t, v), r)
			saw := receive(t, asked)
			for name := range r.Header {
				if diff := cmp.Diff(r.Header[name], saw[name]); diff != "" {
					t.Errorf("the app got %s: %s", name, diff)
				}
				if diff := cmp.Diff(r.Header[name], res.Header[name]); diff != "" {
					t.Errorf("the client got %s: %s", name, diff)
				}
			}
		})
	}
	lines := []string{"X-C: 1", "X-A: 2", "Accept: */*", "X-B: 3", "X-A: 4", "User-Agent: x"}
	run(t, "of requests: fields of different names keep their order", func(t testing.TB) {
		got := forwarded(t, "GET /open/a HTTP/1.1\r\nHost: a\r\n"+strings.Join(lines, "\r\n")+"\r\n\r\n")
		if diff := cmp.Diff(only(lines, names(lines)...), only(got.fields, names(lines)...)); diff != "" {
			t.Error(diff)
		}
	})
	run(t, "of answers: fields of different names keep their order", func(t testing.TB) {
		c := dial(t, guard(t, says(t, "HTTP/1.1 200 OK\r\n"+strings.Join(lines, "\r\n")+"\r\nContent-Length: 0\r\n\r\n")))
		c.send(get("/open/a"))
		h, _ := c.answer()
		if diff := cmp.Diff(only(lines, names(lines)...), only(h.fields, names(lines)...)); diff != "" {
			t.Error(diff)
		}
	})
}

// What nobody said is not made up.
func TestNothingIsForged(t *testing.T) {
	t.Parallel()
	run(t, "requests", func(t testing.TB) {
		for name := range map[string]bool{"User-Agent": true, "Accept-Encoding": true, "Accept": true, "Content-Type": true, "Content-Length": true, "Transfer-Encoding": true, "Connection": true, "X-User": true, "Authorization": true} {
			if h := forwarded(t, get("/open/a")); h.has(name) && h.get(name) != "keep-alive" {
				t.Errorf("the app got %s: %s", name, h.get(name))
			}
		}
	})
	for name, body := range map[string]string{"answers": "<html><body>looks like HTML</body></html>", "answers without a body": ""} {
		run(t, name, func(t testing.TB) {
			c := dial(t, guard(t, rawApp(t, func(c *wire, _ int) {
				c.head()
				c.send("HTTP/1.1 200 OK\r\n\r\n" + body)
			})))
			c.send(get("/open/a"))
			h, _ := c.answer()
			for _, name := range []string{"Server", "Content-Type", "Via", "Cache-Control", "X-Powered-By"} {
				if h.has(name) {
					t.Errorf("the client got %s: %s", name, h.get(name))
				}
			}
		})
	}
	run(t, "answers, HTTP/2", func(t testing.TB) {
		addr := guard(t, app(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil // the app's own server makes up none then
			_, _ = io.WriteString(w, "<html></html>")
		}))
		res, _ := ask(t, client(t, http2), request(t, "GET", "http://"+addr+"/open/a", nil))
		for _, name := range []string{"Server", "Content-Type", "Via", "Cache-Control"} {
			if v := res.Header.Get(name); v != "" {
				t.Errorf("the client got %s: %s", name, v)
			}
		}
	})
	run(t, "an answer that has a date and a server keeps them", func(t testing.TB) {
		c := dial(t, guard(t, says(t, "HTTP/1.1 200 OK\r\nDate: Tue, 15 Nov 1994 08:12:31 GMT\r\nServer: app/1.0 (x)\r\nVia: 1.1 inner\r\nContent-Length: 0\r\n\r\n")))
		c.send(get("/open/a"))
		h, _ := c.answer()
		if diff := cmp.Diff([]string{"date: Tue, 15 Nov 1994 08:12:31 GMT", "server: app/1.0 (x)"}, only(h.fields, "date", "server")); diff != "" {
			t.Error(diff)
		}
	})
	run(t, "an answer without a date may get the time (RFC 9110 section 6.6.1)", func(t testing.TB) {
		c := dial(t, guard(t, says(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")))
		c.send(get("/open/a"))
		if h, _ := c.answer(); h.has("Date") {
			if at, err := http.ParseTime(h.get("Date")); err != nil || time.Since(at).Abs() > time.Minute {
				t.Errorf("Date: %s", h.get("Date"))
			}
		}
	})
}

// RFC 9110 sections 13 to 15: conditions, ranges and codings are between client and app. The app's own answer is the
// measure.
func TestConditionsRangesAndCodingsPass(t *testing.T) {
	t.Parallel()
	text := pattern(10_000)
	var packed bytes.Buffer
	zw := gzip.NewWriter(&packed)
	_, _ = io.WriteString(zw, text)
	_ = zw.Close()
	changed := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	url := app(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Type", "text/plain")
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Vary", "Accept-Encoding")
			http.ServeContent(w, r, "", changed, bytes.NewReader(packed.Bytes()))
			return
		}
		http.ServeContent(w, r, "", changed, strings.NewReader(text))
	})
	addr := guard(t, url)
	for name, tt := range map[string]struct {
		fields []string
		status int
	}{
		"no condition":                    {nil, 200},
		"If-None-Match that fits":         {[]string{"If-None-Match", `"v0", W/"v1"`}, 304},
		"If-None-Match that does not":     {[]string{"If-None-Match", `"v0"`}, 200},
		"If-None-Match of anything":       {[]string{"If-None-Match", "*"}, 304},
		"If-Modified-Since":               {[]string{"If-Modified-Since", "Fri, 02 Jan 2026 03:04:05 GMT"}, 304},
		"If-Match that does not":          {[]string{"If-Match", `"v0"`}, 412},
		"If-Unmodified-Since":             {[]string{"If-Unmodified-Since", "Thu, 01 Jan 2026 00:00:00 GMT"}, 412},
		"a range":                         {[]string{"Range", "bytes=100-199"}, 206},
		"a range from the end":            {[]string{"Range", "bytes=-1"}, 206},
		"a range without an end":          {[]string{"Range", "bytes=9999-"}, 206},
		"a range beyond the end":          {[]string{"Range", "bytes=10000-"}, 416},
		"If-Range that fits":              {[]string{"Range", "bytes=0-9", "If-Range", `"v1"`}, 206},
		"If-Range that does not":          {[]string{"Range", "bytes=0-9", "If-Range", `"v0"`}, 200},
		"a coding":                        {[]string{"Accept-Encoding", "gzip, br"}, 200},
		"a range of a coding":             {[]string{"Accept-Encoding", "gzip", "Range", "bytes=0-9"}, 206},
		"a coding that the app lacks":     {[]string{"Accept-Encoding", "br;q=1.0, *;q=0"}, 200},
		"a range in a unit nobody knows":  {[]string{"Range", "lines=1-2"}, 416},
		"If-None-Match before a range":    {[]string{"Range", "bytes=0-9", "If-None-Match", `"v1"`}, 304},
		"several fields of one condition": {[]string{"If-None-Match", `"v0"`, "If-None-Match", `"v1"`}, 200},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			both(t, method+" with "+name, func(t testing.TB, v version) {
				want, wantBody := ask(t, client(t, v), request(t, method, url+"/open/a", nil, tt.fields...))
				got, body := ask(t, client(t, v), request(t, method, "http://"+addr+"/open/a", nil, tt.fields...))
				want.Header.Del("Date")
				got.Header.Del("Date")
				if want.StatusCode != tt.status {
					t.Fatalf("the app itself answers %s", want.Status)
				}
				if diff := cmp.Diff(want.Header, got.Header); diff != "" || got.StatusCode != want.StatusCode || body != wantBody {
					t.Errorf("%s, %d of %d bytes: %s", got.Status, len(body), len(wantBody), diff)
				}
			})
		}
	}
	both(t, "several ranges come in parts", func(t testing.TB, v version) {
		res, body := ask(t, client(t, v), request(t, "GET", "http://"+addr+"/open/a", nil, "Range", "bytes=0-9,20-29"))
		_, boundary, _ := strings.Cut(res.Header.Get("Content-Type"), "multipart/byteranges; boundary=")
		want := "--" + boundary + "\r\nContent-Range: bytes 0-9/10000\r\nContent-Type: text/plain\r\n\r\n" + text[:10] +
			"\r\n--" + boundary + "\r\nContent-Range: bytes 20-29/10000\r\nContent-Type: text/plain\r\n\r\n" + text[20:30] + "\r\n--" + boundary + "--\r\n"
		if diff := cmp.Diff(want, body); diff != "" || res.StatusCode != 206 || boundary == "" {
			t.Errorf("%s %s", res.Status, diff)
		}
	})
}

func TestMethodsAndTargetsPass(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"GET /open/a", "PROPFIND /open/a", "M-SEARCH /open/a", "QUERY /open/a", "OPTIONS /open/a",
		"GET /open/a?", "GET /open/a?b=c&d=%2e;e", "GET /open/a?%00=%ff&x=|^`{}\"<>", "GET /open/a,e!$&'()*+:@~", "GET /open/%C3%A9",
	} {
		run(t, line, func(t testing.TB) {
			if h := forwarded(t, line+" HTTP/1.1\r\nHost: a\r\n\r\n"); h.line != line+" HTTP/1.1" {
				t.Errorf("the app got %s", h.line)
			}
		})
	}
	run(t, "a target with scheme and host becomes a path and a host", func(t testing.TB) {
		h := forwarded(t, "GET http://a.example:81/open/a?b HTTP/1.1\r\nHost: a.example:81\r\n\r\n")
		if h.line != "GET /open/a?b HTTP/1.1" || !slices.Equal(h.values("Host"), []string{"a.example:81"}) {
			t.Errorf("got %s %q", h.line, h.fields)
		}
	})
}

// RFC 7239, and the fields before it: who the client is, says the proxy.
func TestForwardedFields(t *testing.T) {
	t.Parallel()
	const claimed = "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-User: root\r\nForwarded: for=9.9.9.9\r\nX_Forwarded_For: 9.9.9.9\r\n"
	all := []string{"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-user", "forwarded", "x_forwarded_for"}
	for name, tt := range map[string]struct {
		trusted bool
		send    string
		want    []string
	}{
		"nothing claimed":           {false, "", []string{"forwarded: for=127.0.0.1;host=a;proto=http", "x-forwarded-for: 127.0.0.1", "x-forwarded-host: a", "x-forwarded-proto: http"}},
		"claimed by anybody":        {false, claimed, []string{"forwarded: for=127.0.0.1;host=a;proto=http", "x-forwarded-for: 127.0.0.1", "x-forwarded-host: a", "x-forwarded-proto: http"}},
		"claimed by a proxy before": {true, claimed, []string{"forwarded: for=9.9.9.9, for=127.0.0.1;host=a;proto=http", "x-forwarded-for: 9.9.9.9, 127.0.0.1", "x-forwarded-host: evil", "x-forwarded-proto: https"}},
	} {
		run(t, name, func(t testing.TB) {
			heads := make(chan head, 1)
			c := dial(t, guard(t, seenBy(t, heads), func(c *proxy.Config) {
				if tt.trusted {
					c.TrustForwarded = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
				}
			}))
			c.send(get("/open/a", tt.send))
			c.answer()
			got := only(receive(t, heads).fields, all...)
			slices.Sort(got)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
