package main

import (
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/hack/freeport"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// startServe runs a sidecar that gateways ask.
func startServe(t *testing.T, args ...string) *process {
	t.Helper()
	listen, admin := freeport.For(t), freeport.For(t)
	p := &process{url: "http://" + listen, admin: "http://" + admin, log: &buffer{}, exited: make(chan error, 1)}
	p.cmd = exec.Command(program, append([]string{"serve", "--forward-auth", listen, "--forward-auth-headers", "x-forwarded", "--admin", admin}, args...)...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.exited <- p.cmd.Wait() }()
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	p.eventually(t, "it is healthy", func() bool { return p.get(t, p.admin+"/healthz", "") == http.StatusOK })
	return p
}

// about asks about a request, and returns the status and the identity.
func (p *process) about(t *testing.T, path, token string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+"/auth", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{
		"X-Forwarded-Method": {"GET"}, "X-Forwarded-Uri": {path}, "X-Forwarded-Host": {"shop.example"}, "X-Forwarded-For": {"192.0.2.1"},
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = res.Body.Close() }()
	return res.StatusCode, res.Header.Get("X-User")
}

func TestServe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	issuer := gatetest.NewIssuer("https://corp.example", "one")
	write(t, dir, "orders.yaml", policyFor(issuer, "clerk"))
	p := startServe(t, "--policies", dir, "--log-allow-every", "1")
	if got := p.get(t, p.admin+"/readyz", ""); got != http.StatusOK {
		t.Errorf("readyz = %d, want 200", got)
	}
	token := issuer.Token(time.Now(), map[string]any{"sub": "alice", "role": "clerk", "secret": "canary-claim"})
	for path, want := range map[string]int{"/orders/7": http.StatusOK, "/other": http.StatusForbidden, "/orders//7": http.StatusBadRequest} {
		if got, _ := p.about(t, path, token); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
	if status, who := p.about(t, "/orders/7", token); status != http.StatusOK || who != "alice" {
		t.Errorf("answered %d and %q, want 200 and alice", status, who)
	}
	if status, _ := p.about(t, "/orders/7", ""); status != http.StatusUnauthorized {
		t.Errorf("without a token: %d, want 401", status)
	}

	write(t, dir, "orders.yaml", policyFor(issuer, "boss"))
	p.eventually(t, "the new rules refuse the clerk", func() bool { got, _ := p.about(t, "/orders/7", token); return got == http.StatusForbidden })
	write(t, dir, "orders.yaml", strings.Replace(policyFor(issuer, "clerk"), "  rules:", "  cors: {origins: ['https://page.example']}\n  rules:", 1))
	p.eventually(t, "what cannot be enforced is logged", func() bool {
		return strings.Contains(p.log.String(), "spec.cors: a gateway cannot be told what the app's answers are to say; --gateway-does cors")
	})
	if got, _ := p.about(t, "/orders/7", token); got != http.StatusForbidden {
		t.Errorf("then %d, want 403 by the last good rules", got)
	}

	_, metrics := fetch(t, p.admin+"/metrics", "")
	if !strings.Contains(metrics, `bearerguard_requests_total{decision="allow",policy="default/orders",reason="Allowed",rule="`) {
		t.Errorf("metrics lack something:\n%.2000s", metrics)
	}
	if !strings.Contains(metrics, `bearerguard_checks_total{decision="allow",protocol="forward-auth"} `) {
		t.Error("metrics do not say how it was asked")
	}
	p.stop(t)
	for name, text := range map[string]string{"the log": p.log.String(), "the metrics": metrics} {
		for _, canary := range []string{"canary-claim", token[strings.LastIndexByte(token, '.')+1:], `"kty"`} {
			if strings.Contains(text, canary) {
				t.Errorf("%q is in %s", canary, name)
			}
		}
	}
	if !strings.Contains(p.log.String(), `"protocol":"forward-auth"`) {
		t.Errorf("the log does not say who asks:\n%s", p.log)
	}
}

func TestServePushedWithoutAController(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "ca.crt", "none yet")
	write(t, dir, "token", "canary-token")
	p := startServe(t, "--push", "127.0.0.1:1", "--push-ca", filepath.Join(dir, "ca.crt"), "--push-token", filepath.Join(dir, "token"), "--state-dir", dir)
	if got := p.get(t, p.admin+"/readyz", ""); got != http.StatusServiceUnavailable {
		t.Errorf("readyz = %d, want 503", got)
	}
	if got, _ := p.about(t, "/orders", ""); got != http.StatusServiceUnavailable {
		t.Errorf("answered %d, want 503", got)
	}
	p.stop(t)
}

func TestServeRefusesToStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "orders.yaml", strings.Replace(policyFor(gatetest.NewIssuer("https://corp.example", "one"), "clerk"), "  rules:", "  streams: {onExpiry: Close}\n  rules:", 1))
	for want, args := range map[string][]string{
		"give --ext-authz ADDRESS":        {"--policies", dir},
		"--forward-auth-headers: \"\" is": {"--policies", dir, "--forward-auth", "127.0.0.1:0"},
		"--gateway-does: \"all\" is not":  {"--policies", dir, "--forward-auth", "127.0.0.1:0", "--forward-auth-headers", "x-original", "--gateway-does", "all"},
		"--app-port: is 70000":            {"--policies", dir, "--forward-auth", "127.0.0.1:0", "--forward-auth-headers", "x-original", "--app-port", "70000"},
		"unknown flag: --listen":          {"--policies", dir, "--listen", ":0"},
		"spec.streams.onExpiry: ":         {"--policies", dir, "--forward-auth", "127.0.0.1:0", "--forward-auth-headers", "x-original"},
	} {
		out, err := exec.CommandContext(t.Context(), program, append([]string{"serve", "--admin", ""}, args...)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%v: %v\n%s\nwant a failure with %s", args, err, out, want)
		}
	}
}

// A question about a token with a key that is not known yet waits for it, as a request through a sidecar does.
func TestServeWaitsForRotatedKeys(t *testing.T) {
	t.Parallel()
	provider := newProvider(t)
	dir := t.TempDir()
	write(t, dir, "orders.yaml", provider.policy())
	p := startServe(t, "--policies", dir, "--key-allow-http", "--key-allow-nets", "127.0.0.0/8")
	next := gatetest.NewIssuer("https://corp.example", "two")
	if got, _ := p.about(t, "/", provider.signer.Load().Token(time.Now(), nil)); got != http.StatusOK {
		t.Errorf("with a known key: %d", got)
	}
	provider.signer.Store(next)
	if got, _ := p.about(t, "/", next.Token(time.Now(), nil)); got != http.StatusOK {
		t.Errorf("with a new key: %d, want 200 at the first question\n%s", got, p.log)
	}
	if got, _ := p.about(t, "/", gatetest.NewIssuer("https://corp.example", "made-up").Token(time.Now(), nil)); got != http.StatusUnauthorized {
		t.Errorf("with a key that is not there: %d", got)
	}
}

// Once told to stop, it goes on answering for --drain-wait, and says that it is not ready.
func TestServeDrains(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "orders.yaml", policyFor(gatetest.NewIssuer("https://corp.example", "one"), "clerk"))
	p := startServe(t, "--policies", dir, "--drain-wait", "2s")
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.eventually(t, "it is not ready", func() bool { return p.get(t, p.admin+"/readyz", "") == http.StatusServiceUnavailable })
	if got, _ := p.about(t, "/public", ""); got != http.StatusOK {
		t.Errorf("while it drains: %d", got)
	}
	select {
	case err := <-p.exited:
		if err != nil {
			t.Errorf("ended with %v\n%s", err, p.log)
		}
	case <-time.After(patience):
		t.Error("it does not end")
	}
}
