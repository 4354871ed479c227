package proxy

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// slowIssuer signs by ES512: to find that a signature is none of its takes milliseconds.
func slowIssuer(t *testing.T) policy.Issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	x, y := base64.RawURLEncoding.EncodeToString(point[1:67]), base64.RawURLEncoding.EncodeToString(point[67:])
	return policy.Issuer{Name: "slow", Issuer: "https://slow.example.com", Audiences: []string{"orders"}, Keys: policy.KeySource{
		JWKS: fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-521","alg":"ES512","kid":"s","x":%q,"y":%q}]}`, x, y),
	}}
}

// slowForgery is a token of that issuer with a signature of the right form.
func slowForgery(t *testing.T, jti string) string {
	t.Helper()
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	sig := make([]byte, 132)
	sig[65], sig[131] = 7, 9
	return part(map[string]any{"alg": "ES512", "kid": "s"}) + "." + part(map[string]any{
		"iss": "https://slow.example.com", "aud": "orders", "sub": "mallory", "jti": jti, "exp": time.Now().Add(time.Hour).Unix(),
	}) + "." + base64.RawURLEncoding.EncodeToString(sig)
}

// TestTokensThatTakeLongHoldNobody is about one processor, and so about one loop. It is not parallel, since it changes how many there are.
func TestTokensThatTakeLongHoldNobody(t *testing.T) {
	was := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(was)
	const flood = 12 // with the race detector, each takes a fifth of a second
	spec := orders()
	spec.Issuers = append(spec.Issuers, slowIssuer(t))
	g := protect(t, echo(t).URL, nil, gatetest.Policy("orders", spec))
	send := func(c net.Conn, token string) {
		if _, err := fmt.Fprintf(c, "GET /orders/1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", token); err != nil {
			t.Fatal(err)
		}
	}
	status := func(c net.Conn) int {
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	var floods []net.Conn
	for range flood {
		floods = append(floods, dial(t, g.addr))
	}
	other := dial(t, g.addr)
	for i, c := range floods {
		send(c, slowForgery(t, fmt.Sprint(i)))
	}
	send(other, corp.Token(time.Now(), nil))
	if got := status(other); got != http.StatusOK {
		t.Errorf("the other client got %d", got)
	}
	for _, c := range floods {
		if got := status(c); got != http.StatusUnauthorized {
			t.Errorf("a forged token got %d", got)
		}
	}
	all := g.observer.reasons()
	if at := slices.Index(all, string(decision.Allowed)); len(all) != flood+1 || at < 0 || at > flood/2 {
		t.Logf("loops were held %d times", g.Held())
		t.Errorf("the other client came %dth of %d", at+1, len(all))
	}
}
