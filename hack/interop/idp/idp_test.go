package idp_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/hack/interop/idp"
)

// TestStart gets a token of each kind from the provider.
func TestStart(t *testing.T) {
	t.Parallel()
	issuer := idp.Start(t, idp.Config{
		Resources: map[string]idp.Resource{
			"urn:orders": {Scopes: []string{"orders.read"}},
			"urn:opaque": {Scopes: []string{"orders.read"}, Format: "opaque"},
		},
		Provider: map[string]any{"clients": []map[string]any{{
			"client_id": "shop", "client_secret": "a secret of the test", "grant_types": []string{"client_credentials"},
			"response_types": []string{}, "redirect_uris": []string{}, "scope": "orders.read",
		}}},
	})
	for resource, dots := range map[string]int{"urn:orders": 2, "urn:opaque": 0} {
		form := url.Values{"grant_type": {"client_credentials"}, "resource": {resource}, "scope": {"orders.read"}}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, issuer+"/token", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("shop", url.QueryEscape("a secret of the test"))
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var answer struct {
			AccessToken string `json:"access_token"`
			Error       string `json:"error_description"`
		}
		err = json.NewDecoder(res.Body).Decode(&answer)
		_ = res.Body.Close()
		if err != nil || strings.Count(answer.AccessToken, ".") != dots || answer.AccessToken == "" {
			t.Errorf("%s: %d %+v, %v", resource, res.StatusCode, answer, err)
		}
	}
}
