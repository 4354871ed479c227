package authz

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/pem"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/authz/checkv3"
	"github.com/bearerguard/bearerguard/sidecar/gate"
)

func newExtAuthz(t testing.TB, s policy.Spec) (*extAuthz, *seen) {
	t.Helper()
	o, l := &seen{}, testLimits()
	return &extAuthz{judge: &judge{gate: newGate(t, s), observe: o.Request, now: time.Now, most: int64(l.Calls)}, headers: MergedHeaders, limits: l}, o
}

// check is what Envoy sends of an honest request, raw or merged, with changes: an empty value removes a field.
func check(raw bool, change func(*checkv3.AttributeContext_HttpRequest), fields ...string) *checkv3.CheckRequest {
	h := &checkv3.AttributeContext_HttpRequest{Method: "GET", Path: "/orders?page=2", Host: "shop.example", Protocol: "HTTP/1.1"}
	all := [][2]string{{":method", "GET"}, {":path", "/orders?page=2"}, {":authority", "shop.example"}, {"authorization", "Bearer " + corp.Token(time.Now(), nil)}}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		all = slices.DeleteFunc(all, func(have [2]string) bool { return have[0] == name && (value == "" || name == "authorization") })
		if value != "" {
			all = append(all, [2]string{name, value})
		}
	}
	if raw {
		h.HeaderMap = &checkv3.HeaderMap{}
		for _, f := range all {
			h.HeaderMap.Headers = append(h.HeaderMap.Headers, &checkv3.HeaderValue{Key: f[0], RawValue: []byte(f[1])})
		}
	} else {
		h.Headers = map[string]string{}
		for _, f := range all {
			if have, there := h.Headers[f[0]]; there {
				f[1] = have + "," + f[1]
			}
			h.Headers[f[0]] = f[1]
		}
	}
	if change != nil {
		change(h)
	}
	return &checkv3.CheckRequest{Attributes: &checkv3.AttributeContext{
		Source:  &checkv3.AttributeContext_Peer{Address: &checkv3.Address{SocketAddress: &checkv3.SocketAddress{Address: "192.0.2.7"}}},
		Request: &checkv3.AttributeContext_Request{Http: h},
	}}
}

// path changes the path of a request.
func path(to string) func(*checkv3.AttributeContext_HttpRequest) {
	return func(h *checkv3.AttributeContext_HttpRequest) {
		h.Path = to
		delete(h.Headers, ":path")
		if m := h.HeaderMap; m != nil {
			m.Headers = slices.DeleteFunc(m.Headers, func(f *checkv3.HeaderValue) bool { return f.Key == ":path" })
		}
	}
}

func TestExtAuthzSaysWhatThePolicySays(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*checkv3.AttributeContext_HttpRequest)
		fields []string
		status int32 // 0: allowed
		cause  string
	}{
		"allowed":                        {nil, nil, 0, ""},
		"no token":                       {nil, []string{"authorization: "}, 401, "the request has no token; want it in the header Authorization after \"Bearer \""},
		"a path that is denied":          {path("/admin"), nil, 403, ""},
		"another spelling of it":         {path("//admin"), nil, 403, ""},
		"two slashes":                    {path("/orders//1"), nil, 400, string(errPathDiffers)},
		"encoded dots":                   {path("/x/%2e%2e/orders"), nil, 400, string(errPathDiffers)},
		"a path parameter":               {path("/orders;a=b"), nil, 400, string(errPathDiffers)},
		"an absolute target":             {path("http://shop.example/orders"), nil, 400, string(errNotOrigin)},
		"no path":                        {path(""), nil, 400, string(errNoRequest)},
		"a fragment":                     {path("/orders#x"), nil, 400, "the path has a raw ? or #"},
		"a pseudo-header of another":     {func(h *checkv3.AttributeContext_HttpRequest) { h.Path = "/other" }, nil, 400, string(errPseudo)},
		"TRACE":                          {func(h *checkv3.AttributeContext_HttpRequest) { h.Method = "TRACE" }, []string{":method: "}, 405, "TRACE shows the client what the sidecar adds"},
		"another host":                   {func(h *checkv3.AttributeContext_HttpRequest) { h.Host = "evil.example" }, []string{":authority: "}, 403, ""},
		"a target that is too long":      {path("/" + strings.Repeat("a", 3000)), nil, 414, ""},
		"an identity header, which goes": {nil, []string{"x-user: admin"}, 0, ""},
	} {
		for _, raw := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				e, o := newExtAuthz(t, spec())
				out, err := e.Check(t.Context(), check(raw, tc.change, tc.fields...))
				if err != nil {
					t.Fatal(err)
				}
				denied := out.GetDeniedResponse()
				if (denied == nil) != (tc.status == 0) || denied.GetStatus().GetCode() != tc.status || tc.cause != "" && o.cause() != tc.cause {
					t.Errorf("raw %v: answered %v because %q, want %d because %q", raw, out, o.cause(), tc.status, tc.cause)
				}
				if (out.GetStatus().GetCode() == 0) != (tc.status == 0) || (out.GetOkResponse() != nil) != (tc.status == 0) {
					t.Errorf("raw %v: status %v with %v", raw, out.GetStatus(), out.GetHttpResponse())
				}
				if reason := out.GetDynamicMetadata().GetFields()["reason"].GetStringValue(); reason != string(o.last.Reason) {
					t.Errorf("metadata say %q", reason)
				}
			})
		}
	}
}

func TestExtAuthzRefusesConfusedChecks(t *testing.T) {
	t.Parallel()
	e, o := newExtAuthz(t, spec())
	both := check(true, nil)
	both.Attributes.Request.Http.Headers = map[string]string{"a": "b"}
	nowhere := check(true, nil)
	nowhere.Attributes.Source = nil
	for cause, c := range map[string]*checkv3.CheckRequest{
		string(errNoRequest): {}, string(errBothHeaders): both, string(errNoSource): nowhere,
	} {
		if out, err := e.Check(t.Context(), c); err != nil || out.GetDeniedResponse() == nil || o.cause() != cause {
			t.Errorf("answered %v, %v because %q, want %q", out, err, o.cause(), cause)
		}
	}
	e.headers = RawHeaders
	if out, err := e.Check(t.Context(), check(false, nil)); err != nil || out.GetDeniedResponse() == nil || o.cause() != string(errMerged) {
		t.Errorf("merged headers, which nobody has asked for: answered %v, %v because %q", out, err, o.cause())
	}
	e.headers = MergedHeaders
	// Two tokens are refused, whether Envoy has merged them or not.
	for raw, reason := range map[bool]string{true: "DuplicateAuthorization", false: "Malformed"} {
		c := check(raw, nil)
		if raw {
			m := c.Attributes.Request.Http.HeaderMap
			m.Headers = append(m.Headers, &checkv3.HeaderValue{Key: "authorization", RawValue: []byte("Bearer x")})
		} else {
			c.Attributes.Request.Http.Headers["authorization"] += ",Bearer x"
		}
		if out, err := e.Check(t.Context(), c); err != nil || out.GetDeniedResponse() == nil || string(o.last.Reason) != reason {
			t.Errorf("raw %v: answered %v, %v for %s", raw, out, err, o.last.Reason)
		}
	}
}

// edits are what Envoy is told to change, in a form to compare.
type edits struct {
	Set           map[string]string
	Remove, Query []string
	Answer        map[string]string
}

func editsOf(out *checkv3.OkHttpResponse) edits {
	e := edits{Set: map[string]string{}, Remove: slices.Sorted(slices.Values(out.GetHeadersToRemove())), Query: out.GetQueryParametersToRemove()}
	for _, h := range out.GetHeaders() {
		if h.GetAppendAction() == checkv3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD {
			e.Set[h.GetHeader().GetKey()] = h.GetHeader().GetValue()
		}
	}
	for _, h := range out.GetResponseHeadersToAdd() {
		e.Answer = map[string]string{h.GetHeader().GetKey(): h.GetHeader().GetValue()}
	}
	return e
}

// Everything that the sidecar would change is told, in the spellings that came; nothing is both set and removed, since Envoy removes last.
func TestExtAuthzTellsEveryEdit(t *testing.T) {
	t.Parallel()
	token := corp.Token(time.Now(), nil)
	from := func(l policy.TokenLocation) policy.Spec {
		s := spec()
		s.Forward.Token = policy.Strip
		s.Issuers[0].From = []policy.TokenLocation{l}
		return s
	}
	keep := spec()
	for name, tc := range map[string]struct {
		spec   policy.Spec
		change func(*checkv3.AttributeContext_HttpRequest)
		fields []string
		want   edits
	}{
		"identity headers, and their spellings": {
			keep, nil, []string{"x-user: admin", "x_user: admin", "x-groups: admin", "x.groups: admin", "x-http-method-override: DELETE", "x-request-id: a-1", "accept: */*"},
			edits{Set: map[string]string{"x-request-id": "a-1", "x-user": "alice"}, Remove: []string{"x-groups", "x-http-method-override", "x.groups", "x_user"}},
		},
		"a header that carried the token": {
			from(policy.TokenLocation{Header: "X-Token"}), nil, []string{"authorization: ", "x-token: " + token, "x_token: x", "x-request-id: a-1"},
			edits{Set: map[string]string{"x-request-id": "a-1", "x-user": "alice"}, Remove: []string{"x-groups", "x-token", "x_token"}},
		},
		"a cookie": {
			from(policy.TokenLocation{Cookie: "t"}), nil, []string{"authorization: ", "cookie: a=b; t=" + token + "; c=d", "x-request-id: a-1"},
			edits{Set: map[string]string{"x-request-id": "a-1", "x-user": "alice", "cookie": "a=b; c=d"}, Remove: []string{"x-groups"}},
		},
		"the only cookie": {
			from(policy.TokenLocation{Cookie: "t"}), nil, []string{"authorization: ", "cookie: t=" + token, "x-request-id: a-1"},
			edits{Set: map[string]string{"x-request-id": "a-1", "x-user": "alice"}, Remove: []string{"cookie", "x-groups"}},
		},
		"a parameter": {
			from(policy.TokenLocation{Query: "access_token"}), path("/orders?a=b&access_token=" + token), []string{"authorization: ", "x-request-id: a-1"},
			edits{Set: map[string]string{"x-request-id": "a-1", "x-user": "alice"}, Remove: []string{"x-groups"}, Query: []string{"access_token"}},
		},
		"a parameter in another spelling": {
			from(policy.TokenLocation{Query: "access_token"}), path("/orders?access%5Ftoken=" + token), []string{"authorization: ", "x-request-id: a-1"},
			edits{Set: map[string]string{"x-request-id": "a-1", "x-user": "alice"}, Remove: []string{"x-groups"}, Query: []string{"access%5Ftoken", "access_token"}},
		},
		"a subprotocol": {
			from(policy.TokenLocation{WebSocketProtocol: "bearer"}), nil, []string{"authorization: ", "sec-websocket-protocol: bearer, " + token, "x-request-id: a-1"},
			edits{
				Set: map[string]string{"x-request-id": "a-1", "x-user": "alice"}, Remove: []string{"sec-websocket-protocol", "x-groups"},
				Answer: map[string]string{"sec-websocket-protocol": "bearer"},
			},
		},
	} {
		for _, raw := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				e, o := newExtAuthz(t, tc.spec)
				out, err := e.Check(t.Context(), check(raw, tc.change, tc.fields...))
				if err != nil || out.GetOkResponse() == nil {
					t.Fatalf("answered %v, %v because %q", out, err, o.cause())
				}
				got := editsOf(out.GetOkResponse())
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("raw %v (-want +got):\n%s", raw, diff)
				}
				for _, name := range got.Remove {
					if _, set := got.Set[name]; set {
						t.Errorf("%s is set and removed", name)
					}
				}
			})
		}
	}
	// Envoy makes a map of the query.
	e, o := newExtAuthz(t, from(policy.TokenLocation{Query: "access_token"}))
	out, err := e.Check(t.Context(), check(true, path("/orders?a=b&a=c&access_token="+token), "authorization: "))
	if err != nil || out.GetDeniedResponse() == nil || o.cause() != string(errQueryRepeats) {
		t.Errorf("answered %v, %v because %q", out, err, o.cause())
	}
}

func TestExtAuthzRefusals(t *testing.T) {
	t.Parallel()
	s := spec()
	s.CORS = &policy.CORS{Origins: []string{"https://page.example"}}
	size := policy.Size{}
	if err := size.UnmarshalJSON([]byte(`"1Ki"`)); err != nil {
		t.Fatal(err)
	}
	s.Rules[0].Allow.MaxBody = &size
	e, _ := newExtAuthz(t, s)
	ask := func(change func(*checkv3.AttributeContext_HttpRequest), fields ...string) *checkv3.DeniedHttpResponse {
		out, err := e.Check(t.Context(), check(true, change, fields...))
		if err != nil {
			t.Fatal(err)
		}
		return out.GetDeniedResponse()
	}
	headers := func(d *checkv3.DeniedHttpResponse) map[string]string {
		out := map[string]string{}
		for _, h := range d.GetHeaders() {
			out[h.GetHeader().GetKey()] = h.GetHeader().GetValue()
		}
		return out
	}
	d := ask(nil, "authorization: ", "x-request-id: a-1")
	want := map[string]string{"content-type": "application/problem+json", "cache-control": "no-store", "x-request-id": "a-1", "www-authenticate": "Bearer", "vary": "Origin"}
	if diff := cmp.Diff(want, headers(d)); diff != "" || !strings.Contains(d.GetBody(), `"requestId":"a-1"`) {
		t.Errorf("%s\n%s", d.GetBody(), diff)
	}
	d = ask(func(h *checkv3.AttributeContext_HttpRequest) { h.Protocol = "HTTP/2" }, "authorization: ", "content-type: application/grpc")
	if d.GetStatus().GetCode() != 401 || d.GetBody() != "a token is required" || slices.Contains(slices.Collect(maps.Keys(headers(d))), "content-type") {
		t.Errorf("of gRPC: %v", d)
	}
	d = ask(func(h *checkv3.AttributeContext_HttpRequest) { h.Method = "OPTIONS" }, ":method: ", "authorization: ", "origin: https://page.example", "access-control-request-method: GET")
	if d.GetStatus().GetCode() != 204 || headers(d)["access-control-allow-origin"] != "https://page.example" {
		t.Errorf("of a preflight: %v", d)
	}
	if d = ask(nil, "content-length: 2000"); d.GetStatus().GetCode() != 413 {
		t.Errorf("of a large body: %v", d)
	}
	if d = ask(nil, "content-length: 1000"); d != nil {
		t.Errorf("of a small body: %v", d)
	}
}

// A message to an MCP server is judged by its body if Envoy shows all of it; what it shows a part of, or nothing, is in doubt.
func TestExtAuthzJudgesMessagesByTheirBody(t *testing.T) {
	t.Parallel()
	s := spec()
	s.Rules[0].Match = []policy.Match{{MCP: &policy.MCPMatch{Methods: []string{"tools/call"}, Names: []string{"db_read"}}}}
	call := func(tool string) string {
		return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + tool + `"}}`
	}
	for name, tc := range map[string]struct {
		body, length string
		fields       []string
		allowed      bool
	}{
		"all of it":                         {call("db_read"), "", []string{"x-envoy-auth-partial-body: false"}, true},
		"another tool":                      {call("db_drop"), "", []string{"x-envoy-auth-partial-body: false"}, false},
		"a part":                            {call("db_read"), "", []string{"x-envoy-auth-partial-body: true"}, false},
		"a part, whatever the client says":  {call("db_read"), "", []string{"x-envoy-auth-partial-body: false", "x-envoy-auth-partial-body: true"}, false},
		"less than its length":              {call("db_read"), "900", []string{"x-envoy-auth-partial-body: false"}, false},
		"nothing":                           {"", "", nil, false},
		"nothing, whatever the client says": {"", "0", []string{"x-envoy-auth-partial-body: false"}, false},
	} {
		for _, packed := range []bool{true, false} {
			e, o := newExtAuthz(t, s)
			length := tc.length
			if length == "" {
				length = strconv.Itoa(len(tc.body))
			}
			fields := append([]string{":method: ", "content-type: application/json", "content-length: " + length}, tc.fields...)
			out, err := e.Check(t.Context(), check(true, func(h *checkv3.AttributeContext_HttpRequest) {
				h.Method = "POST"
				if packed {
					h.RawBody = []byte(tc.body)
				} else {
					h.Body = tc.body
				}
			}, fields...))
			if err != nil || (out.GetOkResponse() != nil) != tc.allowed {
				t.Errorf("%s: answered %v, %v for %s because %q", name, out, err, o.last.Reason, o.cause())
			}
		}
	}
}

// Tokens that are bound to a certificate are taken if Envoy says that the client came with it.
func TestExtAuthzTakesTokensThatAreBoundToTheClientsCertificate(t *testing.T) {
	t.Parallel()
	s := spec()
	s.Issuers[0].Proof = &policy.Proof{MTLS: policy.BindingRequired}
	e, o := newExtAuthz(t, s)
	own, _ := certificate(t)
	other, _ := certificate(t)
	encode := func(c tls.Certificate) string {
		return url.QueryEscape(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})))
	}
	hash := sha256.Sum256(own.Certificate[0])
	token := corp.Token(time.Now(), map[string]any{"cnf": map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(hash[:])}})
	for name, tc := range map[string]struct {
		certificate string
		allowed     bool
	}{
		"the certificate": {strings.ReplaceAll(encode(own), "+", "%20"), true}, "another": {strings.ReplaceAll(encode(other), "+", "%20"), false},
		"none": {"", false}, "no certificate": {"%2D", false}, "bad escapes": {"%zz", false}, "a key": {url.PathEscape("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), false},
	} {
		c := check(true, nil, "authorization: Bearer "+token)
		c.Attributes.Source.Certificate = tc.certificate
		out, err := e.Check(t.Context(), c)
		if err != nil || (out.GetOkResponse() != nil) != tc.allowed {
			t.Errorf("%s: answered %v, %v for %s because %q", name, out, err, o.last.Reason, o.cause())
		}
	}
}

// startServer runs a server of both kinds.
func startServer(t testing.TB, g *gate.Gate, l Limits) (addresses []net.Addr, stop context.CancelFunc, ended <-chan error) {
	t.Helper()
	s, err := New(t.Context(), Config{
		Gate: g, ExtAuthz: "127.0.0.1:0", ForwardAuth: "127.0.0.1:0", Convention: XForwarded, Limits: l, Observer: &seen{}, Log: logr.Discard(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(stop)
	return s.Addrs(), stop, done
}

func TestServerBoundsChecksAndDrains(t *testing.T) {
	t.Parallel()
	addresses, stop, ended := startServer(t, newGate(t, spec()), testLimits())
	conn, err := grpc.NewClient(addresses[0].String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ask := func(c *checkv3.CheckRequest) (*checkv3.CheckResponse, error) {
		out := new(checkv3.CheckResponse)
		return out, conn.Invoke(t.Context(), "/envoy.service.auth.v3.Authorization/Check", c, out, grpc.WaitForReady(true))
	}
	if out, err := ask(check(true, nil)); err != nil || out.GetOkResponse() == nil {
		t.Fatalf("answered %v, %v", out, err)
	}
	if _, err := ask(check(true, nil, "x-large: "+strings.Repeat("a", 200<<10))); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a check of 200 KiB: %v", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
}

// FuzzChecked holds that whatever Envoy says has one reading, and that what is let in is what was sent.
func FuzzChecked(f *testing.F) {
	f.Add("GET", "/orders?a=b", "shop.example", "192.0.2.7", "x-user", "a", ":path", "/orders", true)
	f.Add("PUT", "//%2e", "A:1", "::1", "X_user", "\xff", "host", "b", false)
	open := spec()
	open.Rules[0] = policy.Rule{Name: "all", Allow: &policy.Allow{Anonymous: true}}
	e, _ := newExtAuthz(f, open)
	f.Fuzz(func(t *testing.T, method, path, host, from, name1, value1, name2, value2 string, raw bool) {
		h := &checkv3.AttributeContext_HttpRequest{Method: method, Path: path, Host: host, Headers: map[string]string{name1: value1, name2: value2}}
		if raw {
			h.Headers = nil
			h.HeaderMap = &checkv3.HeaderMap{Headers: []*checkv3.HeaderValue{{Key: name1, RawValue: []byte(value1)}, {Key: name2, Value: value2}}}
		}
		c := &checkv3.CheckRequest{Attributes: &checkv3.AttributeContext{
			Source:  &checkv3.AttributeContext_Peer{Address: &checkv3.Address{SocketAddress: &checkv3.SocketAddress{Address: from}}},
			Request: &checkv3.AttributeContext_Request{Http: h},
		}}
		out, err := e.Check(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		ok := out.GetOkResponse()
		if (ok != nil) != (out.GetStatus().GetCode() == 0) || (ok == nil) != (out.GetDeniedResponse() != nil) {
			t.Fatalf("%v", out)
		}
		if ok == nil {
			return
		}
		if read, _, _ := strings.Cut(path, "?"); strings.HasPrefix(read, "/admin/") || !canonical(read) {
			t.Fatalf("let in: %q", path)
		}
		for _, name := range []string{name1, name2} {
			if len(name) == len("x-user") && strings.EqualFold(strings.ReplaceAll(name, "_", "-"), "x-user") && !slices.Contains(ok.GetHeadersToRemove(), strings.ToLower(name)) {
				t.Fatalf("%q gets to the app: %v", name, ok)
			}
		}
	})
}
