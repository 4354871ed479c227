package authz

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
	"github.com/bearerguard/bearerguard/sidecar/telemetry"
)

var corp = gatetest.NewIssuer("https://corp.example", "one")

// spec lets anybody with a token in, but to /admin, and tells the app who it is.
func spec() policy.Spec {
	return policy.Spec{
		Issuers: []policy.Issuer{corp.Policy("corp")},
		Rules: []policy.Rule{
			{Name: "users", Match: []policy.Match{{Hosts: []string{"shop.example"}}}, Allow: &policy.Allow{Authenticated: true}},
			{Name: "admin", Match: []policy.Match{{Paths: []string{"/admin", "/admin/**"}}}, Deny: &policy.Conditions{}},
			{Name: "far", Match: []policy.Match{{RemoteIPs: []string{"203.0.113.0/24"}}}, Deny: &policy.Conditions{}},
		},
		Forward: &policy.Forward{Headers: []policy.IdentityHeader{{Name: "X-User", Claim: "sub"}, {Name: "X-Groups", Claim: "groups", Format: policy.FormatCSV}}},
	}
}

// seen keeps what the observer is told.
type seen struct {
	mu   sync.Mutex
	last telemetry.Record
}

func (s *seen) Request(r *telemetry.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = *r
}

func (s *seen) Connection(int) {}

func (s *seen) cause() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last.Cause == nil {
		return ""
	}
	return s.last.Cause.String()
}

func testLimits() Limits {
	return Limits{
		HeadBytes: 64 << 10, Fields: 100, URL: 2048, Connections: 100, Calls: 50, Streams: 50,
		ReadHead: 5 * time.Second, Idle: time.Minute, Write: 5 * time.Second, Drain: time.Second,
	}
}

func newGate(t testing.TB, s policy.Spec) *gate.Gate {
	t.Helper()
	g := gate.New(gate.Options{})
	g.Revoke(&revoked.Set{})
	g.Swap(gatetest.Snapshot(t, nil, gatetest.Policy("orders", s)))
	return g
}

func newForwardAuth(t testing.TB, s policy.Spec, c Convention) (*forwardAuth, *seen) {
	t.Helper()
	o := &seen{}
	l := testLimits()
	return &forwardAuth{
		judge:      &judge{gate: newGate(t, s), observe: o.Request, now: time.Now, most: int64(l.Calls)},
		convention: c, limits: l,
	}, o
}

// header is what a gateway sends of an honest request, with changes: nil removes a field, more than one value repeats it.
func header(c Convention, changes http.Header) http.Header {
	h := http.Header{"Authorization": {"Bearer " + corp.Token(time.Now(), nil)}, "X-Forwarded-For": {"192.0.2.7"}}
	switch c {
	case XForwarded:
		h["X-Forwarded-Method"], h["X-Forwarded-Uri"], h["X-Forwarded-Host"] = []string{"GET"}, []string{"/orders?page=2"}, []string{"shop.example"}
	case XOriginal:
		h["X-Original-Method"], h["X-Original-Uri"], h["X-Original-Host"] = []string{"GET"}, []string{"/orders?page=2"}, []string{"shop.example"}
	}
	for name, values := range changes {
		if values == nil {
			delete(h, name)
			continue
		}
		h[name] = values
	}
	return h
}

// ask returns the answer, and what the log says of it.
func ask(t *testing.T, f *forwardAuth, o *seen, h http.Header) (*httptest.ResponseRecorder, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/any", http.NoBody)
	r.Header = h
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w, o.cause()
}

func TestForwardAuthSaysWhatThePolicySays(t *testing.T) {
	t.Parallel()
	var none http.Header
	for name, tc := range map[string]struct {
		convention Convention
		changes    http.Header
		want       int
		reason     string
	}{
		"Traefik's and Caddy's headers":     {XForwarded, none, 200, "Allowed"},
		"nginx's headers":                   {XOriginal, none, 200, "Allowed"},
		"ingress-nginx's URL":               {XOriginal, http.Header{"X-Original-Uri": nil, "X-Original-Host": nil, "X-Original-Url": {"https://shop.example/orders"}}, 200, "Allowed"},
		"no token":                          {XForwarded, http.Header{"Authorization": nil}, 401, "NoToken"},
		"a path that is denied":             {XForwarded, http.Header{"X-Forwarded-Uri": {"/admin/users"}}, 403, "DeniedByRule"},
		"another host":                      {XForwarded, http.Header{"X-Forwarded-Host": {"evil.example"}}, 403, "NoRule"},
		"a client that is denied":           {XForwarded, http.Header{"X-Forwarded-For": {"192.0.2.7, 203.0.113.9"}}, 403, "DeniedByRule"},
		"who came before does not count":    {XForwarded, http.Header{"X-Forwarded-For": {"203.0.113.9, 192.0.2.7"}}, 200, "Allowed"},
		"an address with a port":            {XOriginal, http.Header{"X-Forwarded-For": {"[2001:db8::1]:443"}}, 200, "Allowed"},
		"TRACE, to Caddy":                   {XForwarded, http.Header{"X-Forwarded-Method": {"TRACE"}}, 405, "BadMethod"},
		"TRACE, to nginx, which knows 403":  {XOriginal, http.Header{"X-Original-Method": {"TRACE"}}, 403, "BadMethod"},
		"a broken path, to nginx":           {XOriginal, http.Header{"X-Original-Uri": {"/%zz"}}, 403, "BadPath"},
		"a token in two places, to nginx":   {XOriginal, http.Header{"Authorization": {"Bearer a", "Bearer b"}}, 403, "DuplicateAuthorization"},
		"no token, to nginx":                {XOriginal, http.Header{"Authorization": nil}, 401, "NoToken"},
		"a target that is too long":         {XForwarded, http.Header{"X-Forwarded-Uri": {"/" + strings.Repeat("a", 3000)}}, 414, "URITooLong"},
		"more fields than may be":           {XForwarded, http.Header{"X-Many": make([]string, 200)}, 431, "TooLarge"},
		"host in upper case, with its port": {XForwarded, http.Header{"X-Forwarded-Host": {"SHOP.example:8443"}}, 200, "Allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, o := newForwardAuth(t, spec(), tc.convention)
			w, cause := ask(t, f, o, header(tc.convention, tc.changes))
			if w.Code != tc.want || string(o.last.Reason) != tc.reason {
				t.Errorf("answered %d for %s (%s), want %d for %s", w.Code, o.last.Reason, cause, tc.want, tc.reason)
			}
			if w.Code == http.StatusUnauthorized && w.Header().Get("Www-Authenticate") == "" {
				t.Error("401 without a challenge")
			}
			if w.Header().Get("X-Request-Id") == "" {
				t.Error("no request id")
			}
		})
	}
}

// What a client or a confused gateway may send is refused, with a cause that says why, and never lets a request in.
func TestForwardAuthRefusesAmbiguousRequests(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		convention Convention
		changes    http.Header
		cause      string
	}{
		"two URIs":                           {XForwarded, http.Header{"X-Forwarded-Uri": {"/orders", "/admin"}}, string(errNoURI)},
		"two X-Original-URI":                 {XOriginal, http.Header{"X-Original-Uri": {"/orders", "/admin"}}, string(errNoURI)},
		"URI and URL":                        {XOriginal, http.Header{"X-Original-Url": {"https://shop.example/orders"}}, string(errTwoURIs)},
		"two URLs":                           {XOriginal, http.Header{"X-Original-Uri": nil, "X-Original-Host": nil, "X-Original-Url": {"https://a/", "https://b/"}}, string(errNoURI)},
		"an empty URL beside the URI":        {XOriginal, http.Header{"X-Original-Url": {""}}, string(errNoURI)},
		"the other convention, from Caddy":   {XForwarded, http.Header{"X-Original-Uri": {"/orders"}}, string(errForeignField)},
		"the other convention, from nginx":   {XOriginal, http.Header{"X-Forwarded-Uri": {"/orders"}}, string(errForeignField)},
		"X-Original-URL for the app":         {XForwarded, http.Header{"X-Original-Url": {"/admin"}}, string(errForeignField)},
		"an underscore in its name":          {XForwarded, http.Header{"X_forwarded_uri": {"/orders"}}, string(errSpelling)},
		"an underscore, other convention":    {XForwarded, http.Header{"X_original_uri": {"/orders"}}, string(errForeignField)},
		"no URI":                             {XForwarded, http.Header{"X-Forwarded-Uri": nil}, string(errNoURI)},
		"an empty URI":                       {XForwarded, http.Header{"X-Forwarded-Uri": {""}}, string(errNoURI)},
		"no method":                          {XOriginal, http.Header{"X-Original-Method": nil}, string(errNoMethod)},
		"no host":                            {XOriginal, http.Header{"X-Original-Host": nil}, string(errNoHost)},
		"two hosts":                          {XForwarded, http.Header{"X-Forwarded-Host": {"shop.example", "evil.example"}}, string(errNoHost)},
		"two hosts in one field":             {XForwarded, http.Header{"X-Forwarded-Host": {"shop.example, evil.example"}}, "the host has a character that is none of letters, digits, - _ and ."},
		"no address":                         {XForwarded, http.Header{"X-Forwarded-For": nil}, string(errNoAddress)},
		"an address that is none":            {XForwarded, http.Header{"X-Forwarded-For": {"192.0.2.7, unknown"}}, string(errNoAddress)},
		"two fields of addresses":            {XForwarded, http.Header{"X-Forwarded-For": {"192.0.2.7", "192.0.2.8"}}, string(errNoAddress)},
		"an absolute URI":                    {XForwarded, http.Header{"X-Forwarded-Uri": {"https://shop.example/orders"}}, string(errNotOrigin)},
		"an asterisk":                        {XForwarded, http.Header{"X-Forwarded-Uri": {"*"}}, string(errNotOrigin)},
		"a URL of another kind":              {XOriginal, http.Header{"X-Original-Uri": nil, "X-Original-Host": nil, "X-Original-Url": {"ftp://shop.example/orders"}}, string(errURL)},
		"a URL whose query has the path":     {XOriginal, http.Header{"X-Original-Uri": nil, "X-Original-Host": nil, "X-Original-Url": {"https://shop.example?/orders"}}, string(errURL)},
		"a URL without a host":               {XOriginal, http.Header{"X-Original-Uri": nil, "X-Original-Host": nil, "X-Original-Url": {"https:///orders"}}, string(errURL)},
		"a URL with a user":                  {XOriginal, http.Header{"X-Original-Uri": nil, "X-Original-Host": nil, "X-Original-Url": {"https://shop.example@evil.example/orders"}}, "the host has user information before @"},
		"an authority for a path":            {XForwarded, http.Header{"X-Forwarded-Uri": {"//shop.example/orders"}}, string(errPathDiffers)},
		"two slashes":                        {XForwarded, http.Header{"X-Forwarded-Uri": {"/orders//1"}}, string(errPathDiffers)},
		"dots":                               {XForwarded, http.Header{"X-Forwarded-Uri": {"/admin/../orders"}}, string(errPathDiffers)},
		"encoded dots":                       {XForwarded, http.Header{"X-Forwarded-Uri": {"/x/%2e%2e/orders"}}, string(errPathDiffers)},
		"an encoded letter":                  {XForwarded, http.Header{"X-Forwarded-Uri": {"/%6frders"}}, string(errPathDiffers)},
		"a path parameter":                   {XForwarded, http.Header{"X-Forwarded-Uri": {"/orders;a=b"}}, string(errPathDiffers)},
		"an encoded slash":                   {XForwarded, http.Header{"X-Forwarded-Uri": {"/orders%2f1"}}, "the path has an encoded slash; paths.encodedSlash: Keep lets it in"},
		"a backslash":                        {XForwarded, http.Header{"X-Forwarded-Uri": {`/orders\1`}}, "the path has a backslash"},
		"a fragment":                         {XForwarded, http.Header{"X-Forwarded-Uri": {"/orders#/admin"}}, "the path has a raw ? or #"},
		"a fragment after the query":         {XForwarded, http.Header{"X-Forwarded-Uri": {"/orders?a#b"}}, "the query has a control byte, a space or a #"},
		"a control byte":                     {XForwarded, http.Header{"X-Forwarded-Uri": {"/orders\x01"}}, "the path has a control byte"},
		"a space":                            {XForwarded, http.Header{"X-Forwarded-Uri": {"/orders x"}}, string(errPathDiffers)},
		"a host with a dot at its end":       {XForwarded, http.Header{"X-Forwarded-Host": {"shop.example."}}, string(errHostDiffers)},
		"a method in lower case":             {XForwarded, http.Header{"X-Forwarded-Method": {"get"}}, "the method has a lower-case letter; methods have case"},
		"a method to override it":            {XForwarded, http.Header{"X-Http-Method-Override": {"DELETE"}}, string(errSpoof)},
		"an identity header":                 {XForwarded, http.Header{"X-User": {"admin"}}, string(errSpoof)},
		"one without a value of the guard's": {XOriginal, http.Header{"X-Groups": {"admins"}}, string(errSpoof)},
		"one with an underscore":             {XForwarded, http.Header{"X_user": {"admin"}}, string(errSpoof)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, o := newForwardAuth(t, spec(), tc.convention)
			w, cause := ask(t, f, o, header(tc.convention, tc.changes))
			if w.Code < 400 || cause != tc.cause {
				t.Errorf("answered %d because %q, want a refusal because %q", w.Code, cause, tc.cause)
			}
			if got := w.Header().Get("X-User"); got != "" {
				t.Errorf("X-User %q in a refusal", got)
			}
		})
	}
}

// A policy that has the app read paths as they were sent is judged in every way to read them, and is forwarded.
func TestForwardAuthTakesPathsAsSent(t *testing.T) {
	t.Parallel()
	s := spec()
	s.Paths = &policy.Paths{Forward: policy.ForwardAsSent}
	f, o := newForwardAuth(t, s, XForwarded)
	for uri, want := range map[string]int{
		"/orders;a=b": 200, "/orders//1": 200, "/%6frders": 200, "/x/%2e%2e/orders": 200,
		"/admin;a=b": 403, "//admin": 403, "/x/%2e%2e/admin": 403, "/orders/..;/admin": 403, "/../admin": 400,
	} {
		if w, cause := ask(t, f, o, header(XForwarded, http.Header{"X-Forwarded-Uri": {uri}})); w.Code != want {
			t.Errorf("%s: answered %d because %q, want %d", uri, w.Code, cause, want)
		}
	}
}

// A yes has the identity headers, and names those that have none.
func TestForwardAuthTellsWhatToSetAndToRemove(t *testing.T) {
	t.Parallel()
	s := spec()
	s.Forward.Token = policy.Strip
	f, o := newForwardAuth(t, s, XForwarded)
	w, _ := ask(t, f, o, header(XForwarded, http.Header{"X-Request-Id": {"a-1"}}))
	want := http.Header{
		"Cache-Control": {"no-store"}, "X-Request-Id": {"a-1"}, "X-User": {"alice"}, "X-Bearerguard-Remove": {"Authorization, X-Groups"},
	}
	if diff := cmp.Diff(want, w.Header()); w.Code != http.StatusOK || diff != "" {
		t.Errorf("%d: %s", w.Code, diff)
	}
}

// What a sidecar answers itself would, as an answer of 2xx, let the request in without a token.
func TestForwardAuthNeverLetsItsOwnAnswersIn(t *testing.T) {
	t.Parallel()
	s := spec()
	s.CORS = &policy.CORS{Origins: []string{"https://page.example"}}
	s.Resource = &policy.Resource{URL: "https://shop.example/"}
	for name, changes := range map[string]http.Header{
		"a preflight": {"X-Forwarded-Method": {"OPTIONS"}, "Origin": {"https://page.example"}, "Access-Control-Request-Method": {"GET"}},
		"metadata":    {"X-Forwarded-Uri": {"/.well-known/oauth-protected-resource"}},
	} {
		f, o := newForwardAuth(t, s, XForwarded)
		h := header(XForwarded, changes)
		delete(h, "Authorization")
		if w, cause := ask(t, f, o, h); w.Code != http.StatusBadRequest || cause != string(errOwnAnswer) {
			t.Errorf("%s: answered %d because %q", name, w.Code, cause)
		}
	}
}

func TestForwardAuthWithoutRules(t *testing.T) {
	t.Parallel()
	f, o := newForwardAuth(t, spec(), XOriginal)
	f.judge.gate = gate.New(gate.Options{})
	if w, _ := ask(t, f, o, header(XOriginal, nil)); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("answered %d, want 503 with Retry-After", w.Code)
	}
	f.judge.most = 0
	if w, _ := ask(t, f, o, header(XOriginal, nil)); w.Code != http.StatusServiceUnavailable || o.last.Reason != "Overloaded" {
		t.Errorf("answered %d for %s, want 503 for Overloaded", w.Code, o.last.Reason)
	}
	if n := f.judge.running.Load(); n != 0 {
		t.Errorf("%d questions are still counted", n)
	}
}

// No refusal of any status lets a request in, whatever the convention.
func TestForwardAuthStatus(t *testing.T) {
	t.Parallel()
	for _, c := range Conventions() {
		f := &forwardAuth{convention: c}
		for status := 100; status < 600; status++ {
			got := f.status(status)
			nginx := []int{401, 403}
			if got < 400 || c == XOriginal && got < 500 && !slices.Contains(nginx, got) {
				t.Errorf("%s: %d becomes %d", c, status, got)
			}
		}
	}
}

// canonical reports whether a path is what an app gets of it from a sidecar.
func canonical(path string) bool {
	read, err := decision.ReadPath(path, decision.PathOptions{})
	return err == nil && read.Forward == path
}

// FuzzOriginal holds that what is taken of a description has one reading, and that what is let in is what was sent.
func FuzzOriginal(f *testing.F) {
	for _, seed := range [][4]string{
		{"GET", "/orders", "shop.example", "192.0.2.7"}, {"GET", "//a", "a:1", "::1"}, {"PUT", "/%2e%2e/", "[::1]:80", "a, 1.2.3.4:5"},
		{"get", "http://a/b", "a.", ""}, {"GET", "/a?b#c", "a@b", ",,1.1.1.1"}, {"GET", "/a;b", "a", "[::1%eth0]"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3], "X-Other", "x", true)
		f.Add(seed[0], "https://"+seed[2]+seed[1], seed[2], seed[3], "X_User", "x", false)
	}
	open := spec()
	open.Rules[0] = policy.Rule{Name: "all", Allow: &policy.Allow{Anonymous: true}}
	servers := map[Convention]*forwardAuth{}
	for _, c := range Conventions() {
		servers[c], _ = newForwardAuth(f, open, c)
	}
	f.Fuzz(func(t *testing.T, method, uri, host, from, name, value string, forwarded bool) {
		c, h := XForwarded, http.Header{}
		h[name] = []string{value}
		switch {
		case forwarded:
			h[forwardedMethod], h[forwardedURI], h[forwardedHost] = []string{method}, []string{uri}, []string{host}
		default:
			c = XOriginal
			h[originalMethod], h[originalURL] = []string{method}, []string{uri}
		}
		h[forwardedFor] = []string{from}
		r, no := Original(h, c)
		if no.Refused() {
			if r.Target != "" || no.Cause == nil {
				t.Fatalf("refused with %+v because %v", r, no.Cause)
			}
			return
		}
		if r.Target == "" || r.Target[0] != '/' || r.Host == "" || r.Method == "" || !r.Remote.IsValid() {
			t.Fatalf("taken: %+v", r)
		}
		w := httptest.NewRecorder()
		q := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		q.Header = h
		servers[c].ServeHTTP(w, q)
		path, _, _ := strings.Cut(r.Target, "?")
		if w.Code == http.StatusOK {
			if !canonical(path) || strings.HasPrefix(path, "/admin/") {
				t.Fatalf("let in: %q", r.Target)
			}
		}
	})
}
