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
		"a bearer token":                        {auth("Bearer abc"), "", Found{"abc", 0, true, InHeader, "Authorization"}, ""},
		"the scheme in lower case":              {auth("bearer abc"), "", Found{"abc", 0, true, InHeader, "Authorization"}, ""},
		"the scheme in upper case":              {auth("BEARER abc"), "", Found{"abc", 0, true, InHeader, "Authorization"}, ""},
		"several spaces":                        {auth("Bearer   abc"), "", Found{"abc", 0, true, InHeader, "Authorization"}, ""},
		"white space around":                    {auth(" \tBearer abc \t"), "", Found{"abc", 0, true, InHeader, "Authorization"}, ""},
		"the scheme alone":                      {auth("Bearer"), "", Found{"", 0, true, InHeader, "Authorization"}, ""},
		"the scheme and a space":                {auth("Bearer "), "", Found{"", 0, true, InHeader, "Authorization"}, ""},
		"the scheme and a tab":                  {auth("Bearer\tabc"), "", Found{"\tabc", 0, true, InHeader, "Authorization"}, ""},
		"two tokens in one header":              {auth("Bearer abc, Bearer def"), "", Found{"abc, Bearer def", 0, true, InHeader, "Authorization"}, ""},
		"no scheme":                             {auth("abc"), "", Found{}, ""},
		"another scheme":                        {auth("Basic YTpi"), "", Found{}, ""},
		"a scheme that begins like it":          {auth("Bearerx abc"), "", Found{}, ""},
		"an empty Authorization":                {auth(""), "", Found{}, ""},
		"Authorization twice":                   {auth("Bearer abc", "Bearer abc"), "", Found{}, twice},
		"Authorization twice, one Basic":        {auth("Basic YTpi", "Bearer abc"), "", Found{}, twice},
		"Authorization twice, both Basic":       {auth("Basic YTpi", "Basic YTpi"), "", Found{}, twice},
		"a plain header":                        {http.Header{"X-Token": {"abc"}}, "", Found{"abc", 1, true, InHeader, "X-Token"}, ""},
		"an empty plain header":                 {http.Header{"X-Token": {""}}, "", Found{}, ""},
		"a plain header twice":                  {http.Header{"X-Token": {"abc", "abc"}}, "", Found{}, two},
		"a prefix that is no scheme":            {http.Header{"X-Scheme": {"token=abc"}}, "", Found{"abc", 2, true, InHeader, "X-Scheme"}, ""},
		"a cookie":                              {cookies("a=b; session=abc; c=d"), "", Found{"abc", 3, true, InCookie, "session"}, ""},
		"a cookie in quotes":                    {cookies(`session="abc"`), "", Found{"abc", 3, true, InCookie, "session"}, ""},
		"a cookie in the second header":         {cookies("a=b", "session=abc"), "", Found{"abc", 3, true, InCookie, "session"}, ""},
		"a cookie of another case":              {cookies("Session=abc"), "", Found{}, ""},
		"a cookie with a longer name":           {cookies("xsession=abc; session2=d"), "", Found{}, ""},
		"a cookie without a value":              {cookies("session"), "", Found{}, ""},
		"an empty cookie":                       {cookies("session="), "", Found{}, ""},
		"a cookie twice":                        {cookies("session=abc; session=abc"), "", Found{}, two},
		"a cookie twice, first empty":           {cookies("session=; session=abc"), "", Found{}, two},
		"a cookie twice over two headers":       {cookies("session=abc", "session=def"), "", Found{}, two},
		"a parameter":                           {nil, "a=b&access_token=abc", Found{"abc", 4, true, InQuery, "access_token"}, ""},
		"a parameter with escapes":              {nil, "access_token=a%2Eb.c", Found{"a.b.c", 4, true, InQuery, "access_token"}, ""},
		"a parameter whose name is escaped":     {nil, "access%5ftoken=abc", Found{"abc", 4, true, InQuery, "access_token"}, ""},
		"a parameter with a bad escape":         {nil, "access_token=a%zz", Found{"a%zz", 4, true, InQuery, "access_token"}, ""},
		"a parameter with a plus":               {nil, "access_token=a+b", Found{"a b", 4, true, InQuery, "access_token"}, ""},
		"an empty parameter":                    {nil, "access_token=", Found{}, ""},
		"a parameter behind a semicolon":        {nil, "a=b;access_token=abc", Found{}, ""},
		"a parameter twice":                     {nil, "access_token=abc&access_token=abc", Found{}, two},
		"a parameter twice, once escaped":       {nil, "access_token=abc&access%5Ftoken=def", Found{}, two},
		"a subprotocol":                         {protocols("chat, bearer, abc"), "", Found{"abc", 5, true, InWebSocketProtocol, "bearer"}, ""},
		"a subprotocol over two headers":        {protocols("bearer", "abc"), "", Found{"abc", 5, true, InWebSocketProtocol, "bearer"}, ""},
		"a subprotocol without a token":         {protocols("bearer"), "", Found{"", 5, true, InWebSocketProtocol, "bearer"}, ""},
		"a subprotocol twice":                   {protocols("bearer, abc, bearer, def"), "", Found{}, two},
		"a header and a cookie":                 {http.Header{"Authorization": {"Bearer abc"}, "Cookie": {"session=abc"}}, "", Found{}, two},
		"a header and a parameter":              {auth("Bearer abc"), "access_token=abc", Found{}, two},
		"a header without a token and a cookie": {http.Header{"Authorization": {"Bearer"}, "Cookie": {"session=abc"}}, "", Found{}, two},
		"Basic and a cookie":                    {http.Header{"Authorization": {"Basic YTpi"}, "Cookie": {"session=abc"}}, "", Found{"abc", 3, true, InCookie, "session"}, ""},
	}
	l := NewLocator(places(everyPlace()))
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, reason := l.Find(LocateRequest{Header: tc.header, RawQuery: tc.query})
			if reason != tc.reason {
				t.Errorf("got reason %q, want %q", reason, tc.reason)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
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
		got, reason := l.Find(LocateRequest{Header: http.Header{"Authorization": {"Bearer abc"}}})
		if reason != "" || got.Raw != "abc" {
			t.Errorf("got %q and %q, want abc", got.Raw, reason)
		}
	}
}

func TestAccepts(t *testing.T) {
	t.Parallel()
	l := NewLocator(places(nil, []policy.TokenLocation{{Cookie: "session"}}, []policy.TokenLocation{{Header: "authorization", Prefix: "bearer "}}))
	for _, tc := range []struct {
		issuer, location int
		want             bool
	}{{0, 0, true}, {0, 1, false}, {1, 1, true}, {1, 0, false}, {2, 0, true}, {3, 0, false}, {0, 2, false}, {-1, 0, false}, {0, -1, false}} {
		if got := l.Accepts(tc.issuer, tc.location); got != tc.want {
			t.Errorf("issuer %d, location %d: got %v", tc.issuer, tc.location, got)
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
		found, reason := l.Find(LocateRequest{Header: h, RawQuery: query})
		if found.OK && reason != "" {
			t.Fatal("found and refused at once")
		}
		q, c, p := StripQuery(query, "access_token"), StripCookie([]string{cookie}, "session"), StripProtocol([]string{protocol}, "bearer")
		again, reason := l.Find(LocateRequest{Header: http.Header{"Cookie": c, "Sec-Websocket-Protocol": p}, RawQuery: q})
		if again.OK || reason != "" {
			t.Fatalf("after stripping: found %v, %q", again.OK, reason)
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
