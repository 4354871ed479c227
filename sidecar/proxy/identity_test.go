package proxy

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// allWays are the ways that a request can take to the app.
var allWays = map[string]struct {
	h2          bool
	contentType string
	app         AppProtocol
}{
	"HTTP/1.1":           {false, "text/plain", AppAuto},
	"HTTP/2 to HTTP/1.1": {true, "text/plain", AppAuto},
	"gRPC to h2c":        {true, "application/grpc", AppAuto},
	"HTTP/2 to h2c":      {true, "text/plain", AppH2C},
}

// userHeaders are what apps behind oauth2-proxy take for the user.
var userHeaders = []string{
	"X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups", "X-Forwarded-Preferred-Username",
	"X-Auth-Request-User", "X-Auth-Request-Email", "X-Auth-Request-Groups", "X-Auth-Request-Preferred-Username",
	"X-Auth-Request-Access-Token", "X-Auth-Request-Whatever",
}

// spellings are names that an app may take for the name.
func spellings(name string) []string {
	return []string{
		name, strings.ToLower(name), strings.ReplaceAll(name, "-", "_"), strings.ToUpper(strings.ReplaceAll(name, "-", "_")),
		strings.ReplaceAll(name, "-", "."), strings.Replace(name, "-", "~", 1),
	}
}

// No client says who the user is, whether or not a policy names the header: in no spelling, in no head and no trailer, with a
// token and without one, whatever way the request takes, and though the client is a proxy that is trusted.
func TestNoClientSaysWhoTheUserIs(t *testing.T) {
	t.Parallel()
	upstream := echo(t).URL
	named := orders()
	named.Forward = &policy.Forward{Headers: []policy.IdentityHeader{{Name: "X-Forwarded-User", Claim: "sub"}, {Name: "x-auth-request-email", Claim: "none"}}}
	silent, trial := orders(), orders()
	silent.Forward, trial.Mode = nil, policy.Audit
	for what, spec := range map[string]policy.Spec{"named": named, "not named": silent, "Audit": trial} {
		for way, by := range allWays {
			for _, trusted := range []bool{false, true} {
				g := protect(t, upstream, func(c *Config) {
					c.AppProtocol = by.app
					if trusted {
						c.TrustForwarded = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
					}
				}, gatetest.Policy("orders", spec))
				for _, path := range []string{"/docs/a", "/orders/1"} {
					r := request(t, "POST", "http://"+g.addr+path, io.MultiReader(strings.NewReader("abc")), "Content-Type", by.contentType)
					r.Trailer = http.Header{"X-Sum": {"yes"}}
					for _, name := range userHeaders {
						for i, spelling := range spellings(name) {
							r.Header[spelling] = []string{"stranger"}
							if i < 3 {
								r.Trailer[spelling] = []string{"stranger"}
							}
						}
					}
					if path == "/orders/1" {
						r.Header.Set("Authorization", "Bearer "+token())
					}
					res, body := ask(t, client(t, by.h2), r)
					if res.StatusCode != 200 || strings.Contains(body, "stranger") || !strings.Contains(body, "trailer X-Sum: yes\n") {
						t.Errorf("%s, %s, trusted %v, %s: %s %s", what, way, trusted, path, res.Status, body)
					}
					if got, want := strings.Contains(body, "X-Forwarded-User: alice\n"), what == "named" && path == "/orders/1"; got != want {
						t.Errorf("%s, %s, trusted %v, %s: the user is told: %v", what, way, trusted, path, got)
					}
				}
			}
		}
	}
}

// Every name that the proxy itself writes, passes on or knows is refused as the name of an identity header, or works as one:
// the app gets it from a verified token and from nobody else. The names are those in the proxy's own source.
func TestNamesThatTheProxyKnowsCannotBeSpoofed(t *testing.T) {
	t.Parallel()
	names := namesInSource(t, ".", "head", "exchange", "client", "app", "frame", "../gate", "../token")
	for _, name := range []string{"x-request-id", "x-real-ip", "via", "forwarded", "te", "connection", "x-forwarded-proto", "http2-settings", "sec-websocket-protocol", "cookie"} {
		if !slices.Contains(names, name) {
			t.Fatalf("%s is not among the names that were found: %q", name, names)
		}
	}
	names = append(names, "host", "date", "expect", "trailer", "proxy", "traceparent", "tracestate", "content-type", "content-md5",
		"authorization", "proxy-authorization", "keep-alive", "sec-fetch-site", "grpc-timeout", "x-forwarded-by", "x-forwarded-access-token",
		"x-original-url", "x-http-method-override", "user-agent", "accept", "referer", "cache-control", "x-user")
	for _, name := range userHeaders {
		names = append(names, strings.ToLower(name))
	}
	slices.Sort(names)
	var free []string
	for _, name := range slices.Compact(names) {
		spec := orders()
		spec.Forward = &policy.Forward{Headers: []policy.IdentityHeader{{Name: name, Claim: "sub"}}}
		_, errHeader := decision.Compile([]decision.Policy{{Name: "a", Spec: spec}})
		spec.Forward = &policy.Forward{PayloadHeader: name}
		_, errPayload := decision.Compile([]decision.Policy{{Name: "a", Spec: spec}})
		if (errHeader == nil) != (errPayload == nil) {
			t.Errorf("%s: as a header %v, as payloadHeader %v", name, errHeader, errPayload)
		}
		if errHeader == nil {
			free = append(free, name)
		}
	}
	for _, name := range []string{"x-request-id", "x-real-ip", "via", "date", "x-forwarded-host", "proxy", "content-type", "x-original-url"} {
		if slices.Contains(free, name) {
			t.Errorf("%s is free", name)
		}
	}
	upstream := echo(t).URL
	for batch := range slices.Chunk(free, 30) {
		spec := orders()
		spec.Forward = &policy.Forward{}
		for _, name := range batch {
			spec.Forward.Headers = append(spec.Forward.Headers, policy.IdentityHeader{Name: name, Claim: "sub"})
		}
		for way, by := range allWays {
			g := protect(t, upstream, func(c *Config) { c.AppProtocol = by.app }, gatetest.Policy("orders", spec))
			for _, with := range []string{"", token()} {
				r := request(t, "POST", "http://"+g.addr+"/docs/a", strings.NewReader("abc"), "Content-Type", by.contentType)
				for _, name := range batch {
					r.Header[http.CanonicalHeaderKey(name)] = []string{"stranger"}
				}
				if with != "" {
					r.Header.Set("Authorization", "Bearer "+with)
				}
				res, body := ask(t, client(t, by.h2), r)
				if res.StatusCode != 200 || strings.Contains(body, "stranger") {
					t.Errorf("%s: %s %s", way, res.Status, body)
				}
				for _, name := range batch {
					lines := regexp.MustCompile(`(?im)^`+name+`: .*$`).FindAllString(body, -1)
					if with != "" && (len(lines) != 1 || !strings.HasSuffix(lines[0], ": alice")) || with == "" && name != "user-agent" && len(lines) > 0 {
						t.Errorf("%s, with a token %v: %s: %q", way, with != "", name, lines)
					}
				}
			}
		}
	}
}

// namesInSource returns what may be header names in string literals of packages, in lower case: "Name", and "Name: value".
func namesInSource(t *testing.T, dirs ...string) []string {
	t.Helper()
	whole := regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,63}$`)
	line := regexp.MustCompile(`([A-Za-z0-9][A-Za-z0-9-]{0,63}): `)
	found := map[string]bool{}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			tree, err := parser.ParseFile(gotoken.NewFileSet(), file, source, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(tree, func(n ast.Node) bool {
				literal, ok := n.(*ast.BasicLit)
				if !ok || literal.Kind != gotoken.STRING {
					return true
				}
				text, err := strconv.Unquote(literal.Value)
				if err != nil {
					t.Fatal(err)
				}
				if whole.MatchString(text) {
					found[strings.ToLower(text)] = true
				}
				for _, match := range line.FindAllStringSubmatch(text, -1) {
					found[strings.ToLower(match[1])] = true
				}
				return true
			})
		}
	}
	var out []string
	for name := range found {
		out = append(out, name)
	}
	return out
}
