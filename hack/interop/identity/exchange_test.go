package identity_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/hack/interop/idp"
)

const tokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"

// TestActorsOfATokenExchange has services exchange a user's token for one that says who acts (RFC 8693), and tells them apart by the
// outermost actor.
func TestActorsOfATokenExchange(t *testing.T) {
	t.Parallel()
	service := func(id string) map[string]any {
		return map[string]any{
			"client_id": id, "client_secret": "secret-of-" + id, "token_endpoint_auth_method": "client_secret_post",
			"grant_types": []string{tokenExchange}, "redirect_uris": []string{}, "response_types": []string{},
		}
	}
	issuer := idp.Start(t, idp.Config{
		Resources: map[string]idp.Resource{"urn:orders": {Scopes: []string{"pay"}}},
		Provider: map[string]any{"acrValues": []string{"weak"}, "clients": []map[string]any{{
			"client_id": "shop", "token_endpoint_auth_method": "none", "application_type": "web", "redirect_uris": []string{redirect},
		}, service("gateway"), service("batch")}},
	})
	keys := fetch(t, http.DefaultClient, issuer+"/jwks")
	guarded := func(a policy.Actors) string {
		return guard(t, policy.Spec{
			Issuers: []policy.Issuer{{Name: "idp", Issuer: issuer, Audiences: []string{"urn:orders"}, Keys: policy.KeySource{JWKS: string(keys)}}},
			Rules:   []policy.Rule{{Name: "pay", Allow: &policy.Allow{Conditions: policy.Conditions{Actors: &a, Scopes: []string{"pay"}}}}},
		}, keys)
	}
	user := logIn(t, issuer, "weak")
	gateway := exchange(t, issuer, "gateway", user)
	batch := exchange(t, issuer, "batch", gateway)
	for name, tt := range map[string]struct {
		actors               policy.Actors
		user, gateway, batch int
	}{
		"the gateway":          {policy.Actors{AnyOf: []string{"gateway"}}, 403, 200, 403},
		"the batch":            {policy.Actors{AnyOf: []string{"batch"}}, 403, 403, 200},
		"nobody, or a gateway": {policy.Actors{None: true, AnyOf: []string{"gateway"}}, 200, 200, 403},
		"nobody":               {policy.Actors{None: true}, 200, 403, 403},
		"anybody":              {policy.Actors{Any: true}, 403, 200, 200},
		"another's gateway":    {policy.Actors{AnyOf: []string{"gateway"}, Issuer: "https://other.example"}, 403, 403, 403},
	} {
		at := guarded(tt.actors)
		for who, of := range map[string]struct {
			token string
			want  int
		}{"the user": {user, tt.user}, "the gateway": {gateway, tt.gateway}, "the batch after the gateway": {batch, tt.batch}} {
			if status, _ := ask(t, at, of.token); status != of.want {
				t.Errorf("actors: %s; %s gets %d, want %d", name, who, status, of.want)
			}
		}
	}
}

// exchange has a client get a token for the user of another one.
func exchange(t *testing.T, issuer, client, subject string) string {
	t.Helper()
	res, err := http.PostForm(issuer+"/token", url.Values{ //nolint:noctx // the test's own provider
		"grant_type": {tokenExchange}, "subject_token": {subject}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
		"resource": {"urn:orders"}, "scope": {"pay"}, "client_id": {client}, "client_secret": {"secret-of-" + client},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct {
		AccessToken string `json:"access_token"`
		Error       string `json:"error_description"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || answer.AccessToken == "" {
		t.Fatalf("%s: %s, %v", res.Status, answer.Error, err)
	}
	return answer.AccessToken
}
