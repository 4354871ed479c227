package decision_test

import (
	"fmt"
	"net/http"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

func ExampleCompile() {
	program, err := decision.Compile([]decision.Policy{{Namespace: "shop", Name: "orders", Spec: policy.Spec{
		Issuers: []policy.Issuer{{
			Name: "corp", Issuer: "https://login.example.com", Audiences: []string{"orders"},
			Keys: policy.KeySource{JWKSURL: "https://login.example.com/jwks.json"},
		}},
		Rules: []policy.Rule{{
			Name:  "own-profile",
			Match: []policy.Match{{Paths: []string{"/users/{user}/**"}}},
			Allow: &policy.Allow{Conditions: policy.Conditions{When: "path.user == claims.sub"}},
		}},
	}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	var verified decision.IssuerSet
	subject := program.Bind(decision.Claims{"iss": "https://login.example.com", "sub": "ann"}, verified.With(0))
	for _, path := range []string{"/users/ann/photo", "/users/bob/photo"} {
		r := decision.Request{Method: http.MethodGet, Host: "orders.example.com", Path: path}
		fmt.Println(path, program.Decide(&r, subject).Reason)
	}
	fmt.Println("without a token:", program.Decide(&decision.Request{Method: http.MethodGet, Path: "/users/ann/photo"}, nil).Reason)
	// Output:
	// /users/ann/photo Allowed
	// /users/bob/photo NoRule
	// without a token: NoToken
}

func ExampleCompile_errors() {
	_, err := decision.Compile([]decision.Policy{{Namespace: "shop", Name: "orders", Spec: policy.Spec{
		Rules: []policy.Rule{{
			Name:  "own-profile",
			Match: []policy.Match{{Paths: []string{"/users/{user}/**"}}},
			Deny:  &policy.Conditions{When: "path.name == 'ann'"},
		}},
	}}})
	fmt.Println(err)
	// Output:
	// shop/orders: spec.rules[0].deny.when: line 1, column 1: undeclared reference to 'path' (in container ''); want a capture that all of the rule's paths have: path.user
}
