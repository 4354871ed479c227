package traces

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	trace "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/bearerguard/bearerguard/hack/freeport"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// childOfJudge returns the span of a name below the judgement of a request.
func childOfJudge(c *collected, id, name string) (span, bool) {
	_, below := c.server(id)
	judge := slices.IndexFunc(below, func(s span) bool { return s.name == "judge" })
	child := slices.IndexFunc(below, func(s span) bool { return s.name == name })
	if judge < 0 || child < 0 {
		return span{}, false
	}
	return below[child], below[child].parent == below[judge].id && below[child].took <= below[judge].took
}

// The time for which the issuer was asked about an opaque token is a span of its own, below the judgement.
func TestTheIssuerIsAsked(t *testing.T) {
	t.Parallel()
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"active":true,"iss":"https://opaque.example","aud":"orders","sub":"alice-secret-subject","scope":"orders.read","exp":%d}`, time.Now().Add(time.Hour).Unix())
	}))
	t.Cleanup(issuer.Close)
	dir := folder(t, `apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: orders}
spec:
  issuers:
  - name: opaque
    issuer: https://opaque.example
    audiences: [orders]
    introspection: {url: "`+issuer.URL+`", credentialsSecretRef: {name: introspection}}
  rules: [{name: read, allow: {scopes: [orders.read]}}]
---
apiVersion: v1
kind: Secret
metadata: {name: introspection}
stringData: {client_id: orders, client_secret: issuer-secret}
`)
	c, a := newCollector(t, "http/protobuf"), newApp(t)
	p := guardBy(t, dir, a.url, nil, "--trace-endpoint", c.url, "--trace-ratio", "1", "--key-allow-http", "--key-allow-nets", "127.0.0.0/8")
	header := map[string]string{"Authorization": "Bearer opaque-secret-token"}
	for _, id := range []string{"asked", "known"} {
		if status, body := fetch(t, http.DefaultClient, p.url+"/orders/7", id, header); status != http.StatusOK {
			t.Fatal(status, body, p.log.String())
		}
	}
	p.stop(t)
	if asked, ok := childOfJudge(c, "asked", "ask issuer"); !ok || asked.kind != trace.Span_SPAN_KIND_INTERNAL {
		t.Errorf("%+v", asked)
	}
	if again, ok := childOfJudge(c, "known", "ask issuer"); ok {
		t.Errorf("the issuer was not asked again, but %+v", again)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.batches {
		if strings.Contains(b.String(), "secret") {
			t.Errorf("a secret is in %s", b)
		}
	}
}

// The time for which a request waited for newer keys is a span of its own, below the judgement.
func TestKeysAreWaitedFor(t *testing.T) {
	t.Parallel()
	old := gatetest.NewIssuer("https://rotates.example", "k1")
	newer := gatetest.NewIssuer("https://rotates.example", "k2")
	var jwks atomic.Value
	jwks.Store(old.JWKS())
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, jwks.Load()) }))
	t.Cleanup(keys.Close)
	dir := folder(t, `apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: orders}
spec:
  issuers: [{name: rotates, issuer: "https://rotates.example", audiences: [orders], keys: {jwksURL: "`+keys.URL+`"}}]
  rules: [{name: read, allow: {authenticated: true}}]
`)
	c, a := newCollector(t, "http/protobuf"), newApp(t)
	p := guardBy(t, dir, a.url, nil, "--trace-endpoint", c.url, "--trace-ratio", "1", "--key-allow-http", "--key-allow-nets", "127.0.0.0/8")
	jwks.Store(newer.JWKS())
	header := map[string]string{"Authorization": "Bearer " + newer.Token(time.Now(), nil)}
	if status, body := fetch(t, http.DefaultClient, p.url+"/orders/7", "rotated", header); status != http.StatusOK {
		t.Fatal(status, body, p.log.String())
	}
	p.stop(t)
	if waited, ok := childOfJudge(c, "rotated", "wait for keys"); !ok {
		own, below := c.server("rotated")
		t.Errorf("%+v %+v %+v", waited, own, below)
	}
}

// A gateway that asks by HTTP gets a verdict, and the collector a span that says so, in the trace that the client began.
func TestAGatewayAsks(t *testing.T) {
	t.Parallel()
	c, listen := newCollector(t, "http/protobuf"), freeport.For(t)
	p := start(t, nil, "serve", "--forward-auth", listen, "--forward-auth-headers", "x-forwarded", "--trace-endpoint", c.url, "--trace-ratio", "0")
	about := map[string]string{"X-Forwarded-Method": "GET", "X-Forwarded-Uri": "/orders/7", "X-Forwarded-Host": "shop.example", "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1"}
	for id, header := range map[string]map[string]string{"yes": token(), "no": nil} {
		status, _ := fetch(t, http.DefaultClient, "http://"+listen+"/", id, with(about, header, map[string]string{"Traceparent": parentOf(id)}))
		if want := map[string]int{"yes": http.StatusOK, "no": http.StatusUnauthorized}[id]; status != want {
			t.Fatalf("%s: status %d\n%s", id, status, p.log.String())
		}
	}
	p.stop(t)
	all, _ := c.spans()
	for id, want := range map[string]string{"yes": "allow", "no": "deny"} {
		i := slices.IndexFunc(all, func(s span) bool { return s.trace == traceOf(id) && s.kind == trace.Span_SPAN_KIND_SERVER })
		if i < 0 || all[i].attrs["bearerguard.decision"] != want || all[i].attrs["bearerguard.asked_by"] != "forward-auth" || all[i].parent != parentSpan {
			t.Errorf("%s: %+v", id, all)
		}
	}
}

// The span of an upgrade ends with the upgrade, whose status is 101, however long the connection lasts.
func TestTheSpanOfAWebSocket(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		line, _ := rw.ReadString('\n')
		fmt.Fprint(conn, "heard "+line)
	}))
	t.Cleanup(app.Close)
	c := newCollector(t, "http/protobuf")
	p := guardBy(t, policies(t), app.URL, nil, "--trace-endpoint", c.url, "--trace-ratio", "1")
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(t.Context(), "tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "GET /public HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nX-Request-Id: socket\r\n\r\n")
	r := bufio.NewReader(conn)
	if head, err := r.ReadString('\n'); err != nil || !strings.Contains(head, "101") {
		t.Fatal(head, err)
	}
	for line := ""; line != "\r\n" && err == nil; {
		line, err = r.ReadString('\n')
	}
	eventually(t, "the span has come while the connection is open", func() bool { own, _ := c.server("socket"); return own.id != "" })
	fmt.Fprint(conn, "hello\n")
	if line, err := r.ReadString('\n'); err != nil || line != "heard hello\n" {
		t.Fatal(line, err)
	}
	own, below := c.server("socket")
	if own.attrs["http.response.status_code"] != int64(101) || own.failed || own.attrs["bearerguard.decision"] != "allow" || len(below) != 2 {
		t.Errorf("%+v %+v", own, below)
	}
}
