package proxy

import (
	"io"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
)

// routed are the lines of an app's echo that say who a client is and what way its request came. The version in Via is that
// of the client, and an id that was made is random.
func routed(echo string) []string {
	var out []string
	for line := range strings.Lines(echo) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok {
			continue
		}
		switch head.KindOf(name) {
		case head.Forwarded, head.Identity, head.Via:
			out = append(out, name+": "+strings.Replace(value, "2.0 bearerguard", "1.1 bearerguard", 1))
		case head.RequestID:
			out = append(out, name+": "+madeID.ReplaceAllString(value, "made"))
		default:
		}
	}
	slices.Sort(out)
	return out
}

var madeID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// Two writers tell apps who a client is, one for each version that apps are spoken to in. They say the same, byte for byte,
// whatever the client says, be it believed or not.
func TestAllWaysTellTheSameOfAClient(t *testing.T) {
	t.Parallel()
	const made, own = "X-Request-Id: made", "Via: 1.1 bearerguard"
	tests := map[string]struct {
		give      []string
		want      []string // of a stranger: what is not the same for all
		wantTrust []string // of a proxy that is trusted, all but Forwarded, X-Forwarded-For, -Host, -Port and -Proto
	}{
		"nothing":              {nil, []string{own, made}, []string{own, made}},
		"a sane id":            {[]string{"X-Request-Id", "a-1_b.c:d/e"}, []string{own, "X-Request-Id: a-1_b.c:d/e"}, []string{own, "X-Request-Id: a-1_b.c:d/e"}},
		"an id of 128 bytes":   {[]string{"X-Request-Id", strings.Repeat("a", 128)}, []string{own, "X-Request-Id: " + strings.Repeat("a", 128)}, []string{own, "X-Request-Id: " + strings.Repeat("a", 128)}},
		"an id of 129 bytes":   {[]string{"X-Request-Id", strings.Repeat("a", 129)}, []string{own, made}, []string{own, made}},
		"an id with a space":   {[]string{"X-Request-Id", "a b"}, []string{own, made}, []string{own, made}},
		"an id beyond ASCII":   {[]string{"X-Request-Id", "caf\xe9"}, []string{own, made}, []string{own, made}},
		"an empty id":          {[]string{"X-Request-Id", ""}, []string{own, made}, []string{own, made}},
		"two ids":              {[]string{"X-Request-Id", "a", "X-Request-Id", "b"}, []string{own, made}, []string{own, made}},
		"proxies before":       {[]string{"Via", "1.0 a, 1.1 b", "Via", "2.0 c"}, []string{"Via: 1.0 a, 1.1 b", own, "Via: 2.0 c", made}, []string{"Via: 1.0 a, 1.1 b", own, "Via: 2.0 c", made}},
		"an address":           {[]string{"X-Forwarded-For", "6.6.6.6"}, []string{own, made}, []string{own, made}},
		"several addresses":    {[]string{"X-Forwarded-For", "6.6.6.6, 7.7.7.7", "X-Forwarded-For", "8.8.8.8"}, []string{own, made}, []string{own, made}},
		"an empty address":     {[]string{"X-Forwarded-For", ""}, []string{own, made}, []string{own, made}},
		"elements":             {[]string{"Forwarded", `for="[::1]:80";by=_x`, "Forwarded", "for=unknown"}, []string{own, made}, []string{own, made}},
		"a quote left open":    {[]string{"Forwarded", `for="6.6.6.6`}, []string{own, made}, []string{own, made}},
		"a host and a scheme":  {[]string{"X-Forwarded-Host", "evil", "X-Forwarded-Proto", "https", "X-Forwarded-Port", "1"}, []string{own, made}, []string{own, made}},
		"two hosts":            {[]string{"X-Forwarded-Host", "a", "X-Forwarded-Host", "b"}, []string{own, made}, []string{own, made}},
		"other fields":         {[]string{"X-Forwarded-By", "a", "X-Real-Ip", "6.6.6.6"}, []string{own, made}, []string{own, made, "X-Forwarded-By: a", "X-Real-Ip: 6.6.6.6"}},
		"who the user is":      {[]string{"X-Forwarded-User", "root", "X-Forwarded-Email", "root", "X-Forwarded-Groups", "root", "X-Forwarded-Preferred-Username", "root", "X-Auth-Request-User", "root"}, []string{own, made}, []string{own, made}},
		"other spellings":      {[]string{"X_Forwarded_For", "6", "x.forwarded.for", "6", "X!Forwarded!Host", "6", "X_Real_IP", "6", "X-Forwarded_Proto", "6", "X-Real~Ip", "6"}, []string{own, made}, []string{own, made}},
		"a name of two styles": {[]string{"X-Forwarded-Client_Cert", "6"}, []string{own, made}, []string{own, made}},
	}
	upstream := echo(t).URL
	for trust, nets := range map[bool][]netip.Prefix{false: nil, true: {netip.MustParsePrefix("127.0.0.0/8")}} {
		g := protect(t, upstream, func(c *Config) { c.TrustForwarded = nets })
		for name, tt := range tests {
			want := tt.want
			if trust {
				want = tt.wantTrust
			}
			ways := map[string][]string{}
			for way, h2 := range map[string]bool{"text/plain": false, "application/json": true, "application/grpc": true} {
				r := request(t, "POST", "http://"+g.addr+"/docs/a", nil, "Content-Type", way)
				r.Host = "a.example"
				for i := 0; i < len(tt.give); i += 2 {
					r.Header[http.CanonicalHeaderKey(tt.give[i])] = append(r.Header[http.CanonicalHeaderKey(tt.give[i])], tt.give[i+1])
				}
				res, err := client(t, h2).Do(r)
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(res.Body)
				_ = res.Body.Close()
				ways[way] = routed(string(body))
			}
			for _, way := range []string{"application/json", "application/grpc"} {
				if diff := cmp.Diff(ways["text/plain"], ways[way]); diff != "" {
					t.Errorf("%s, trusted %v: in HTTP/1.1 and in HTTP/2 for %s: %s", name, trust, way, diff)
				}
			}
			slices.Sort(want)
			rest := slices.DeleteFunc(ways["text/plain"], always)
			if diff := cmp.Diff(want, rest); diff != "" {
				t.Errorf("%s, trusted %v: %s", name, trust, diff)
			}
		}
	}
}

// always holds for lines that each request has.
func always(line string) bool {
	name, _, _ := strings.Cut(line, ": ")
	return slices.Contains([]string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto"}, name)
}

// Where no policy is enforced, hosts are not looked into, but cannot say who the client is either (RFC 7239 section 4).
func TestHostsAreQuotedInForwarded(t *testing.T) {
	t.Parallel()
	spec := orders()
	spec.Mode = policy.Audit
	upstream, _, got := takes(t)
	g := protect(t, upstream, func(c *Config) { c.Limits.Response = short }, gatetest.Policy("orders", spec))
	for host, want := range map[string]string{
		"a.example":   `for=127.0.0.1;host=a.example;proto=http`,
		"a:80":        `for=127.0.0.1;host="a:80";proto=http`,
		"[::1]":       `for=127.0.0.1;host="[::1]";proto=http`,
		"a;for=b":     `for=127.0.0.1;host="a;for=b";proto=http`,
		"a,for=b":     `for=127.0.0.1;host="a,for=b";proto=http`,
		`a";for="b`:   `for=127.0.0.1;host="a\";for=\"b";proto=http`,
		`a\";for="b\`: `for=127.0.0.1;host="a\\\";for=\"b\\";proto=http`,
	} {
		c := dial(t, g.addr)
		_, _ = io.WriteString(c, "GET /docs/a HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
		if head := <-got; !strings.Contains(head, "\r\nForwarded: "+want+"\r\n") {
			t.Errorf("%s: no %s in %q", host, want, head)
		}
	}
}
