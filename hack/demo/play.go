package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// scene is what the acts need.
type scene struct {
	minter            minter
	url               string // of the sidecar
	samples, policies string // directories
}

// act is one request and the answer that it must get.
type act struct {
	method, target string
	header         http.Header // beside the token
	says           string      // what the token is, for people
	token          *recipe     // nil: none
	want           answered
}

// answered is the part of an answer that counts.
type answered struct {
	status int
	why    string // the reason in a refusal's body, or the app's own text
	detail string // the words for people in a refusal's body; not compared
}

// is compares what counts.
func (a answered) is(want answered) bool { return a.status == want.status && a.why == want.why }

const (
	appSeesAlice  = "hello alice (reader)"
	appSeesNobody = "hello nobody"
)

func allowed(text string) answered { return answered{status: http.StatusOK, why: text} }

func refused(status int, reason string) answered { return answered{status: status, why: reason} }

// acts is the demo. Each line is one thing that a newcomer wants to see once.
func acts() []act {
	var (
		alice   = good()
		forged  = replaced("--key", "attacker.json")
		expired = good("--issued-at", "-2h", "--expires-in", "-1h")
		other   = replaced("--aud", "payments")
		none    = unsigned()
		nested  = good("--encrypt-key", "encryption.json", "--enc", "A256GCM")
		guest   = replaced("--claim", `realm_access={"roles":["guest"]}`)
		admin   = replaced("--claim", `realm_access={"roles":["admin"]}`)
		spoof   = http.Header{"X-User": {"root"}, "X_user": {"root"}, "X-Roles": {"admin"}}
	)
	return []act{
		{method: "GET", target: "/orders", says: "none", want: refused(401, "NoToken")},
		{method: "GET", target: "/healthz", says: "none (the path is public)", want: allowed(appSeesNobody)},
		{method: "GET", target: "/orders/7", says: "alice's, a reader", token: &alice, want: allowed(appSeesAlice)},
		{method: "GET", target: "/orders/7", says: "alice's, signed and encrypted", token: &nested, want: allowed(appSeesAlice)},
		{method: "GET", target: "/orders/7", says: "forged: another key signed it", token: &forged, want: refused(401, "BadSignature")},
		{method: "GET", target: "/orders/7", says: "forged: alg none, no signature", token: &none, want: refused(401, "Unsigned")},
		{method: "GET", target: "/orders/7", says: "alice's, expired an hour ago", token: &expired, want: refused(401, "Expired")},
		{method: "GET", target: "/orders/7", says: "alice's, meant for payments", token: &other, want: refused(401, "WrongAudience")},
		{method: "GET", target: "/orders/7", says: "genuine, but a guest's", token: &guest, want: refused(403, "NoRule")},
		{method: "DELETE", target: "/orders/7", says: "alice's, who may only read", token: &alice, want: refused(403, "NoRule")},
		{method: "DELETE", target: "/orders/7", says: "an admin's, without that scope", token: &admin, want: refused(403, "InsufficientScope")},
		{method: "GET", target: "/users/alice/cart", says: "alice's, at her own place", token: &alice, want: allowed(appSeesAlice)},
		{method: "GET", target: "/users/bob/cart", says: "alice's, at bob's place", token: &alice, want: refused(403, "NoRule")},
		{method: "GET", target: "/docs/../orders", says: "none, by way of a public path", want: refused(401, "NoToken")},
		{method: "GET", target: "/docs/..%2forders", says: "none, the same in disguise", want: refused(400, "BadPath")},
		{method: "GET", target: "/orders/7", says: "alice's + header X-User: root", token: &alice, header: spoof, want: allowed(appSeesAlice)},
		{method: "GET", target: "/healthz", says: "none + header X-User: root", header: spoof, want: allowed(appSeesNobody)},
	}
}

// play runs the acts and the revocation, prints a line for each, and reports whether all went as they must.
func play(ctx context.Context, out io.Writer, s scene) (bool, error) {
	t := newTable(out)
	for _, a := range acts() {
		got, err := s.perform(ctx, a)
		if err != nil {
			return false, fmt.Errorf("%s %s with token %q: %w", a.method, a.target, a.says, err)
		}
		t.line(a, got)
	}
	if err := s.revoke(ctx, t); err != nil {
		return false, err
	}
	t.end()
	return t.wrong == 0, nil
}

// revoke shows a token before and after a TokenRevocation takes it back, while the sidecar runs.
func (s scene) revoke(ctx context.Context, t *table) error {
	lost := good("--jti", "lost-laptop-2026-11-25")
	a := act{method: "GET", target: "/orders/7", says: "alice's, on a laptop she loses", token: &lost, want: allowed(appSeesAlice)}
	got, err := s.perform(ctx, a)
	if err != nil {
		return err
	}
	t.line(a, got)
	token, err := s.minter.mint(ctx, lost)
	if err != nil {
		return err
	}
	a.says, a.want = "the same, now revoked", refused(401, "Revoked")
	start := time.Now()
	if err := copyFile(s.samples, s.policies, "tokenrevocation.yaml"); err != nil {
		return err
	}
	waitFor(ctx, 5*time.Second, func() bool {
		got, err = s.send(ctx, a, token)
		return err != nil || got.is(a.want)
	})
	if err != nil {
		return err
	}
	t.line(a, got)
	t.note("tokenrevocation.yaml was copied into the directory; it took effect after %d ms.", time.Since(start).Milliseconds())
	return nil
}

// perform mints the token and sends the request.
func (s scene) perform(ctx context.Context, a act) (answered, error) {
	token := ""
	if a.token != nil {
		var err error
		if token, err = s.minter.mint(ctx, *a.token); err != nil {
			return answered{}, err
		}
	}
	return s.send(ctx, a, token)
}

func (s scene) send(ctx context.Context, a act, token string) (answered, error) {
	req, err := http.NewRequestWithContext(ctx, a.method, s.url, nil)
	if err != nil {
		return answered{}, err
	}
	req.URL.Opaque = a.target // as it stands: a client must not tidy it up
	for name, values := range a.header {
		req.Header[name] = values
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := client().Do(req)
	if err != nil {
		return answered{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return answered{}, err
	}
	return read(resp, body)
}

// read takes the reason and the words from a refusal (RFC 9457 problem document), or the app's text.
func read(resp *http.Response, body []byte) (answered, error) {
	a := answered{status: resp.StatusCode, why: strings.TrimSpace(string(body))}
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json") {
		return a, nil
	}
	var problem struct{ Reason, Detail string }
	if err := json.Unmarshal(body, &problem); err != nil {
		return a, fmt.Errorf("read the problem document: %w", err)
	}
	a.why, a.detail = problem.Reason, problem.Detail
	return a, nil
}

// client talks to loopback only: no proxy, no redirects, a time limit.
func client() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       10 * time.Second,
	}
}
