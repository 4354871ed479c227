package proxy

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// A client is told in every protocol what log-in its request needs, and is let in with it.
func TestStepUp(t *testing.T) {
	t.Parallel()
	upstream := app(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "paid") }).URL
	spec := orders()
	spec.Rules = []policy.Rule{{Name: "pay", Allow: &policy.Allow{
		Conditions:     policy.Conditions{Scopes: []string{"pay"}},
		Authentication: &policy.Authentication{ACR: []string{"phr", "mfa"}, MaxAge: &policy.Duration{Duration: 5 * time.Minute}},
	}}}
	const challenge = `Bearer error="insufficient_user_authentication", error_description="the request needs another or a more recent log-in of the user", scope="pay", acr_values="phr mfa", max_age="300"`
	now := time.Now()
	weak := corp.Token(now, map[string]any{"scope": "pay", "acr": "pwd", "auth_time": now.Unix()})
	old := corp.Token(now, map[string]any{"scope": "pay", "acr": "mfa", "auth_time": now.Add(-6 * time.Minute).Unix()})
	strong := corp.Token(now, map[string]any{"scope": "pay", "acr": "mfa", "auth_time": now.Unix()})
	waysToTheApp(t, func(t *testing.T, app AppProtocol, h2 bool) {
		g := protect(t, upstream, func(c *Config) { c.AppProtocol = app }, gatetest.Policy("orders", spec))
		c := client(t, h2)
		for name, token := range map[string]string{"another class": weak, "too long ago": old} {
			res, _ := ask(t, c, request(t, "GET", "http://"+g.addr+"/pay", nil, "Authorization", "Bearer "+token))
			if got := res.Header.Get("Www-Authenticate"); res.StatusCode != 401 || got != challenge {
				t.Errorf("%s: %s %s", name, res.Status, got)
			}
		}
		if res, body := ask(t, c, request(t, "GET", "http://"+g.addr+"/pay", nil, "Authorization", "Bearer "+strong)); res.StatusCode != 200 || body != "paid" {
			t.Errorf("after the log-in: %s %s", res.Status, body)
		}
		if !h2 {
			return
		}
		res, _ := ask(t, c, request(t, "POST", "http://"+g.addr+"/pay", nil, "Authorization", "Bearer "+weak, "Content-Type", "application/grpc"))
		if got := res.Header.Get("Www-Authenticate"); res.StatusCode != 200 || got != challenge || res.Header.Get("Grpc-Status") != "16" {
			t.Errorf("gRPC: %s %v", res.Status, res.Header)
		}
	})
}
