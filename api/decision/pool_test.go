package decision_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
)

// checkPool holds that the Subject of a Pool is judged like the one that it stands for, whether its verdicts are those of
// a Subject before it or not.
func checkPool(t testing.TB, p *decision.Program, r *decision.Request, s *decision.Subject, want decision.Decision) {
	t.Helper()
	if s == nil {
		return
	}
	pool := p.NewPool()
	for range 2 {
		kept, _ := pool.Bind(s.Claims(), s.Verified())
		if kept.Verified() != s.Verified() {
			t.Errorf("verified by %b, want %b", kept.Verified(), s.Verified())
		}
		if diff := cmp.Diff(want, p.Decide(r, kept)); diff != "" {
			t.Errorf("the Subject of a Pool is judged otherwise (-want +got):\n%s", diff)
		}
	}
}

// Whatever way there is to look at a claim while a request is decided, what a Pool keeps is enough.
func TestAPoolKeepsWhatConditionsOnRequestsRead(t *testing.T) {
	t.Parallel()
	const payload = `{"iss": "https://corp.example", "sub": "ann", "n": 7, "big": 18446744073709551615, "x": 0.5, "yes": true, "none": null,
		"scp": ["a", "b"], "realm": {"roles": ["reader", "writer"], "deep": {"er": "still"}}, "a.b": "dotted", "of": "sub", "act": {"sub": "gw", "act": {"sub": "ann"}}}`
	for _, when := range []string{
		`claims.sub == path.user`,
		`claims["sub"] == path.user && issuer == "https://corp.example"`,
		`issuer.startsWith("https://") && path.user == "ann"`,
		`"sub" in claims && has(claims.n) && !has(claims.absent) && !("absent" in claims) && path.user == claims.sub`,
		`claims.n == 7 && claims.n + 1 == 8 && claims.big > 1u && claims.x < 1 && path.user != ""`,
		`claims.yes && claims.none == null && has(claims.none) && path.user != ""`,
		`claims.scp.exists(s, s == path.user || s == "b") && size(claims.scp) == 2`,
		`"writer" in claims.realm.roles && claims.realm.deep.er == "still" && path.user != ""`,
		`claims["realm"]["roles"][0] == "reader" && path.user != ""`,
		`claims["a.b"] == "dotted" && path.user != ""`,
		`claims.absent == path.user || path.user == "ann"`,
		`claims.absent == path.user`,
		`claims.sub.upperAscii() == "ANN" && path.user != ""`,
		`(path.user == "ann" ? claims.sub : claims.absent) == "ann"`,
		`actor.sub == path.user || size(actor) == 0 && path.user == "ann"`,
		`!has(actor.act) && actor.sub == "gw" && path.user != ""`,
		// What is read cannot be told by name.
		`claims[claims.of] == path.user`,
		`claims[path.user == "" ? "n" : "sub"] == "ann"`,
		`size(claims) == 12 && path.user != ""`,
		`claims.exists(k, k == "sub") && path.user != ""`,
		`[claims].exists(c, c.sub == path.user)`,
		`{"c": claims}.c.sub == path.user`,
		`[{"sub": path.user}].exists(claims, claims.sub == "ann")`,
		`claims == claims && path.user != ""`,
		`path.user in claims || path.user == "ann"`,
	} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			for _, effect := range []string{"allow", "deny"} {
				p := compile(t, corp+fmt.Sprintf(
					"rules:\n- name: r\n  match: [{paths: ['/users/{user}']}]\n  %s:\n    when: %q\n- {name: rest, allow: {authenticated: true}}\n", effect, when))
				full := p.Bind(claims(t, payload), 1)
				for _, user := range []string{"ann", "bob", "sub"} {
					decide(t, p, request(t, "GET /users/"+user), full)
				}
			}
		})
	}
}

func TestSubjectsOfAPoolShareTheirVerdicts(t *testing.T) {
	t.Parallel()
	p := compile(t, corp+"rules: [{name: r, allow: {scopes: [a, b]}}, {name: x, deny: {claims: [{claim: org, equals: evil}]}}]")
	pool := p.NewPool()
	bind := func(payload string) (*decision.Subject, int) { return pool.Bind(claims(t, payload), 1) }
	reader, bytes := bind(`{"sub": "ann", "scope": "a b"}`)
	if bytes != 0 || reader.Claims() != nil {
		t.Errorf("a shared Subject takes %d bytes of its own and keeps the claims %v", bytes, reader.Claims())
	}
	for _, same := range []string{`{"sub": "bob", "scope": "b c a"}`, `{"scp": ["a", "b"]}`} {
		if s, _ := bind(same); s != reader {
			t.Errorf("%s is not shared", same)
		}
	}
	seen := map[*decision.Subject]string{reader: "both"}
	half, _ := bind(`{"scope": "a"}`)
	for _, same := range []string{`{"scope": "b"}`, `{}`} { // what the request needs is the same for all of them
		if s, _ := bind(same); s != half {
			t.Errorf("%s is not shared", same)
		}
	}
	for _, other := range []string{`{"scope": "a"}`, `{"scope": "a b", "org": "evil"}`} {
		s, _ := bind(other)
		if before, ok := seen[s]; ok {
			t.Errorf("%s is taken for %s", other, before)
		}
		seen[s] = other
	}
	if s, _ := pool.Bind(claims(t, `{"scope": "a b"}`), 2); s == reader {
		t.Error("a token of another issuer is taken for the same")
	}
}

// A Pool may meet tokens of ever new verdicts: what it keeps of them is bounded.
func TestAPoolIsBounded(t *testing.T) {
	t.Parallel()
	var rules strings.Builder
	for i := range 16 {
		fmt.Fprintf(&rules, "- {name: r%02d, allow: {scopes: [s%d]}}\n", i, i)
	}
	pool := compile(t, corp+"rules:\n"+rules.String()).NewPool()
	own := 0
	for n := range 1 << 12 {
		var scopes []string
		for i := range 16 {
			if n>>i&1 == 1 {
				scopes = append(scopes, fmt.Sprint("s", i))
			}
		}
		if _, bytes := pool.Bind(decision.Claims{"scope": strings.Join(scopes, " ")}, 1); bytes > 0 {
			own++
		}
	}
	if own != 1<<12-1024 {
		t.Errorf("%d of 4096 Subjects have verdicts of their own, want all but 1024", own)
	}
}

// What a Subject says that it takes is what the heap grows by.
func TestSubjectsOfAPoolCountTheirBytes(t *testing.T) {
	for name, when := range map[string]string{
		"one claim":   `claims.sub == path.user`,
		"some claims": `claims.sub == path.user && claims.n > 1 && "a" in claims.scp && claims.realm.roles[0] == "reader"`,
		"all":         `size(claims) > 3 && path.user != ""`,
	} {
		t.Run(name, func(t *testing.T) {
			p := compile(t, corp+"rules: [{name: r, match: [{paths: ['/users/{user}']}], allow: {when: '"+strings.ReplaceAll(when, "'", "''")+"'}}]")
			pool := p.NewPool()
			const n = 20_000
			subjects := make([]*decision.Subject, n)
			before, counted := heap(), 0
			for i := range subjects {
				var bytes int
				subjects[i], bytes = pool.Bind(claims(t, fmt.Sprintf(
					`{"iss": "https://corp.example", "sub": "user-%06d", "n": 7, "scp": ["a", "b"], "realm": {"roles": ["reader"]}, "email": "%06d@corp.example"}`, i, i)), 1)
				counted += bytes
			}
			grown := heap() - before
			runtime.KeepAlive(subjects)
			t.Logf("%d bytes each, %d counted", grown/n, counted/n)
			if grown > counted+counted/20 || grown < counted*3/4 {
				t.Errorf("the heap grew by %d bytes each, %d were counted", grown/n, counted/n)
			}
		})
	}
}

// heap returns the bytes of the heap in use, garbage aside.
func heap() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
