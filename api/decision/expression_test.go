package decision_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
)

// TestWhen evaluates expressions; "" stands for an error.
func TestWhen(t *testing.T) {
	t.Parallel()
	token := claims(t, `{"iss":"https://corp.example","sub":"ann","n":7,"f":1.5,"whole":7.0,"big":9007199254740993,
		"max":18446744073709551615,"huge":1e30,"off":1e400,"roles":["a","b"],"o":{"deep":[1,{"x":"y"}]},"null":null,"t":true,
		"exp":1764050000,"odd.name":1}`)
	tests := map[string]struct {
		when, want string
	}{
		"a number is an int":              {"claims.n == 7 && type(claims.n) == int", "true"},
		"a whole number is an int":        {"claims.whole == 7 && type(claims.whole) == int", "true"},
		"a fraction is a double":          {"claims.f == 1.5 && claims.f > 1", "true"},
		"a big number is exact":           {"claims.big == 9007199254740993 && claims.big != 9007199254740992", "true"},
		"a bigger number is a uint":       {"claims.max == 18446744073709551615u", "true"},
		"a huge number is a double":       {"claims.huge > 1e29 && type(claims.huge) == double", "true"},
		"a number out of range":           {"claims.off > 1", ""},
		"numbers of lists and objects":    {`claims.o.deep[0] == 1 && claims.o.deep[1].x == "y"`, "true"},
		"sum of claims":                   {"claims.n + 1 == 8", "true"},
		"null":                            {"claims[\"null\"] == null", "true"},
		"a claim in brackets":             {`claims["odd.name"] == 1`, "true"},
		"a missing claim":                 {`claims.nope == "x"`, ""},
		"has of a missing claim":          {`has(claims.nope)`, "false"},
		"a missing claim behind has":      {`!has(claims.nope) || claims.nope == "x"`, "true"},
		"an error that does not matter":   {`claims.nope == "x" || claims.n == 7`, "true"},
		"a claim of another type":         {`claims.sub.startsWith("a") && claims.n.startsWith("a")`, ""},
		"a claim that is no bool":         {`claims.sub`, ""},
		"a claim that is a bool":          {`claims.t`, "true"},
		"roles":                           {`"a" in claims.roles && claims.roles.exists(r, r == "b") && !("c" in claims.roles)`, "true"},
		"sets":                            {`sets.intersects(claims.roles, ["b", "z"])`, "true"},
		"the issuer":                      {`issuer == "https://corp.example"`, "true"},
		"exp against now":                 {`timestamp(int(claims.exp)) > now - duration("9000h")`, "true"},
		"now is UTC":                      {"now.getHours() == 5 && now.getMinutes() == 30", "true"},
		"a capture":                       {`path.user == "a/b c"`, "true"},
		"the method":                      {`request.method == "GET"`, "true"},
		"the path is canonical":           {`request.path == "/u/a%2Fb%20c/x"`, "true"},
		"the host":                        {`request.host == "orders.example"`, "true"},
		"the port":                        {`request.port == 8080`, "true"},
		"the remote address":              {`cidr("10.0.0.0/8").containsIP(request.remoteIP)`, "true"},
		"a query":                         {`request.query["q"] == ["1", "2"] && request.query.q[1] == "2"`, "true"},
		"a missing query":                 {`request.query["z"][0] == "1"`, ""},
		"a query that is there":           {`"q" in request.query && !("z" in request.query)`, "true"},
		"a header":                        {`request.headers["x-a"] == "1"`, "true"},
		"a header of two values":          {`request.headers["x-b"] == "1, 2"`, "true"},
		"a header as a field":             {`has(request.headers.host) == false && request.headers["x-a"] != "2"`, "true"},
		"a header in another case":        {`"X-A" in request.headers`, "false"},
		"a missing header":                {`request.headers["x-z"] == ""`, ""},
		"a missing header behind in":      {`"x-z" in request.headers && request.headers["x-z"] == ""`, "false"},
		"a loop in a loop over literals":  {`claims.roles.all(a, ["a", "b"].exists(b, a == b))`, "true"},
		"a division by zero":              {"1 / (claims.n - 7) == 1", ""},
		"a variable of a macro":           {`claims.roles.exists(path, path == "a")`, "true"},
		"claims alone: issuer and claims": {`claims.sub == "ann" && issuer.startsWith("https://")`, "true"},
		"no variable at all":              {"1 < 2", "true"},
		"a constant that is false":        {"1 > 2", "false"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, effect := range []string{"allow", "deny"} {
				p := compile(t, corp+"paths: {encodedSlash: Keep}\nrules: [{name: r, match: [{paths: ['/u/{user}/x']}], "+effect+": {when: '"+test.when+"'}}]")
				r := request(t, "GET /u/a%2Fb%20c/x?q=1&q=2", "X-A: 1", "X-B: 1", "X-B: 2")
				got := decide(t, p, r, p.Bind(token, 1)).Reason
				want := decision.NoRule
				switch {
				case effect == "allow" && test.want == "true":
					want = decision.Allowed
				case effect == "deny" && test.want != "false":
					want = decision.DeniedByRule // an error too
				}
				if got != want {
					t.Errorf("%s %s: %s, want %s", effect, test.when, got, want)
				}
			}
		})
	}
}

func TestWhenOfOddRequests(t *testing.T) {
	t.Parallel()
	p := compile(t, "rules: [{name: r, allow: {anonymous: true, when: '\"a\" in request.query && request.remoteIP == \"\" && !(\"x\" in request.headers)'}}]")
	r := &decision.Request{Method: http.MethodGet, Path: "/", RawQuery: "a=1"}
	if d := decide(t, p, r, nil); !d.Allowed {
		t.Errorf("no headers, no address: %s", d.Reason)
	}
	for _, query := range []string{"a=1;b=2", "a=%zz", "%"} {
		r := &decision.Request{Method: http.MethodGet, Path: "/", RawQuery: query}
		if d := decide(t, p, r, nil); d.Allowed {
			t.Errorf("query %q that two readers may read in two ways is allowed", query)
		}
	}
}

// TestWhenRunsOutOfBudget gives an expression more than its cost allows.
func TestWhenRunsOutOfBudget(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 10_000)
	list := make([]any, 2000)
	for i := range list {
		list[i] = long
	}
	token := decision.Claims{"a": list, "s": long}
	const costly = `claims.a.all(x, claims.s.startsWith(x))`
	allow := compile(t, corp+"rules: [{name: r, allow: {when: '"+costly+"'}}]")
	if d := decide(t, allow, request(t, "GET /"), allow.Bind(token, 1)); d.Allowed {
		t.Errorf("an allow rule that ran out of budget: %s", d.Reason)
	}
	deny := compile(t, corp+"rules: [{name: all, allow: {authenticated: true}}, {name: r, deny: {when: '!("+costly+")'}}]")
	if d := decide(t, deny, request(t, "GET /"), deny.Bind(token, 1)); d.Reason != decision.DeniedByRule {
		t.Errorf("a deny rule that ran out of budget: %s", d.Reason)
	}
}

// FuzzWhen compiles and evaluates any expression. Whatever is in it, it is compiled or refused, and its cost bounded: a
// token of the size that is taken, or larger, keeps it busy for no more than a moment.
func FuzzWhen(f *testing.F) {
	for _, s := range []string{
		"path.user == claims.sub", "claims.a.exists(x, x == 1)", `request.headers["a"] == "b"`, "now.getHours() < 6",
		`path.user.matches("^a{2}$")`, "has(claims.a) && claims.a[0] > 1.5", `request.query["a"][0] == "b"`, `"%d".format([1]) == ""`,
		`claims.map(k, k).size() > 0`, `ip(request.remoteIP).family() == 4`, `dyn(claims) == 1`, "type(request.method) == string",
		`claims.a.map(x, x + x).map(x, x + x).exists(x, x == "a")`, `claims.a.join(claims.sub).replace("a", "bb") != claims.sub`,
		`claims.scope.split(" ").all(x, claims.a.exists(y, y.startsWith(x)))`, `request.tls.san.exists(s, s == "a") || request.tls.subject == path.user`,
	} {
		f.Add(s)
	}
	list := make([]any, 1000)
	for i := range list {
		list[i] = strings.Repeat("a", 20)
	}
	large := decision.Claims{"iss": "i", "sub": strings.Repeat("a", 20_000), "a": list, "scope": strings.Repeat("a ", 10_000)}
	f.Fuzz(func(t *testing.T, when string) {
		a := parse(t, "a", corp+"rules: [{name: r, match: [{paths: ['/u/{user}']}], allow: {authenticated: true}}]")
		a.Spec.Rules[0].Allow.When = when
		p, err := compileBoth(t, []decision.Policy{a})
		if err != nil {
			fieldErrors(t, err)
			return
		}
		s := p.Bind(claims(t, `{"iss":"i","sub":"ann","a":[1,2.5,"b",{"c":null}]}`), 1)
		r := request(t, "GET /u/ann?a=b", "A: b")
		checkExplain(t, p, r, s, p.Decide(r, s))
		started := time.Now()
		p.Decide(r, p.Bind(large, 1))
		if took := time.Since(started); took > 10*time.Second {
			t.Errorf("%q takes %s", when, took)
		}
	})
}
