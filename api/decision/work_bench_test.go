package decision

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkConditionCost is what the constants in work.go come from: the time of a condition, by the estimate of its cost for values of
// the size that it meets.
func BenchmarkConditionCost(b *testing.B) {
	list := make([]any, 500)
	for i := range list {
		list[i] = fmt.Sprintf("group-%d", i)
	}
	short := list[:12]
	c := Claims{"sub": "ann", "groups": list, "few": short, "text": strings.Repeat("a", 8000), "iss": "x"}
	for _, tt := range []struct {
		text string
		n    int
	}{
		{`claims.sub == "bob"`, 64},
		{`claims.few.exists(g, g == "x")`, 64},
		{`claims.groups.exists(g, g == "x")`, 512},
		{`claims.groups.exists(g, g.startsWith("x"))`, 512},
		{`claims.groups.exists(g, claims.few.exists(h, g == h))`, 512},
		{`claims.groups.map(g, g + "x").exists(g, g == "y")`, 512},
		{`claims.text.matches("(a|b)*c")`, 8192},
		{`claims.text.matches("^a{3,9}b")`, 8192},
		{`claims.text.contains("aaaaaaaaaaaaaaab")`, 8192},
		{`sets.intersects(claims.groups, ["x","y","z"])`, 512},
		{`claims.text.split("a").size() == 3`, 8192},
		{`claims.groups.all(g, g.matches("^group-[0-9]+$"))`, 512},
		{`request.query["a"].exists(v, v == "x")`, 64},
	} {
		x := &expressions{}
		e, p := x.compile(tt.text, nil)
		if p != nil {
			b.Log(tt.text, p)
			continue
		}
		env, _ := x.env(nil)
		checked, _ := x.check(env, tt.text, nil)
		cost, _ := env.EstimateCost(checked, sizes{uint64(tt.n)})
		a := &activation{token: token{claims: c, verified: 1}, request: &Request{RawQuery: "a=1&a=2", Path: "/"}}
		b.Run(strings.ReplaceAll(tt.text, "/", "_"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = e.eval(a)
			}
			b.ReportMetric(float64(cost.Max), "est")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(cost.Max), "ns/est")
		})
	}
}
