package telemetry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/logqueue"
)

func at(seconds int) time.Time { return time.Unix(1_800_000_000+int64(seconds), 0) }

func TestMetrics(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	m, err := NewMetrics(reg, Sources{
		Freshness: func() (bool, time.Duration, bool) { return true, 5 * time.Second, true }, Pushed: true,
		Cache: func() Cache { return Cache{Hits: 7, Misses: 3, Evictions: 1, Entries: 2, Bytes: 4096} },
	})
	if err != nil {
		t.Fatal(err)
	}
	m.SnapshotLoaded("abc")
	m.SnapshotRejected()
	m.LeftOut("comma")
	m.Connection(+1)
	for range 2 {
		m.Request(&Record{Forwarded: true, Reason: decision.Allowed, Policy: "shop/orders", Rule: "read"})
	}
	m.Request(&Record{Reason: decision.Expired, Audit: []Audit{{Policy: "shop/trial", Reason: decision.NoRule}}})
	want := `
# HELP bearerguard_audit_total Verdicts of Audit policies, which change nothing.
# TYPE bearerguard_audit_total counter
bearerguard_audit_total{decision="deny",policy="shop/trial",reason="NoRule",rule=""} 1
# HELP bearerguard_connections Client connections that are open.
# TYPE bearerguard_connections gauge
bearerguard_connections 1
# HELP bearerguard_identity_headers_left_out_total Identity headers that a verified token could not give, counted when it is verified, by the reason.
# TYPE bearerguard_identity_headers_left_out_total counter
bearerguard_identity_headers_left_out_total{reason="comma"} 1
# HELP bearerguard_push_connected 1 while the controller is connected, else 0.
# TYPE bearerguard_push_connected gauge
bearerguard_push_connected 1
# HELP bearerguard_requests_total Requests by decision, reason, and the policy and rule that decided.
# TYPE bearerguard_requests_total counter
bearerguard_requests_total{decision="allow",policy="shop/orders",reason="Allowed",rule="read"} 2
bearerguard_requests_total{decision="deny",policy="",reason="Expired",rule=""} 1
# HELP bearerguard_snapshot_age_seconds Time since the snapshot in force was last known to be the newest; 0 while it is.
# TYPE bearerguard_snapshot_age_seconds gauge
bearerguard_snapshot_age_seconds 5
# HELP bearerguard_snapshot_info The version of the snapshot in force; the value is 1.
# TYPE bearerguard_snapshot_info gauge
bearerguard_snapshot_info{version="abc"} 1
# HELP bearerguard_snapshot_rejected_total Snapshots that could not be loaded; the last good one stays.
# TYPE bearerguard_snapshot_rejected_total counter
bearerguard_snapshot_rejected_total 1
# HELP bearerguard_token_cache_hits_total Tokens whose verification was found in the cache.
# TYPE bearerguard_token_cache_hits_total counter
bearerguard_token_cache_hits_total 7
# HELP bearerguard_token_cache_bytes Bytes that the cache accounts for.
# TYPE bearerguard_token_cache_bytes gauge
bearerguard_token_cache_bytes 4096
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "bearerguard_audit_total", "bearerguard_connections", "bearerguard_identity_headers_left_out_total", "bearerguard_push_connected",
		"bearerguard_requests_total", "bearerguard_snapshot_age_seconds", "bearerguard_snapshot_info",
		"bearerguard_snapshot_rejected_total", "bearerguard_token_cache_hits_total", "bearerguard_token_cache_bytes"); err != nil {
		t.Error(err)
	}
}

func TestMetricsOfProofs(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	if _, err := NewMetrics(reg, Sources{Proofs: func() Proofs { return Proofs{Remembered: 12, Forgotten: 3} }}); err != nil {
		t.Fatal(err)
	}
	want := `
# HELP bearerguard_dpop_proofs DPoP proofs (RFC 9449) that are remembered, so that none of them is taken again.
# TYPE bearerguard_dpop_proofs gauge
bearerguard_dpop_proofs 12
# HELP bearerguard_dpop_proofs_forgotten_total DPoP proofs that were forgotten while they were fresh, since there was no room: they could be used again.
# TYPE bearerguard_dpop_proofs_forgotten_total counter
bearerguard_dpop_proofs_forgotten_total 3
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "bearerguard_dpop_proofs", "bearerguard_dpop_proofs_forgotten_total"); err != nil {
		t.Error(err)
	}
}

func TestMetricsOfIntrospection(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	m, err := NewMetrics(reg, Sources{Introspection: func() Introspection { return Introspection{Running: 3, Endpoints: 2, Open: 1, Used: 40} }})
	if err != nil {
		t.Fatal(err)
	}
	m.Introspected("answered", 3*time.Millisecond)
	m.Introspected("timeout", 5*time.Second)
	m.Introspected("breaker_open", 0) // nobody was asked, so nothing took time
	want := `
# HELP bearerguard_introspection_breakers_open Introspection endpoints that are not asked for a moment, since they failed several times in a row.
# TYPE bearerguard_introspection_breakers_open gauge
bearerguard_introspection_breakers_open 1
# HELP bearerguard_introspection_cache_hits_total Tokens that issuers had vouched for when asked before, within cacheTTL.
# TYPE bearerguard_introspection_cache_hits_total counter
bearerguard_introspection_cache_hits_total 40
# HELP bearerguard_introspection_duration_seconds Time that issuers took to answer, or to fail to.
# TYPE bearerguard_introspection_duration_seconds histogram
bearerguard_introspection_duration_seconds_bucket{le="0.0005"} 0
bearerguard_introspection_duration_seconds_bucket{le="0.001"} 0
bearerguard_introspection_duration_seconds_bucket{le="0.0025"} 0
bearerguard_introspection_duration_seconds_bucket{le="0.005"} 1
bearerguard_introspection_duration_seconds_bucket{le="0.01"} 1
bearerguard_introspection_duration_seconds_bucket{le="0.025"} 1
bearerguard_introspection_duration_seconds_bucket{le="0.05"} 1
bearerguard_introspection_duration_seconds_bucket{le="0.1"} 1
bearerguard_introspection_duration_seconds_bucket{le="0.25"} 1
bearerguard_introspection_duration_seconds_bucket{le="0.5"} 1
bearerguard_introspection_duration_seconds_bucket{le="1"} 1
bearerguard_introspection_duration_seconds_bucket{le="2.5"} 1
bearerguard_introspection_duration_seconds_bucket{le="5"} 2
bearerguard_introspection_duration_seconds_bucket{le="+Inf"} 2
bearerguard_introspection_duration_seconds_sum 5.003
bearerguard_introspection_duration_seconds_count 2
# HELP bearerguard_introspection_endpoints Introspection endpoints that the rules in force name.
# TYPE bearerguard_introspection_endpoints gauge
bearerguard_introspection_endpoints 2
# HELP bearerguard_introspection_in_flight Questions to issuers that run now.
# TYPE bearerguard_introspection_in_flight gauge
bearerguard_introspection_in_flight 3
# HELP bearerguard_introspection_requests_total Questions to issuers about tokens (RFC 7662), by what became of them.
# TYPE bearerguard_introspection_requests_total counter
bearerguard_introspection_requests_total{result="answered"} 1
bearerguard_introspection_requests_total{result="breaker_open"} 1
bearerguard_introspection_requests_total{result="timeout"} 1
`
	var names []string
	for _, n := range []string{"breakers_open", "cache_hits_total", "duration_seconds", "endpoints", "in_flight", "requests_total"} {
		names = append(names, "bearerguard_introspection_"+n)
	}
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}

func TestAForwardedRequestDoesNotAllocate(t *testing.T) {
	m, err := NewMetrics(prometheus.NewRegistry(), Sources{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := logqueue.NewLogger(io.Discard, "json", "info")
	if err != nil {
		t.Fatal(err)
	}
	seldom, never := NewDecisionLog(l, LogOptions{AllowEvery: 1 << 40}), NewDecisionLog(l, LogOptions{})
	r := &Record{
		Time: at(0), Forwarded: true, Reason: decision.Allowed, Policy: "shop/orders", Rule: "read", Own: time.Microsecond,
		Audit: []Audit{{Policy: "shop/trial", Rule: "r", Allowed: true, Reason: decision.Allowed}},
	}
	for range 2 * passedAtOnce { // the first of a sample, and what is remembered
		seldom.Request(r)
		never.Request(r)
	}
	for name, do := range map[string]func(){
		"counting it": func() { m.Request(r) }, "a log of some": func() { seldom.Request(r) }, "a log of none": func() { never.Request(r) },
	} {
		if n := testing.AllocsPerRun(100, do); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

// TestWhatClientsChooseMakesNoSeries has every request differ in all that a client can choose.
func TestWhatClientsChooseMakesNoSeries(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	m, err := NewMetrics(reg, Sources{})
	if err != nil {
		t.Fatal(err)
	}
	series := func() (n int) {
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			n += len(f.GetMetric())
		}
		return n
	}
	one := func(s string) {
		for _, reason := range decision.Reasons() {
			m.Request(&Record{
				Forwarded: reason == decision.Allowed, Reason: reason, Policy: "shop/orders", Rule: "read", RequestID: s, Method: s, Host: s, Path: s,
				Protocol: s, KeyID: s, Issuer: s, Subject: s, Cause: decision.Because(s), Remote: netip.AddrFrom4([4]byte{10, 0, byte(len(s)), 1}),
			})
		}
	}
	one("a")
	before := series()
	for i := range 1000 {
		one(strconv.Itoa(i))
	}
	if after := series(); after != before {
		t.Errorf("%d series became %d", before, after)
	}
}

func TestCountsOfPoliciesThatAreGoneAreDropped(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	m, err := NewMetrics(reg, Sources{})
	if err != nil {
		t.Fatal(err)
	}
	count := func() {
		for _, p := range []string{"shop/old", "shop/new"} {
			m.Request(&Record{Forwarded: true, Reason: decision.Allowed, Policy: p, Rule: "r", Audit: []Audit{{Policy: p}}})
		}
		m.Request(&Record{Reason: decision.NoToken})
	}
	check := func(want string) {
		t.Helper()
		want = "# HELP bearerguard_requests_total Requests by decision, reason, and the policy and rule that decided.\n" +
			"# TYPE bearerguard_requests_total counter\n" + want
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "bearerguard_requests_total"); err != nil {
			t.Error(err)
		}
	}
	count()
	m.Retain([]string{"shop/new"})
	check(`bearerguard_requests_total{decision="allow",policy="shop/new",reason="Allowed",rule="r"} 1
bearerguard_requests_total{decision="deny",policy="",reason="NoToken",rule=""} 1
`)
	if n := testutil.CollectAndCount(m.audits.vec); n != 1 {
		t.Errorf("%d series of Audit policies, want 1", n)
	}
	count() // a policy that comes back counts from the start
	check(`bearerguard_requests_total{decision="allow",policy="shop/new",reason="Allowed",rule="r"} 2
bearerguard_requests_total{decision="allow",policy="shop/old",reason="Allowed",rule="r"} 1
bearerguard_requests_total{decision="deny",policy="",reason="NoToken",rule=""} 2
`)
}

func BenchmarkAForwardedRequest(b *testing.B) {
	m, err := NewMetrics(prometheus.NewRegistry(), Sources{})
	if err != nil {
		b.Fatal(err)
	}
	r := &Record{Forwarded: true, Reason: decision.Allowed, Policy: "shop/orders", Rule: "read", Own: time.Microsecond}
	b.ReportAllocs()
	for b.Loop() {
		m.Request(r)
	}
}

// lines logs the records and returns the decoded lines without their times.
func lines(t *testing.T, o LogOptions, records ...*Record) []map[string]any {
	t.Helper()
	var buf bytes.Buffer
	l, err := logqueue.NewLogger(&buf, "json", "info")
	if err != nil {
		t.Fatal(err)
	}
	d := NewDecisionLog(l, o)
	for _, r := range records {
		d.Request(r)
	}
	var out []map[string]any
	for line := range strings.Lines(buf.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		delete(m, "time")
		out = append(out, m)
	}
	return out
}

func TestDecisionLogLine(t *testing.T) {
	t.Parallel()
	got := lines(t, LogOptions{}, &Record{
		Time: at(0), Own: 12 * time.Microsecond, RequestID: "a-1\n", Reason: decision.NoRule, Policy: "shop/orders", Method: "GET",
		Host: "orders", Path: "/a\nlevel=INFO\x1b[31m\u202e\xff", Port: 8080, Remote: netip.MustParseAddr("10.0.0.1"),
		Issuer: "https://login.example.com", KeyID: "k\r\n1", Subject: "alice",
		Audit: []Audit{{Policy: "shop/trial", Rule: "r", Allowed: true, Reason: decision.Allowed}},
	})
	want := []map[string]any{{
		"level": "INFO", "msg": "request decided", "requestID": `a-1\n`, "decision": "deny", "reason": "NoRule",
		"policy": "shop/orders", "method": "GET", "host": "orders", "path": `/a\nlevel=INFO\x1b[31m\u202e\xff`,
		"port": 8080.0, "remote": "10.0.0.1", "issuer": "https://login.example.com", "keyID": `k\r\n1`, "ownMicros": 12.0,
		"x-bearerguard-audit": []any{map[string]any{"policy": "shop/trial", "rule": "r", "decision": "allow", "reason": "Allowed"}},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// secretive is a cause that has a value.
type secretive struct{}

func (secretive) String() string { return "sub is a number,\nnot a string" }
func (secretive) Detail() string { return "sub is 4711" }

func TestTheCauseIsLoggedWithoutValues(t *testing.T) {
	t.Parallel()
	got := lines(t, LogOptions{}, &Record{Time: at(0), Reason: decision.BadClaim, Cause: secretive{}}, &Record{Time: at(0), Reason: decision.NoRule},
		&Record{Time: at(0), Forwarded: true, Audit: []Audit{{Policy: "shop/trial", Reason: decision.BadClaim, Cause: secretive{}}}})
	audit, _ := got[2]["x-bearerguard-audit"].([]any)
	if text := fmt.Sprint(audit...); !strings.Contains(text, `cause:sub is a number,\nnot a string`) || strings.Contains(text, "4711") {
		t.Errorf("the verdict of an Audit policy is %s", text)
	}
	if want := `sub is a number,\nnot a string`; got[0]["cause"] != want {
		t.Errorf("cause is %q, want %q", got[0]["cause"], want)
	}
	if cause, has := got[1]["cause"]; has {
		t.Errorf("cause is %q where there is none", cause)
	}
}

// why counts how often it is asked.
type why struct {
	asked   int
	details decision.Details
	audited []decision.AuditDetails
}

func (w *why) Details() decision.Details { w.asked++; return w.details }

func (w *why) Audited([]Audit) []decision.AuditDetails { return slices.Clone(w.audited) }

func TestTheLogNamesWhatARefusalHangsOn(t *testing.T) {
	t.Parallel()
	const scopes = "spec.rules[0].allow.scopes: the token lacks scopes"
	many := decision.Details{Policy: "shop/orders", IssuerEntry: "corp"}
	for i := range 10 {
		many.Audiences = append(many.Audiences, "a"+strconv.Itoa(i)+"\n")
	}
	tests := map[string]struct {
		give *Record
		want map[string]any
	}{
		"a token that an issuer does not take": {
			&Record{Reason: decision.WrongAudience, Why: &why{details: decision.Details{Policy: "shop/orders", IssuerEntry: "corp", Audiences: []string{"orders"}}}},
			map[string]any{"policy": "shop/orders", "issuerEntry": "corp", "audiences": []any{"orders"}},
		},
		"many audiences": {
			&Record{Reason: decision.Expired, Why: &why{details: many}},
			map[string]any{"policy": "shop/orders", "issuerEntry": "corp", "audiences": []any{`a0\n`, `a1\n`, `a2\n`, `a3\n`, `a4\n`, `a5\n`, `a6\n`, `a7\n`, "and 2 more"}},
		},
		"a rule that came near": {
			&Record{Reason: decision.NoRule, Why: &why{details: decision.Details{NearestPolicy: "shop/orders", NearestRule: "read", Failed: scopes}}},
			map[string]any{"nearestPolicy": "shop/orders", "nearestRule": "read", "failed": scopes},
		},
		"a rule that decided": {
			&Record{Reason: decision.InsufficientScope, Policy: "shop/orders", Rule: "read", Why: &why{details: decision.Details{Failed: scopes}}},
			map[string]any{"policy": "shop/orders", "rule": "read", "failed": scopes},
		},
		"no rule that is near": {
			&Record{Reason: decision.NoRule, Why: &why{details: decision.Details{Failed: "no rule is for the path"}}},
			map[string]any{"failed": "no rule is for the path"},
		},
		"nothing more": {&Record{Reason: decision.BadPath}, map[string]any{}},
	}
	for name, tt := range tests {
		got := lines(t, LogOptions{}, tt.give)[0]
		for _, key := range []string{"level", "msg", "decision", "reason", "ownMicros"} {
			delete(got, key)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: the log: %s", name, diff)
		}
		d := NewDecisionLog(logr.Discard(), LogOptions{})
		d.Request(tt.give)
		text, err := json.Marshal(d.Recent()[0])
		if err != nil {
			t.Fatal(err)
		}
		var shown map[string]any
		if err := json.Unmarshal(text, &shown); err != nil {
			t.Fatal(err)
		}
		delete(shown, "time")
		delete(shown, "reason")
		if diff := cmp.Diff(tt.want, shown); diff != "" {
			t.Errorf("%s: what is kept: %s", name, diff)
		}
	}
}

// To find out more takes much longer than to refuse, so nobody is to have it done a million times.
func TestOnlyWhatIsLoggedIsLookedInto(t *testing.T) {
	t.Parallel()
	w := &why{}
	var records []*Record
	for range 1000 {
		records = append(records,
			&Record{Time: at(0), Reason: decision.NoRule, Why: w},
			&Record{Time: at(0), Reason: decision.Allowed, Forwarded: true, Why: w},
			&Record{Time: at(0), Reason: decision.AuditOnly, Forwarded: true, Why: w, Audit: []Audit{{Reason: decision.Expired}}})
	}
	lines(t, LogOptions{PerReason: 5, AllowEvery: 1}, records...)
	if w.asked != 10 {
		t.Errorf("%d of 1000 refusals were looked into, want the burst of 10", w.asked)
	}
}

// slow is a look that takes a while.
type slow struct {
	clock *time.Time
	takes time.Duration
	asked int
}

func (s *slow) Details() decision.Details {
	s.asked++
	*s.clock = s.clock.Add(s.takes)
	return decision.Details{NearestRule: "nearest"}
}

func (*slow) Audited([]Audit) []decision.AuditDetails { return nil }

func TestDearLooksIntoRefusalsHaveABudget(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		takes time.Duration
		want  int // looks, of 10,000 refusals, one each millisecond
	}{
		"cheap looks are always made": {49 * time.Microsecond, 10_000},
		// Half a second at once, and a twentieth of ten seconds.
		"dear ones take a twentieth of the time": {10 * time.Millisecond, 100},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := at(0)
			w := &slow{clock: &clock, takes: tt.takes}
			l := newLooks(func() time.Time { return clock })
			for i := range 10_000 {
				if due := at(0).Add(time.Duration(i) * time.Millisecond); due.After(clock) {
					clock = due
				}
				d, _ := l.into(&Record{Reason: decision.NoRule, Policy: "shop/orders", Why: w})
				if d.Policy != "shop/orders" {
					t.Fatalf("details %+v, want the policy of the record in any case", d)
				}
			}
			if w.asked != tt.want {
				t.Errorf("%d looks, want %d", w.asked, tt.want)
			}
		})
	}
}

func TestRecentRefusalsAreBoundedForEachReason(t *testing.T) {
	t.Parallel()
	l, err := logqueue.NewLogger(io.Discard, "json", "error")
	if err != nil {
		t.Fatal(err)
	}
	d := NewDecisionLog(l, LogOptions{PerReason: 1000, AllowEvery: 1})
	if got := d.Recent(); got == nil || len(got) != 0 {
		t.Errorf("before any refusal: %v", got)
	}
	path := []byte("/the/first")
	first := unsafe.String(&path[0], len(path))
	d.Request(&Record{Time: at(0), Reason: decision.NoRule, RequestID: first, Path: first, Cause: secretive{}})
	copy(path, "overwritten")
	for i := range 100 {
		d.Request(&Record{Time: at(1 + i), Reason: decision.Expired, Path: strconv.Itoa(i)})
		d.Request(&Record{Time: at(1 + i), Reason: decision.Allowed, Forwarded: true})
	}
	got := d.Recent()
	if len(got) != 9 {
		t.Fatalf("%d refusals are kept, want 8 of one reason and 1 of another", len(got))
	}
	if got[0].Path != "99" || got[7].Path != "92" {
		t.Errorf("the newest are %q to %q, want 99 to 92", got[0].Path, got[7].Path)
	}
	want := Refused{Time: at(0), RequestID: "/the/first", Reason: decision.NoRule, Path: "/the/first", Cause: `sub is a number,\nnot a string`}
	if diff := cmp.Diff(want, got[8]); diff != "" {
		t.Error(diff)
	}
}

func TestSubjectsAreLoggedOnlyIfAllowed(t *testing.T) {
	t.Parallel()
	r := &Record{Time: at(0), Reason: decision.NoRule, Subject: "alice"}
	if got := lines(t, LogOptions{}, r)[0]["subject"]; got != nil {
		t.Errorf("subject %v was logged", got)
	}
	if got := lines(t, LogOptions{Subjects: true}, r)[0]["subject"]; got != "alice" {
		t.Errorf("subject is %v", got)
	}
}

// Of a token that an Audit policy has no rule for, the log has the issuer's name in the policy, and its scopes if they are allowed.
func TestTheLogNamesWhomAnAuditPolicyHasNoRuleFor(t *testing.T) {
	t.Parallel()
	odd := []string{"", "a b", "orders.read", "quo\"te", strings.Repeat("x", 129), "\x1b[2J"}
	for range 100 {
		odd = append(odd, "more")
	}
	r := &Record{Time: at(0), Forwarded: true, Reason: decision.AuditOnly, Audit: []Audit{{Policy: "shop/trial", Reason: decision.NoRule}, {Policy: "shop/else", Reason: decision.NoToken}}}
	r.Why = &why{audited: []decision.AuditDetails{{IssuerEntry: "corp", Scopes: odd}, {}}}
	line := func(o LogOptions) []any { return lines(t, o, r)[0]["x-bearerguard-audit"].([]any) }
	without := map[string]any{"policy": "shop/trial", "decision": "deny", "reason": "NoRule", "issuerEntry": "corp"}
	other := map[string]any{"policy": "shop/else", "decision": "deny", "reason": "NoToken"}
	if diff := cmp.Diff([]any{without, other}, line(LogOptions{})); diff != "" {
		t.Errorf("scopes are not allowed: %s", diff)
	}
	got, _ := line(LogOptions{Scopes: true})[0].(map[string]any)["scopes"].([]any)
	if len(got) != 64 || got[0] != "orders.read" || got[1] != "more" {
		t.Errorf("scopes: %v", got)
	}
	r.Why = &why{audited: []decision.AuditDetails{{IssuerEntry: "corp"}, {}}}
	if got := line(LogOptions{Scopes: true})[0].(map[string]any)["scopes"]; !cmp.Equal(got, []any{}) {
		t.Errorf("that a token has no scopes is told too: %v", got)
	}
}

func TestRefusalsAreLimitedPerReason(t *testing.T) {
	t.Parallel()
	var records []*Record
	for range 100 {
		records = append(records, &Record{Time: at(0), Reason: decision.Expired})
	}
	records = append(records, &Record{Time: at(0), Reason: decision.NoRule}, &Record{Time: at(1), Reason: decision.Expired})
	got := lines(t, LogOptions{PerReason: 2}, records...)
	if len(got) != 6 {
		t.Fatalf("%d lines, want a burst of 4 and one for the other reason and the other second", len(got))
	}
	if got[4]["reason"] != "NoRule" || got[5]["suppressed"] != 96.0 {
		t.Errorf("last lines: %v", got[4:])
	}
}

func TestAllowsAreSampled(t *testing.T) {
	t.Parallel()
	for every, want := range map[uint64]int{0: 0, 1: 10, 4: 3} {
		var records []*Record
		for range 10 {
			records = append(records, &Record{Time: at(0), Forwarded: true, Reason: decision.Allowed})
		}
		if got := len(lines(t, LogOptions{AllowEvery: every}, records...)); got != want {
			t.Errorf("one in %d of 10: %d lines, want %d", every, got, want)
		}
	}
}

func TestAuditRefusalsAreLoggedThoughForwarded(t *testing.T) {
	t.Parallel()
	got := lines(t, LogOptions{}, &Record{Time: at(0), Forwarded: true, Reason: decision.AuditOnly,
		Audit: []Audit{{Policy: "shop/trial", Reason: decision.Expired}}})
	if len(got) != 1 {
		t.Errorf("%d lines, want 1", len(got))
	}
}

// A request may have a further record, of what became of it. It is no request that took no time.
func TestFurtherRecordsHaveNoDuration(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	m, err := NewMetrics(reg, Sources{})
	if err != nil {
		t.Fatal(err)
	}
	m.Request(&Record{Forwarded: true, Reason: decision.Allowed, Own: time.Microsecond})
	m.Request(&Record{Reason: decision.UpstreamTimeout})
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "bearerguard_request_duration_seconds" {
			if n := f.GetMetric()[0].GetHistogram().GetSampleCount(); n != 1 {
				t.Errorf("%d requests took a time; want 1", n)
			}
		}
	}
}
