package decision_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
)

func TestClaimPath(t *testing.T) {
	t.Parallel()
	token := claims(t, `{"sub":"ann","realm_access":{"roles":["admin"]},"https://example.com/tenant":"t1",
		"a.b":{"c":1},"null":null,"quote\"d":true,"cognito:groups":["g"],"":"empty"}`)
	tests := map[string]struct {
		path    string
		want    any
		missing bool
		refused bool
	}{
		"a name":                         {path: "sub", want: "ann"},
		"a name inside another":          {path: "realm_access.roles", want: []any{"admin"}},
		"brackets":                       {path: `["https://example.com/tenant"]`, want: "t1"},
		"brackets with single quotes":    {path: `['https://example.com/tenant']`, want: "t1"},
		"brackets, then a name":          {path: `["a.b"].c`, want: claims(t, `{"c":1}`)["c"]},
		"a name, then brackets":          {path: `realm_access["roles"]`, want: []any{"admin"}},
		"an escaped quote":               {path: `["quote\"d"]`, want: true},
		"a colon in a name":              {path: "cognito:groups", want: []any{"g"}},
		"the empty name in brackets":     {path: `[""]`, want: "empty"},
		"null is found":                  {path: "null", want: nil},
		"a missing claim":                {path: "nope", missing: true},
		"a claim inside a string":        {path: "sub.x", missing: true},
		"a claim inside a list":          {path: "realm_access.roles.x", missing: true},
		"a dotted name is no flat claim": {path: "a.b", missing: true},
		"nothing":                        {path: "", refused: true},
		"a dot first":                    {path: ".sub", refused: true},
		"a dot last":                     {path: "sub.", refused: true},
		"two dots":                       {path: "a..b", refused: true},
		"a slash outside brackets":       {path: "https://example.com", refused: true},
		"brackets without quotes":        {path: "a[0]", refused: true},
		"an open quote":                  {path: `["a`, refused: true},
		"an open bracket":                {path: `["a"`, refused: true},
		"a bracket alone":                {path: `[`, refused: true},
		"a name after a bracket":         {path: `["a"]b`, refused: true},
		"too long":                       {path: strings.Repeat("a", 257), refused: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, err := decision.ParseClaimPath(test.path)
			if (err != nil) != test.refused {
				t.Fatalf("ParseClaimPath(%q): %v; want refused %v", test.path, err, test.refused)
			}
			got, found := path.Lookup(token)
			if diff := cmp.Diff(test.want, got); diff != "" || found == (test.missing || test.refused) {
				t.Errorf("Lookup(%q) found %v (-want +got):\n%s", test.path, found, diff)
			}
		})
	}
}

func FuzzParseClaimPath(f *testing.F) {
	for _, s := range []string{"sub", "a.b", `["x"]`, `a["b\"c"].d`, `['`, "a..b", `[""]`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := decision.ParseClaimPath(s)
		if err != nil {
			return
		}
		text := p.String()
		again, err := decision.ParseClaimPath(text)
		if len(text) <= decision.MaxClaimPath && (err != nil || again.String() != text) {
			t.Fatalf("ParseClaimPath(%q): %q, %v; from %q", text, again, err, s)
		}
	})
}

// TestClaimConditions runs each operator on each shape of claim.
func TestClaimConditions(t *testing.T) {
	t.Parallel()
	token := claims(t, `{"iss":"https://corp.example","s":"red","seven":7,"f":7.5,"whole":7.0,"exp10":70e-1,"t":true,"null":null,
		"list":["red","blue",3,null,{"a":1}],"obj":{"a":1},"empty":[],"text":"7",
		"big":9007199254740993,"huge":123456789012345678901234567890,"far":1e400000,"neg":-5,"nums":[1,50]}`)
	tests := map[string]struct {
		condition string
		want      bool
	}{
		"exists, there":                        {"{claim: s, exists: true}", true},
		"exists, missing":                      {"{claim: x, exists: true}", false},
		"exists, null":                         {"{claim: 'null', exists: true}", false},
		"exists, object":                       {"{claim: obj, exists: true}", true},
		"exists, empty list":                   {"{claim: empty, exists: true}", true},
		"exists false, missing":                {"{claim: x, exists: false}", true},
		"exists false, null":                   {"{claim: 'null', exists: false}", true},
		"exists false, there":                  {"{claim: s, exists: false}", false},
		"equals a string":                      {"{claim: s, equals: red}", true},
		"equals has case":                      {"{claim: s, equals: Red}", false},
		"equals a number":                      {"{claim: seven, equals: '7'}", true},
		"equals a number written otherwise":    {"{claim: whole, equals: '7'}", true},
		"equals a number with an exponent":     {"{claim: exp10, equals: '7'}", true},
		"equals, a text of digits is a text":   {"{claim: text, equals: '7'}", true},
		"equals, a text of digits, 7.0":        {"{claim: text, equals: '7.0'}", false},
		"equals a boolean":                     {"{claim: t, equals: 'true'}", true},
		"equals null never":                    {"{claim: 'null', equals: 'null'}", false},
		"equals an object never":               {"{claim: obj, equals: '{\"a\":1}'}", false},
		"equals any element":                   {"{claim: list, equals: blue}", true},
		"equals a numeric element":             {"{claim: list, equals: '3'}", true},
		"equals no element":                    {"{claim: list, equals: green}", false},
		"equals, an empty list has none":       {"{claim: empty, equals: ''}", false},
		"equals, missing":                      {"{claim: x, equals: ''}", false},
		"equals a big number to the last unit": {"{claim: big, equals: '9007199254740992'}", false},
		"anyOf":                                {"{claim: s, anyOf: [green, red]}", true},
		"anyOf, a list":                        {"{claim: list, anyOf: [green, blue]}", true},
		"anyOf, none":                          {"{claim: s, anyOf: [green]}", false},
		"allOf, a list":                        {"{claim: list, allOf: [blue, red, '3']}", true},
		"allOf, one is missing":                {"{claim: list, allOf: [blue, green]}", false},
		"allOf, no list":                       {"{claim: s, allOf: [red]}", false},
		"allOf, missing":                       {"{claim: x, allOf: [red]}", false},
		"noneOf":                               {"{claim: s, noneOf: [green]}", true},
		"noneOf, equal":                        {"{claim: s, noneOf: [green, red]}", false},
		"noneOf, a list with one":              {"{claim: list, noneOf: [blue]}", false},
		"noneOf, a number written otherwise":   {"{claim: whole, noneOf: ['7']}", false},
		"noneOf, missing":                      {"{claim: x, noneOf: [red]}", true},
		"noneOf, object":                       {"{claim: obj, noneOf: [red]}", true},
		"patterns, a start":                    {"{claim: s, patterns: ['x*', 're*']}", true},
		"patterns, an end":                     {"{claim: s, patterns: ['*ed']}", true},
		"patterns, both ends":                  {"{claim: s, patterns: ['r*d']}", true},
		"patterns, the ends do not overlap":    {"{claim: s, patterns: ['red*d']}", false},
		"patterns, a star alone":               {"{claim: s, patterns: ['*']}", true},
		"patterns, missing":                    {"{claim: x, patterns: ['*']}", false},
		"patterns, null":                       {"{claim: 'null', patterns: ['*']}", false},
		"patterns, object":                     {"{claim: obj, patterns: ['*']}", false},
		"patterns, no star":                    {"{claim: s, patterns: [red]}", true},
		"patterns, no star, a start":           {"{claim: s, patterns: [re]}", false},
		"patterns, an element":                 {"{claim: list, patterns: ['bl*']}", true},
		"patterns, a number's text":            {"{claim: big, patterns: ['90*']}", true},
		"patterns have case":                   {"{claim: s, patterns: ['R*']}", false},
		"notPatterns":                          {"{claim: s, notPatterns: ['x*']}", true},
		"notPatterns, one fits":                {"{claim: s, notPatterns: ['x*', 'r*']}", false},
		"notPatterns, an element fits":         {"{claim: list, notPatterns: ['bl*']}", false},
		"notPatterns, missing":                 {"{claim: x, notPatterns: ['*']}", true},
		"notPatterns, object":                  {"{claim: obj, notPatterns: ['*']}", true},
		"equals a star":                        {"{claim: s, equals: 'r*'}", false},
		"matches":                              {"{claim: s, matches: 'r.d'}", true},
		"matches the whole value":              {"{claim: s, matches: 're'}", false},
		"matches, alternatives are anchored":   {"{claim: s, matches: 'r|ed'}", false},
		"matches an element":                   {"{claim: list, matches: 'bl.*'}", true},
		"matches a number's text":              {"{claim: seven, matches: '[0-9]+'}", true},
		"matches, missing":                     {"{claim: x, matches: '.*'}", false},
		"greaterThan":                          {"{claim: seven, greaterThan: 6}", true},
		"greaterThan is strict":                {"{claim: seven, greaterThan: 7}", false},
		"greaterThan a fraction":               {"{claim: f, greaterThan: 7}", true},
		"greaterThan a big number":             {"{claim: big, greaterThan: 9007199254740992}", true},
		"greaterThan, huge":                    {"{claim: huge, greaterThan: 9223372036854775807}", true},
		"greaterThan, far":                     {"{claim: far, greaterThan: 1}", true},
		"greaterThan, negative":                {"{claim: neg, greaterThan: -6}", true},
		"greaterThan, a text is no number":     {"{claim: text, greaterThan: 1}", false},
		"greaterThan, any element":             {"{claim: nums, greaterThan: 49}", true},
		"greaterThan zero":                     {"{claim: neg, greaterThan: 0}", false},
		"lessThan":                             {"{claim: seven, lessThan: 8}", true},
		"lessThan is strict":                   {"{claim: seven, lessThan: 7}", false},
		"lessThan, far":                        {"{claim: far, lessThan: 1}", false},
		"lessThan, negative":                   {"{claim: neg, lessThan: -4}", true},
		"lessThan, missing":                    {"{claim: x, lessThan: 8}", false},
		"lessThan, any element":                {"{claim: nums, lessThan: 2}", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for effect, want := range map[string]decision.Reason{"allow": decision.Allowed, "deny": decision.DeniedByRule} {
				p := compile(t, corp+"rules: [{name: r, "+effect+": {claims: ["+test.condition+"]}}]")
				d := decide(t, p, request(t, "GET /"), p.Bind(token, 1))
				if (d.Reason == want) != test.want {
					t.Errorf("%s with %s: %s; want it to hold: %v", effect, test.condition, d.Reason, test.want)
				}
				d = decide(t, p, request(t, "GET /"), nil)
				if d.Reason != decision.NoToken {
					t.Errorf("%s with %s, without a token: %s; want NoToken", effect, test.condition, d.Reason)
				}
			}
		})
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	p := compile(t, corp+"rules: [{name: r, allow: {scopes: [read, write]}}, {name: other, match: [{paths: [/x]}], allow: {scopes: [x]}}]")
	both := []string{"read", "write"} // what the request needs
	tests := map[string]struct {
		token string
		needs []string
	}{
		"scope, separated by spaces":   {token: `{"scope":"write x read"}`},
		"scp as a list":                {token: `{"scp":["read","write"]}`},
		"scp as a string":              {token: `{"scp":"read write"}`},
		"both together":                {token: `{"scope":"read","scp":["write"]}`},
		"one is missing":               {token: `{"scope":"read"}`, needs: both},
		"all are missing":              {token: `{}`, needs: both},
		"a part of a name is not it":   {token: `{"scope":"reader writer"}`, needs: both},
		"other white space is no stop": {token: `{"scope":"read\twrite"}`, needs: both},
		"no string":                    {token: `{"scope":7,"scp":[7]}`, needs: both},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := decision.Decision{Allowed: true, Reason: decision.Allowed, Policy: "shop/a", Rule: "r"}
			if test.needs != nil {
				want = decision.Decision{Reason: decision.InsufficientScope, Policy: "shop/a", Rule: "r", Scopes: test.needs}
			}
			got := decide(t, p, request(t, "GET /"), p.Bind(claims(t, test.token), 1))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Decide (-want +got):\n%s", diff)
			}
		})
	}
}
