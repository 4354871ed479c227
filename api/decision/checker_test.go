package decision_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
)

// compileBoth compiles policies, and wants a Checker to say the same of them, at first and when it remembers.
func compileBoth(t testing.TB, policies []decision.Policy) (*decision.Program, error) {
	t.Helper()
	p, err := decision.Compile(policies)
	c := decision.NewChecker(1 << 20)
	for _, when := range []string{"at first", "from memory"} {
		if got := c.Check(policies); fmt.Sprint(got) != fmt.Sprint(err) {
			t.Errorf("Check %s: %v; Compile: %v", when, got, err)
		}
	}
	return p, err
}

func withWhen(t testing.TB, path, when string) []decision.Policy {
	p := parse(t, "a", corp+"rules: [{name: r, match: [{paths: ['"+path+"']}], allow: {authenticated: true}}]")
	p.Spec.Rules[0].Allow.When = when
	return []decision.Policy{p}
}

func TestCheckerSaysWhatCompileSays(t *testing.T) {
	t.Parallel()
	for when, ok := range map[string]bool{
		`path.id == claims.sub`:              true,
		`path.no == claims.sub`:              false,
		`1 + 1`:                              false,
		`claims.a ==`:                        false,
		`timestamp("no time") < now`:         false, // found only when it is planned
		`claims.a.matches("(")`:              false,
		`request.headers == {}`:              false,
		`"a".format(["b"]) == "a"`:           false,
		`[1, 2, 3].exists(x, x == int("a"))`: false, // the same
	} {
		if _, err := compileBoth(t, withWhen(t, "/a/{id}", when)); (err == nil) != ok {
			t.Errorf("%s: %v", when, err)
		}
	}
}

// The same text means something else where the path captures something else.
func TestCheckerKeepsCapturesApart(t *testing.T) {
	t.Parallel()
	c := decision.NewChecker(1 << 20)
	for path, ok := range map[string]bool{"/a/{id}": true, "/a/{other}": false, "/a/{id}/{other}": true, "/a": false} {
		for range 2 {
			if err := c.Check(withWhen(t, path, "path.id == claims.sub")); (err == nil) != ok {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
}

func TestCheckerRemembersHints(t *testing.T) {
	t.Parallel()
	c := decision.NewChecker(1 << 20)
	for _, text := range []string{`claims.a`, `request.headers["X-A"] == "b"`, `claims.a == 1`, `claims.`, ""} {
		want := decision.ExpressionHints(text)
		_ = c.Check(withWhen(t, "/a", text)) // what is wrong with it is not asked here
		for range 2 {
			if diff := cmp.Diff(want, c.Hints(text)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", text, diff)
			}
		}
	}
}

// What is remembered stays below its bound, and what is asked about again is kept.
func TestCheckerForgets(t *testing.T) {
	t.Parallel()
	const most = 64 << 10
	c := decision.NewChecker(most)
	for i := range 1000 {
		text := fmt.Sprintf(`claims.a == %d && request.headers["X-%s"] == "a"`, i, strings.Repeat("a", 100))
		if err := c.Check(withWhen(t, "/a", text)); err != nil {
			t.Fatal(err)
		}
		c.Hints(`claims.often == "a"`)
		if n := decision.Remembered(c); n > most {
			t.Fatalf("%d bytes after %d expressions", n, i+1)
		}
	}
	if decision.Remembered(c) < most/4 {
		t.Error("next to nothing is remembered")
	}
	if !decision.Knows(c, `claims.often == "a"`) {
		t.Error("what is asked about all the time was forgotten")
	}
}
