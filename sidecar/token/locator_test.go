package token

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

// places is one issuer per list of places.
func places(lists ...[]policy.TokenLocation) []policy.Issuer {
	var out []policy.Issuer
	for _, l := range lists {
		out = append(out, policy.Issuer{From: l})
	}
	return out
}

func everyPlace() []policy.TokenLocation {
	return []policy.TokenLocation{
		{Header: "Authorization", Prefix: "Bearer "}, {Header: "x-token"}, {Header: "X-Scheme", Prefix: "Token="},
		{Cookie: "session"}, {Query: "access_token"}, {WebSocketProtocol: "bearer"},
	}
}

// found is a token in one place of everyPlace.
func found(raw string, at int) Found {
	p := newPlace(everyPlace()[at])
	return Found{Raw: raw, Takers: decision.IssuerSet(0).With(0), OK: true, Kind: p.kind, Name: p.name, at: at}
}

// again is found, where the token is in other places too.
func again(raw string, at int) Found {
	f := found(raw, at)
	f.More = true
	return f
}

func TestFind(t *testing.T) {
	t.Parallel()
	const two, twice = decision.TokenInTwoPlaces, decision.DuplicateAuthorization
	auth := func(v ...string) http.Header { return http.Header{"Authorization": v} }
	cookies := func(v ...string) http.Header { return http.Header{"Cookie": v} }
	protocols := func(v ...string) http.Header { return http.Header{"Sec-Websocket-Protocol": v} }
	tests := map[string]struct {
		header http.Header
		query  string
		want   Found
		reason decision.Reason
	}{
		"nothing":                               {nil, "", Found{}, ""},
		"a bearer token":                        {auth("Bearer abc"), "", found("abc", 0), ""},
		"the scheme in lower case":              {auth("bearer abc"), "", found("abc", 0), ""},
		"the scheme in upper case":              {auth("BEARER abc"), "", found("abc", 0), ""},
		"several spaces":                        {auth("Bearer   abc"), "", found("abc", 0), ""},
		"white space around":                    {auth(" \tBearer abc \t"), "", found("abc", 0), ""},
		"the scheme alone":                      {auth("Bearer"), "", found("", 0), ""},
		"the scheme and a space":                {auth("Bearer "), "", found("", 0), ""},
		"the scheme and a tab":                  {auth("Bearer\tabc"), "", found("\tabc", 0), ""},
		"two tokens in one header":              {auth("Bearer abc, Bearer def"), "", found("abc, Bearer def", 0), ""},
		"no scheme":                             {auth("abc"), "", Found{}, ""},
		"another scheme":                        {auth("Basic YTpi"), "", Found{}, ""},
		"a scheme that begins like it":          {auth("Bearerx abc"), "", Found{}, ""},
		"an empty Authorization":                {auth(""), "", Found{}, ""},
		"Authorization twice":                   {auth("Bearer abc", "Bearer abc"), "", Found{}, twice},
		"Authorization twice, one Basic":        {auth("Basic YTpi", "Bearer abc"), "", Found{}, twice},
		"Authorization twice, both Basic":       {auth("Basic YTpi", "Basic YTpi"), "", Found{}, twice},
		"a plain header":                        {http.Header{"X-Token": {"abc"}}, "", found("abc", 1), ""},
		"an empty plain header":                 {http.Header{"X-Token": {""}}, "", Found{}, ""},
		"a plain header twice":                  {http.Header{"X-Token": {"abc", "abc"}}, "", Found{}, two},
		"a prefix that is no scheme":            {http.Header{"X-Scheme": {"token=abc"}}, "", found("abc", 2), ""},
		"a cookie":                              {cookies("a=b; session=abc; c=d"), "", found("abc", 3), ""},
		"a cookie in quotes":                    {cookies(`session="abc"`), "", found("abc", 3), ""},
		"a cookie in the second header":         {cookies("a=b", "session=abc"), "", found("abc", 3), ""},
		"a cookie of another case":              {cookies("Session=abc"), "", Found{}, ""},
		"a cookie with a longer name":           {cookies("xsession=abc; session2=d"), "", Found{}, ""},
		"a cookie without a value":              {cookies("session"), "", Found{}, ""},
		"an empty cookie":                       {cookies("session="), "", Found{}, ""},
		"a cookie twice":                        {cookies("session=abc; session=abc"), "", Found{}, two},
		"a cookie twice, first empty":           {cookies("session=; session=abc"), "", Found{}, two},
		"a cookie twice over two headers":       {cookies("session=abc", "session=def"), "", Found{}, two},
		"a parameter":                           {nil, "a=b&access_token=abc", found("abc", 4), ""},
		"a parameter with escapes":              {nil, "access_token=a%2Eb.c", found("a.b.c", 4), ""},
		"a parameter whose name is escaped":     {nil, "access%5ftoken=abc", found("abc", 4), ""},
		"a parameter with a bad escape":         {nil, "access_token=a%zz", found("a%zz", 4), ""},
		"a parameter with a plus":               {nil, "access_token=a+b", found("a b", 4), ""},
		"an empty parameter":                    {nil, "access_token=", Found{}, ""},
		"a parameter behind a semicolon":        {nil, "a=b;access_token=abc", Found{}, ""},
		"a parameter twice":                     {nil, "access_token=abc&access_token=abc", Found{}, two},
		"a parameter twice, once escaped":       {nil, "access_token=abc&access%5Ftoken=def", Found{}, two},
		"a subprotocol":                         {protocols("chat, bearer, abc"), "", found("abc", 5), ""},
		"a subprotocol over two headers":        {protocols("bearer", "abc"), "", found("abc", 5), ""},
		"a subprotocol without a token":         {protocols("bearer"), "", found("", 5), ""},
		"a subprotocol twice":                   {protocols("bearer, abc, bearer, def"), "", Found{}, two},
		"a header and a cookie":                 {http.Header{"Authorization": {"Bearer abc"}, "Cookie": {"session=abd"}}, "", Found{}, two},
		"a header and a parameter":              {auth("Bearer abc"), "access_token=abcd", Found{}, two},
		"one token in a header and a cookie":    {http.Header{"Authorization": {"Bearer abc"}, "Cookie": {"session=abc"}}, "", again("abc", 0), ""},
		"one token in a header and a parameter": {auth("bearer  abc"), "access_token=%61bc", again("abc", 0), ""},
		"one token in a cookie and a parameter": {cookies(`session="abc"`), "access_token=abc", again("abc", 3), ""},
		"one token in three places":             {http.Header{"Authorization": {"Bearer abc"}, "Cookie": {"session=abc"}}, "access_token=abc", again("abc", 0), ""},
		"one token in two headers":              {http.Header{"Authorization": {"Bearer abc"}, "X-Token": {"abc"}}, "", again("abc", 0), ""},
		"one token in two, another in a third":  {http.Header{"Authorization": {"Bearer abc"}, "Cookie": {"session=abc"}}, "access_token=abd", Found{}, two},
		"one token in two, twice in one":        {auth("Bearer abc"), "access_token=abc&access_token=abc", Found{}, two},
		"one token but for the case":            {http.Header{"Authorization": {"Bearer abc"}, "Cookie": {"session=ABC"}}, "", Found{}, two},
		"a header without a token and a cookie": {http.Header{"Authorization": {"Bearer"}, "Cookie": {"session=abc"}}, "", Found{}, two},
		"Basic and a cookie":                    {http.Header{"Authorization": {"Basic YTpi"}, "Cookie": {"session=abc"}}, "", found("abc", 3), ""},
	}
	l := NewLocator(places(everyPlace()))
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, no := l.Find(LocateRequest{Header: tc.header, RawQuery: tc.query})
			if no.Reason != tc.reason {
				t.Errorf("got reason %q, want %q", no.Reason, tc.reason)
			}
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(Found{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLongestPrefixWins(t *testing.T) {
	t.Parallel()
	bare := policy.TokenLocation{Header: "Authorization"}
	bearer := policy.TokenLocation{Header: "Authorization", Prefix: "Bearer "}
	for _, l := range []*Locator{
		NewLocator(places([]policy.TokenLocation{bare, bearer})), NewLocator(places([]policy.TokenLocation{bearer, bare})),
	} {
		got, no := l.Find(LocateRequest{Header: http.Header{"Authorization": {"Bearer abc"}}})
		if no.Refused() || got.Raw != "abc" {
			t.Errorf("got %q and %q, want abc", got.Raw, no.Reason)
		}
	}
}

func TestTakers(t *testing.T) {
	t.Parallel()
	l := NewLocator(places(nil, []policy.TokenLocation{{Cookie: "session"}}, []policy.TokenLocation{{Header: "authorization", Prefix: "bearer "}}))
	header := http.Header{"Authorization": {"Bearer abc"}}
	cookie := http.Header{"Cookie": {"session=abc"}}
	both := http.Header{"Authorization": {"Bearer abc"}, "Cookie": {"session=abc"}}
	for name, tc := range map[string]struct {
		header http.Header
		want   []int
	}{"a header": {header, []int{0, 2}}, "a cookie": {cookie, []int{1}}, "both": {both, []int{0, 1, 2}}, "neither": {nil, nil}} {
		f, _ := l.Find(LocateRequest{Header: tc.header})
		var got []int
		for i := -1; i < 4; i++ {
			if f.Takers.Has(i) {
				got = append(got, i)
			}
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestNext(t *testing.T) {
	t.Parallel()
	l := NewLocator(places(everyPlace()))
	r := LocateRequest{Header: http.Header{"Authorization": {"Bearer abc"}, "Cookie": {"session=abc"}}, RawQuery: "access_token=abc"}
	var got []string
	f, _ := l.Find(r)
	for ok := f.OK; ok; f, ok = l.Next(r, f) {
		got = append(got, f.Name)
	}
	if diff := cmp.Diff([]string{"Authorization", "session", "access_token"}, got); diff != "" {
		t.Error(diff)
	}
}

// The order in which policies list places changes nothing.
func TestLongestPrefixWinsBesideAnotherPlace(t *testing.T) {
	t.Parallel()
	bare, bearer, cookie := policy.TokenLocation{Header: "Authorization"}, policy.TokenLocation{Header: "Authorization", Prefix: "Bearer "}, policy.TokenLocation{Cookie: "session"}
	r := LocateRequest{Header: http.Header{"Authorization": {"Bearer abc"}, "Cookie": {"session=abc"}}}
	for _, list := range [][]policy.TokenLocation{{bare, cookie, bearer}, {bearer, cookie, bare}, {cookie, bare, bearer}} {
		got, no := NewLocator(places(list)).Find(r)
		if no.Refused() || got.Raw != "abc" || !got.More {
			t.Errorf("%v: got %q, refused for %q", list, got.Raw, no.Reason)
		}
	}
}

func TestStrip(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ raw, want string }{
		{"", ""}, {"a=b", "a=b"}, {"t=x", ""}, {"a=b&t=x&c=%20+d", "a=b&c=%20+d"}, {"%74=x&a", "a"}, {"t&&b", "&b"}, {"t=&T=y", "T=y"},
	} {
		if got := StripQuery(tc.raw, "t"); got != tc.want {
			t.Errorf("query %q: got %q, want %q", tc.raw, got, tc.want)
		}
	}
	for _, tc := range []struct{ in, want []string }{
		{nil, nil}, {[]string{"t=x"}, nil}, {[]string{"a=b; t=x;c=d", "t=y"}, []string{"a=b; c=d"}}, {[]string{"t; tt=x"}, []string{"t; tt=x"}},
	} {
		if diff := cmp.Diff(tc.want, StripCookie(tc.in, "t")); diff != "" {
			t.Error(diff)
		}
	}
	for _, tc := range []struct{ in, want []string }{
		{nil, nil}, {[]string{"t, x"}, nil}, {[]string{"chat, t", "x, soap"}, []string{"chat, soap"}}, {[]string{"t"}, nil},
	} {
		if diff := cmp.Diff(tc.want, StripProtocol(tc.in, "t")); diff != "" {
			t.Error(diff)
		}
	}
}

// FuzzLocate holds that what is stripped is no longer found, and that nothing but the values given is handed out.
func FuzzLocate(f *testing.F) {
	f.Add("Bearer abc", "a=b; session=abc", "access_token=abc", "bearer, abc")
	f.Add("Basic x", "session=\"\"", "access%5ftoken=%61&b", ",bearer,,")
	f.Fuzz(func(t *testing.T, auth, cookie, query, protocol string) {
		h := http.Header{"Authorization": {auth}, "Cookie": {cookie}, "Sec-Websocket-Protocol": {protocol}}
		l := NewLocator(places(everyPlace()))
		found, no := l.Find(LocateRequest{Header: h, RawQuery: query})
		if found.OK && no.Refused() {
			t.Fatal("found and refused at once")
		}
		q, c, p := StripQuery(query, "access_token"), StripCookie([]string{cookie}, "session"), StripProtocol([]string{protocol}, "bearer")
		again, no := l.Find(LocateRequest{Header: http.Header{"Cookie": c, "Sec-Websocket-Protocol": p}, RawQuery: q})
		if again.OK || no.Refused() {
			t.Fatalf("after stripping: found %v, %q", again.OK, no.Reason)
		}
		if found.Kind == InHeader && !strings.Contains(auth, found.Raw) {
			t.Fatal("found what is not there")
		}
	})
}

func BenchmarkFind(b *testing.B) {
	l := NewLocator(places(nil, everyPlace()))
	r := LocateRequest{Header: http.Header{"Authorization": {"Bearer " + strings.Repeat("a", 800)}, "Cookie": {"a=b; c=d"}}, RawQuery: "page=2"}
	b.ReportAllocs()
	for b.Loop() {
		if f, _ := l.Find(r); !f.OK {
			b.Fatal("not found")
		}
	}
}
