package gate_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

var start = time.Unix(1_800_000_000, 0)

func clock() time.Time { return start }

var (
	corp    = gatetest.NewIssuer("https://login.example.com", "k1")
	partner = gatetest.NewIssuer("https://partner.example.net", "p1")
)

// orders is a policy with a public, a guarded and an admin's place.
func orders() policy.Spec {
	return policy.Spec{
		Issuers: []policy.Issuer{corp.Policy("corp")},
		Rules: []policy.Rule{
			{Name: "docs", Match: []policy.Match{{Paths: []string{"/docs/**"}}}, Allow: &policy.Allow{Anonymous: true}},
			{Name: "read", Match: []policy.Match{{Paths: []string{"/orders/{id}"}, Methods: []string{"GET"}}},
				Allow: &policy.Allow{Conditions: policy.Conditions{Scopes: []string{"orders.read"}}}},
			{Name: "metrics", Match: []policy.Match{{Paths: []string{"/metrics"}}}, Allow: &policy.Allow{Anonymous: true, IgnoreToken: true}},
			{Name: "no-admin", Match: []policy.Match{{Paths: []string{"/orders/admin"}}}, Deny: &policy.Conditions{}},
		},
		Forward: &policy.Forward{
			Headers: []policy.IdentityHeader{
				{Name: "X-User", Claim: "sub"}, {Name: "X-Roles", Claim: "realm_access.roles", Format: policy.FormatCSV},
			},
		},
	}
}

// newGate judges under the policies, with the clock at start.
func newGate(t *testing.T, policies ...bundle.Object) *gate.Gate {
	t.Helper()
	g := gate.New(gate.Options{Now: clock})
	g.Swap(gatetest.Snapshot(t, clock, policies...))
	return g
}

// fieldsOf returns the identity headers of a verdict; nil for none.
func fieldsOf(v gate.Verdict) []gate.Field {
	var out []gate.Field
	for i := range v.Edit.Set.Len() {
		out = append(out, v.Edit.Set.At(i))
	}
	return out
}

// get asks for a target; headers come in pairs.
func get(target string, headers ...string) *gate.Request {
	h := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		h.Add(headers[i], headers[i+1])
	}
	return &gate.Request{Method: "GET", Target: target, Host: "orders.shop:8080", Header: h, Port: 8080, Remote: netip.MustParseAddr("10.0.0.9")}
}

func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }

func TestJudge(t *testing.T) {
	t.Parallel()
	reader := corp.Token(start, map[string]any{"scope": "orders.read"})
	g := newGate(t, gatetest.Policy("orders", orders()))
	tests := map[string]struct {
		give *gate.Request
		want decision.Reason
		rule string
	}{
		"a good token with the scope is let in":           {get("/orders/1", bearer(reader)...), decision.Allowed, "read"},
		"no token where one is needed":                    {get("/orders/1"), decision.NoToken, ""},
		"no token in a public place":                      {get("/docs/a/b"), decision.Allowed, "docs"},
		"a good token in a public place":                  {get("/docs/a", bearer(reader)...), decision.Allowed, "docs"},
		"a broken token in a public place":                {get("/docs/a", bearer("a.b.c")...), decision.Malformed, ""},
		"a stranger's token in a public place":            {get("/docs/a", bearer(partner.Token(start, nil))...), decision.UnknownIssuer, ""},
		"a token without the scope":                       {get("/orders/1", bearer(corp.Token(start, nil))...), decision.InsufficientScope, "read"},
		"an expired token":                                {get("/orders/1", bearer(corp.Token(start.Add(-2*time.Hour), nil))...), decision.Expired, ""},
		"a token for another audience":                    {get("/orders/1", bearer(corp.Token(start, map[string]any{"aud": "bills"}))...), decision.WrongAudience, ""},
		"a forged token":                                  {get("/orders/1", bearer(forged(reader))...), decision.BadSignature, ""},
		"a token of another key":                          {get("/orders/1", bearer(gatetest.NewIssuer(corp.URL, "k2").Token(start, nil))...), decision.UnknownKey, ""},
		"a deny rule wins over an allow rule":             {get("/orders/admin", bearer(reader)...), decision.DeniedByRule, "no-admin"},
		"a deny rule in another spelling":                 {get("/x/..//orders/%61dmin", bearer(reader)...), decision.DeniedByRule, "no-admin"},
		"nothing allows it":                               {get("/else", bearer(reader)...), decision.NoRule, ""},
		"two Authorization headers":                       {get("/docs/a", append(bearer(reader), bearer(reader)...)...), decision.DuplicateAuthorization, ""},
		"an encoded slash":                                {get("/orders%2f1", bearer(reader)...), decision.BadPath, ""},
		"a climb":                                         {get("/../orders/1", bearer(reader)...), decision.BadPath, ""},
		"a fragment":                                      {get("/docs/a#b"), decision.BadPath, ""},
		"a fragment in the query":                         {get("/docs/a?b#c"), decision.BadPath, ""},
		"a space in the query":                            {get("/docs/a?b c"), decision.BadPath, ""},
		"a target without a slash":                        {get("docs/a"), decision.BadPath, ""},
		"an empty target":                                 {get(""), decision.BadPath, ""},
		"an asterisk with GET":                            {get("*"), decision.BadPath, ""},
		"an absolute-form target of this host":            {get("http://Orders.shop:8080/docs/a"), decision.Allowed, "docs"},
		"an absolute-form target of another host":         {get("http://other:8080/docs/a"), decision.BadHost, ""},
		"an absolute-form target of another port":         {get("http://orders.shop/docs/a"), decision.BadHost, ""},
		"an absolute-form target with user information":   {get("http://u@orders.shop:8080/docs/a"), decision.BadHost, ""},
		"an absolute-form target without a path":          {get("http://orders.shop:8080"), decision.NoToken, ""},
		"an absolute-form target of an unheard-of scheme": {get("ftp://orders.shop:8080/docs/a"), decision.BadPath, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := g.Judge(tt.give)
			if v.Reason != tt.want || v.Rule != tt.rule || v.Forward != (tt.want == decision.Allowed) {
				t.Errorf("got forward %v, %s by rule %q; want %s by %q", v.Forward, v.Reason, v.Rule, tt.want, tt.rule)
			}
		})
	}
}

// forged changes the payload and keeps the signature.
func forged(token string) string {
	parts := strings.Split(token, ".")
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(fmt.Sprintf(`{"iss":%q,"aud":"orders","sub":"root","exp":%d,"scope":"orders.read"}`, corp.URL, start.Unix()+99)))
	return strings.Join(parts, ".")
}

func TestMethodsAndHosts(t *testing.T) {
	t.Parallel()
	g := newGate(t, gatetest.Policy("open", policy.Spec{Rules: []policy.Rule{{Name: "all", Allow: &policy.Allow{Anonymous: true}}}}))
	tests := map[string]struct {
		method, target, host string
		want                 decision.Reason
		forwarded            string
	}{
		"CONNECT":                  {"CONNECT", "/", "h", decision.BadMethod, ""},
		"TRACE in another case":    {"trace", "/", "h", decision.BadMethod, ""},
		"a method with a space":    {"GE T", "/", "h", decision.BadMethod, ""},
		"a method of one's own":    {"PURGE", "/", "h", decision.Allowed, "h /"},
		"OPTIONS of the server":    {"OPTIONS", "*", "h", decision.BadPath, ""},
		"a host in capitals":       {"GET", "/", "H.Example.COM.", decision.Allowed, "h.example.com /"},
		"a host with a port":       {"GET", "/", "H.:80", decision.Allowed, "h:80 /"},
		"an IPv6 host with a port": {"GET", "/", "[::0001]:80", decision.Allowed, "[::1]:80 /"},
		"an IPv6 host":             {"GET", "/", "[::1]", decision.Allowed, "[::1] /"},
		"no host":                  {"GET", "/", "", decision.BadHost, ""},
		"a host with a user":       {"GET", "/", "u@h", decision.BadHost, ""},
		"a host with a line break": {"GET", "/", "h\r\nx: y", decision.BadHost, ""},
		"dots and slashes":         {"GET", "//a/./b/../c%7e;v=1?q=%2e", "h", decision.Allowed, "h /a/c~%3Bv=1?q=%2e"},
		"an empty query":           {"GET", "/a?", "h", decision.Allowed, "h /a?"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := g.Judge(&gate.Request{Method: tt.method, Target: tt.target, Host: tt.host, Header: http.Header{}})
			forwarded := ""
			if v.Forward {
				forwarded = v.Host + " " + v.Target
			}
			if v.Reason != tt.want || forwarded != tt.forwarded {
				t.Errorf("got %s, forwarded %q; want %s, %q", v.Reason, forwarded, tt.want, tt.forwarded)
			}
		})
	}
}

func TestWithoutASnapshotOrPolicyEverythingIsRefused(t *testing.T) {
	t.Parallel()
	g := gate.New(gate.Options{})
	if v := g.Judge(get("/docs/a")); v.Forward || v.Reason != decision.NotReady {
		t.Errorf("without a snapshot: %+v", v)
	}
	g.Swap(gatetest.Snapshot(t, clock))
	if v := g.Judge(get("/docs/a")); v.Forward || v.Reason != decision.NoPolicy {
		t.Errorf("without a policy: %+v", v)
	}
	g.SetStale(true)
	if v := g.Judge(get("/docs/a")); v.Forward || v.Reason != decision.Stale {
		t.Errorf("with a snapshot that is too old: %+v", v)
	}
	g.SetStale(false)
	if v := g.Judge(nil); v.Forward || v.Reason != decision.InternalError {
		t.Errorf("a panic: %+v", v)
	}
}

func TestUnresolvedKeysAreAnOutage(t *testing.T) {
	t.Parallel()
	spec := orders()
	b := gatetest.Bundle(t, gatetest.Policy("orders", spec))
	clear(b.KeySets)
	s, err := gate.NewSnapshot(b, "v", gate.SnapshotOptions{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	g := gate.New(gate.Options{Now: clock})
	g.Swap(s)
	for target, want := range map[string]decision.Reason{"/orders/1": decision.KeysUnavailable, "/docs/a": decision.KeysUnavailable} {
		if v := g.Judge(get(target, bearer(corp.Token(start, nil))...)); v.Reason != want {
			t.Errorf("%s: %s, want %s", target, v.Reason, want)
		}
	}
	if v := g.Judge(get("/docs/a")); !v.Forward {
		t.Errorf("a public place without a token: %s", v.Reason)
	}
	if got := s.Summary().Unresolved; len(got) != 1 {
		t.Errorf("unresolved sources: %v", got)
	}
}

func TestIdentityHeaders(t *testing.T) {
	t.Parallel()
	claims := func(roles any, sub any) string {
		return corp.Token(start, map[string]any{"sub": sub, "realm_access": map[string]any{"roles": roles}})
	}
	g := newGate(t, gatetest.Policy("orders", orders()))
	tests := map[string]struct {
		token string
		want  []gate.Field
	}{
		"claims become headers":                       {claims([]string{"reader", "admin"}, "alice"), []gate.Field{{Name: "X-User", Value: "alice"}, {Name: "X-Roles", Value: "reader,admin"}}},
		"a missing claim leaves its header out":       {claims(nil, "alice"), []gate.Field{{Name: "X-User", Value: "alice"}}},
		"a line break leaves the header out":          {claims([]string{"r"}, "alice\r\nX-Admin: 1"), []gate.Field{{Name: "X-Roles", Value: "r"}}},
		"a comma in an element leaves the header out": {claims([]string{"r,admin"}, "alice"), []gate.Field{{Name: "X-User", Value: "alice"}}},
		"white space at an end leaves it out":         {claims("r ", "alice"), []gate.Field{{Name: "X-User", Value: "alice"}}},
		"UTF-8 stays":                                 {claims("r", "älice"), []gate.Field{{Name: "X-User", Value: "älice"}, {Name: "X-Roles", Value: "r"}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := g.Judge(get("/docs/a", bearer(tt.token)...))
			if diff := cmp.Diff(tt.want, fieldsOf(v)); !v.Forward || diff != "" {
				t.Errorf("%s\n%s", v.Reason, diff)
			}
		})
	}
	for _, name := range []string{"X-User", "x-user", "X_User", "X.USER", "X-Roles", "x_roles", "X-Original-Url", "X-Http-Method-Override"} {
		if v := g.Judge(get("/docs/a")); !v.Edit.Remove(name) || v.Edit.Set.Len() > 0 {
			t.Errorf("%s would get through on an anonymous path", name)
		}
	}
	if v := g.Judge(get("/docs/a")); v.Edit.Remove("X-Users") || v.Edit.Remove("Authorization") {
		t.Error("other headers are removed")
	}
}

// A header that a token cannot give is told of, with its cause.
func TestHeadersThatAreLeftOut(t *testing.T) {
	t.Parallel()
	const text, csv, object = policy.FormatString, policy.FormatCSV, policy.FormatJSON
	long := strings.Repeat("a", 4000)
	tests := map[string]struct {
		format policy.HeaderFormat
		claim  any
		why    gate.Omission
		cause  string
	}{
		"a text":                          {text, "alice", "", ""},
		"no claim":                        {text, nil, gate.NoClaim, "the token has no such claim"},
		"no claim for JSON":               {object, nil, gate.NoClaim, "the token has no such claim"},
		"a line break":                    {text, "a\nb", gate.Control, "control character"},
		"an escape":                       {text, "a\x1bb", gate.Control, "control character"},
		"a line break at the end":         {text, "a\n", gate.Control, "control character"},
		"a blank at the end":              {text, "a ", gate.Space, "white space"},
		"nothing":                         {text, "", gate.Empty, "empty"},
		"a list for String":               {text, []any{"a"}, gate.List, "use format CSV or JSON"},
		"an object for String":            {text, map[string]any{"a": 1}, gate.Object, "use format JSON"},
		"a list":                          {csv, []any{"a", 1, true}, "", ""},
		"a list with a comma":             {csv, []any{"a", "cn=b,ou=c"}, gate.Comma, "an element has a comma; use format JSON"},
		"a list with a comma for JSON":    {object, []any{"a", "cn=b,ou=c"}, "", ""},
		"a text with a comma for CSV":     {csv, "a,b", gate.Comma, "use format JSON"},
		"an empty list":                   {csv, []any{}, gate.EmptyList, "the list is empty"},
		"an empty element":                {csv, []any{"a", ""}, gate.Empty, "empty"},
		"an element with a line break":    {csv, []any{"a", "b\r\nc"}, gate.Control, "control character"},
		"a list in a list":                {csv, []any{"a", []any{"b"}}, gate.Element, "an element is a list"},
		"an object for CSV":               {csv, map[string]any{"a": 1}, gate.Object, "use format JSON"},
		"a list that is too long":         {csv, []any{long, long, long}, "", ""},
		"JSON that is too long in ASCII":  {object, strings.Repeat("ä", 3000), gate.TooLong, "16 KiB"},
		"a text of more than ASCII stays": {text, "älice", "", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := orders()
			spec.Forward = &policy.Forward{Headers: []policy.IdentityHeader{{Name: "x-value", Claim: "value", Format: tt.format}}}
			var left []gate.LeftOut
			s, err := gate.NewSnapshot(gatetest.Bundle(t, gatetest.Policy("orders", spec)), "v", gate.SnapshotOptions{
				Now: clock, OnLeftOut: func(l gate.LeftOut) { left = append(left, l) },
			})
			if err != nil {
				t.Fatal(err)
			}
			g := gate.New(gate.Options{Now: clock})
			g.Swap(s)
			for range 2 { // the second is known
				v := g.Judge(get("/docs/a", bearer(corp.Token(start, map[string]any{"value": tt.claim}))...))
				if !v.Forward || (v.Edit.Set.Len() == 1) != (tt.why == "") {
					t.Fatalf("%s: %+v", v.Reason, fieldsOf(v))
				}
			}
			var want []gate.LeftOut
			if tt.why != "" {
				want = []gate.LeftOut{{Policy: "shop/orders", Header: "X-Value", Why: tt.why}}
			}
			if diff := cmp.Diff(want, left); diff != "" || !strings.Contains(tt.why.Text(), tt.cause) {
				t.Errorf("%s\n%s", tt.why.Text(), diff)
			}
		})
	}
	seen := map[string]bool{}
	for _, o := range gate.Omissions() {
		if o.Text() == "" || seen[o.Text()] {
			t.Errorf("%s: %q", o, o.Text())
		}
		seen[o.Text()] = true
	}
}

// Where two policies name a header, one that can give it is enough.
func TestAHeaderThatAnotherPolicyGivesIsNotLeftOut(t *testing.T) {
	t.Parallel()
	one, two := orders(), orders()
	one.Forward = &policy.Forward{Headers: []policy.IdentityHeader{{Name: "X-Who", Claim: "none"}}}
	two.Forward = &policy.Forward{Headers: []policy.IdentityHeader{{Name: "x-who", Claim: "sub"}}}
	s, err := gate.NewSnapshot(gatetest.Bundle(t, gatetest.Policy("a", one), gatetest.Policy("b", two)), "v", gate.SnapshotOptions{
		Now: clock, OnLeftOut: func(l gate.LeftOut) { t.Errorf("%+v", l) },
	})
	if err != nil {
		t.Fatal(err)
	}
	g := gate.New(gate.Options{Now: clock})
	g.Swap(s)
	v := g.Judge(get("/docs/a", bearer(corp.Token(start, nil))...))
	if diff := cmp.Diff([]gate.Field{{Name: "X-Who", Value: "alice"}}, fieldsOf(v)); diff != "" {
		t.Error(diff)
	}
}

func TestJSONAndPayloadHeaders(t *testing.T) {
	t.Parallel()
	spec := orders()
	spec.Forward = &policy.Forward{
		Headers: []policy.IdentityHeader{
			{Name: "X-Tenant", Claim: `["https://example.com/tenant"]`, Format: policy.FormatJSON},
			{Name: "X-Level", Claim: "level"}, {Name: "X-Staff", Claim: "staff"},
		},
		PayloadHeader: "X-Jwt-Payload",
	}
	g := newGate(t, gatetest.Policy("orders", spec))
	v := g.Judge(get("/docs/a", bearer(corp.Token(start, map[string]any{
		"https://example.com/tenant": map[string]any{"b": "é<😀>", "a": []int{1, 2}}, "level": 1.5, "staff": true,
	}))...))
	got := map[string]string{}
	for _, f := range fieldsOf(v) {
		got[f.Name] = f.Value
	}
	payload, err := base64.RawURLEncoding.DecodeString(got["X-Jwt-Payload"])
	if err != nil {
		t.Fatal(err)
	}
	delete(got, "X-Jwt-Payload")
	want := map[string]string{"X-Tenant": `{"a":[1,2],"b":"\u00e9<\ud83d\ude00>"}`, "X-Level": "1.5", "X-Staff": "true"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil || claims["iss"] != corp.URL {
		t.Errorf("payload %s: %v", payload, err)
	}
	if !v.Edit.Remove("x_jwt_payload") {
		t.Error("a client's payload header would get through")
	}
}

// A header is set only from tokens of the policy's own issuers.
func TestIdentityHeadersOfAnotherPolicy(t *testing.T) {
	t.Parallel()
	other := policy.Spec{
		Issuers: []policy.Issuer{partner.Policy("partner")},
		Rules:   []policy.Rule{{Name: "all", Allow: &policy.Allow{Authenticated: true}}},
		Forward: &policy.Forward{Headers: []policy.IdentityHeader{{Name: "X-Partner", Claim: "sub"}}},
	}
	g := newGate(t, gatetest.Policy("orders", orders()), gatetest.Policy("partners", other))
	v := g.Judge(get("/docs/a", bearer(partner.Token(start, map[string]any{"sub": "bob"}))...))
	if diff := cmp.Diff([]gate.Field{{Name: "X-Partner", Value: "bob"}}, fieldsOf(v)); diff != "" {
		t.Errorf("%s\n%s", v.Reason, diff)
	}
	if !v.Edit.Remove("X-User") {
		t.Error("a client's X-User would get through")
	}
}

func TestErrorsOfASnapshotNameTheField(t *testing.T) {
	t.Parallel()
	spec := orders()
	spec.Rules[0].Allow = nil
	_, err := gate.NewSnapshot(gatetest.Bundle(t, gatetest.Policy("orders", spec)), "v", gate.SnapshotOptions{})
	if err == nil || !strings.Contains(err.Error(), "shop/orders: spec.rules[0]") {
		t.Errorf("got %v", err)
	}
	b := gatetest.Bundle(t, gatetest.Policy("orders", orders()))
	for id := range b.KeySets {
		b.KeySets[id] = bundle.KeySet{JWKS: []byte(`{"keys":[]}`)}
	}
	if _, err = gate.NewSnapshot(b, "v", gate.SnapshotOptions{}); err == nil || !strings.Contains(err.Error(), "shop/orders: spec.issuers[0]") {
		t.Errorf("got %v", err)
	}
}
