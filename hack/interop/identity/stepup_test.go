package identity_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/hack/interop/idp"
)

const redirect = "https://client.example/callback"

// TestStepUp has a client whose user logged in weakly: it is told what is wanted, asks the provider for that, and gets in (RFC
// 9470 section 1).
func TestStepUp(t *testing.T) {
	t.Parallel()
	issuer := idp.Start(t, idp.Config{
		Resources: map[string]idp.Resource{"urn:orders": {Scopes: []string{"pay"}}},
		Provider: map[string]any{"acrValues": []string{"weak", "strong"}, "clients": []map[string]any{{
			"client_id": "shop", "token_endpoint_auth_method": "none", "application_type": "web", "redirect_uris": []string{redirect},
		}}},
	})
	keys := fetch(t, http.DefaultClient, issuer+"/jwks")
	guarded := guard(t, policy.Spec{
		Issuers: []policy.Issuer{{Name: "idp", Issuer: issuer, Audiences: []string{"urn:orders"}, Keys: policy.KeySource{JWKS: string(keys)}}},
		Rules: []policy.Rule{{Name: "pay", Allow: &policy.Allow{
			Conditions:     policy.Conditions{Scopes: []string{"pay"}},
			Authentication: &policy.Authentication{ACR: []string{"strong"}, MaxAge: &policy.Duration{Duration: time.Minute}},
		}}},
	}, keys)
	status, challenge := ask(t, guarded, logIn(t, issuer, "weak"))
	acr := param(challenge, "acr_values")
	if status != 401 || param(challenge, "error") != "insufficient_user_authentication" || acr != "strong" || param(challenge, "max_age") != "60" {
		t.Fatalf("after a weak log-in: %d %s", status, challenge)
	}
	if status, challenge := ask(t, guarded, logIn(t, issuer, acr)); status != 200 {
		t.Errorf("after the log-in that was asked for: %d %s", status, challenge)
	}
}

// param returns a parameter of a challenge whose values have no commas.
func param(challenge, name string) string {
	for p := range strings.SplitSeq(strings.TrimPrefix(challenge, "Bearer "), ", ") {
		if value, ok := strings.CutPrefix(p, name+"="); ok {
			return strings.Trim(value, `"`)
		}
	}
	return ""
}

// logIn gets an access token by the authorization code flow, with a log-in of its own.
func logIn(t *testing.T, issuer, acr string) string {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	var code string
	client := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), redirect) {
			code = r.URL.Query().Get("code")
			return http.ErrUseLastResponse
		}
		return nil
	}}
	const verifier = "a-verifier-of-the-test-that-is-long-enough-for-pkce"
	query := url.Values{
		"client_id": {"shop"}, "response_type": {"code"}, "redirect_uri": {redirect}, "scope": {"openid pay"}, "resource": {"urn:orders"},
		"acr_values": {acr}, "code_challenge": {challengeOf(verifier)}, "code_challenge_method": {"S256"},
	}
	fetch(t, client, issuer+"/auth?"+query.Encode())
	if code == "" {
		t.Fatal("the provider gives no code")
	}
	res, err := client.PostForm(issuer+"/token", url.Values{ //nolint:noctx // the test's own provider
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirect}, "client_id": {"shop"},
		"code_verifier": {verifier}, "resource": {"urn:orders"},
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

func fetch(t *testing.T, c *http.Client, at string) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return body
}
