package push_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/controllers/push"
)

const clusterIssuer = "https://kubernetes.default.svc.cluster.local"

// clusterKey signs as an API server does.
type clusterKey struct {
	kid string
	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
}

func newClusterKey(t *testing.T, kid, alg string) clusterKey {
	t.Helper()
	var err error
	k := clusterKey{kid: kid}
	if alg == "RS256" {
		k.rsa, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		k.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (k clusterKey) jwk() string {
	if k.rsa != nil {
		return fmt.Sprintf(`{"kty":"RSA","kid":%q,"use":"sig","alg":"RS256","n":%q,"e":"AQAB"}`, k.kid, b64(k.rsa.N.Bytes()))
	}
	point, _ := k.ec.PublicKey.Bytes()
	return fmt.Sprintf(`{"kty":"EC","crv":"P-256","kid":%q,"use":"sig","alg":"ES256","x":%q,"y":%q}`, k.kid, b64(point[1:33]), b64(point[33:]))
}

// claims are those of a token of pod a, good for an hour, but for what is changed.
func claims(change map[string]any) map[string]any {
	now := time.Now()
	out := map[string]any{
		"aud": []string{push.Audience}, "iss": clusterIssuer, "sub": "system:serviceaccount:shop:default",
		"exp": now.Add(time.Hour).Unix(), "iat": now.Unix(), "nbf": now.Unix(),
		"kubernetes.io": map[string]any{
			"namespace": "shop", "pod": map[string]any{"name": "a", "uid": "uid-a"},
			"serviceaccount": map[string]any{"name": "default", "uid": "uid-default"},
		},
	}
	maps.Copy(out, change)
	return out
}

// sign makes a token; header changes the header.
func (k clusterKey) sign(t *testing.T, claims, header map[string]any) string {
	t.Helper()
	h := map[string]any{"alg": "ES256", "kid": k.kid}
	if k.rsa != nil {
		h["alg"] = "RS256"
	}
	maps.Copy(h, header)
	text := encode(t, h) + "." + encode(t, claims)
	digest := sha256.Sum256([]byte(text))
	if k.rsa != nil {
		sig, err := rsa.SignPKCS1v15(rand.Reader, k.rsa, crypto.SHA256, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		return text + "." + b64(sig)
	}
	r, s, err := ecdsa.Sign(rand.Reader, k.ec, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + b64(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

func encode(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b64(text)
}

// population is who lives.
type population map[string]string

func (p population) Lives(_ context.Context, namespace string, pod, account push.Named) bool {
	return p[namespace+"/pod/"+pod.Name] == pod.UID && p[namespace+"/account/"+account.Name] == account.UID
}

// refuser is an API server that refuses all that it is asked.
type refuser struct{ asked atomic.Int32 }

func (r *refuser) Review(context.Context, string) (push.Identity, error) {
	r.asked.Add(1)
	return push.Identity{}, fmt.Errorf("%w: says the API server", push.ErrRefused)
}

func TestTokensAreVerifiedWithoutTheAPIServer(t *testing.T) {
	t.Parallel()
	ec, rs, stranger := newClusterKey(t, "ec", "ES256"), newClusterKey(t, "rs", "RS256"), newClusterKey(t, "ec", "ES256")
	unknown := newClusterKey(t, "unknown", "ES256")
	bound := func(pod, uid, account, accountUID string) map[string]any {
		return map[string]any{"kubernetes.io": map[string]any{
			"namespace": "shop", "pod": map[string]any{"name": pod, "uid": uid},
			"serviceaccount": map[string]any{"name": account, "uid": accountUID},
		}}
	}
	der, err := x509.MarshalPKIXPublicKey(&rs.rsa.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	hs := encode(t, map[string]any{"alg": "HS256", "kid": "rs"}) + "." + encode(t, claims(nil))
	mac := hmac.New(sha256.New, public)
	mac.Write([]byte(hs))
	hs += "." + b64(mac.Sum(nil))
	good := ec.sign(t, claims(nil), nil)
	parts := strings.Split(good, ".")
	other := encode(t, claims(bound("b", "uid-b", "default", "uid-default")))
	ago := time.Now().Add(-time.Minute).Unix()
	for name, tc := range map[string]struct {
		token string
		good  bool
		asks  int32 // the API server, which refuses
	}{
		"by an EC key":                        {good, true, 0},
		"by an RSA key":                       {rs.sign(t, claims(nil), nil), true, 0},
		"one audience, not a list":            {ec.sign(t, claims(map[string]any{"aud": push.Audience}), nil), true, 0},
		"for the API server":                  {ec.sign(t, claims(map[string]any{"aud": []string{clusterIssuer}}), nil), false, 0},
		"for no audience":                     {ec.sign(t, claims(map[string]any{"aud": []string{}}), nil), false, 0},
		"expired":                             {ec.sign(t, claims(map[string]any{"exp": ago}), nil), false, 0},
		"without an end":                      {ec.sign(t, claims(map[string]any{"exp": nil}), nil), false, 0},
		"not valid yet by our clock":          {ec.sign(t, claims(map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}), nil), false, 1},
		"of a pod that is gone":               {ec.sign(t, claims(bound("gone", "uid-gone", "default", "uid-default")), nil), false, 1},
		"of a pod that was made again":        {ec.sign(t, claims(bound("a", "uid-before", "default", "uid-default")), nil), false, 1},
		"of an account that was made again":   {ec.sign(t, claims(bound("a", "uid-a", "default", "uid-before")), nil), false, 1},
		"bound to no pod":                     {ec.sign(t, claims(bound("", "", "default", "uid-default")), nil), false, 0},
		"of another subject":                  {ec.sign(t, claims(map[string]any{"sub": "system:serviceaccount:shop:admin"}), nil), false, 0},
		"of another issuer":                   {ec.sign(t, claims(map[string]any{"iss": "https://old.example"}), nil), false, 1},
		"other claims under a good signature": {parts[0] + "." + other + "." + parts[2], false, 0},
		"forged with another key":             {stranger.sign(t, claims(nil), nil), false, 0},
		"by a key that is not known":          {unknown.sign(t, claims(nil), nil), false, 1},
		"without a key id":                    {ec.sign(t, claims(nil), map[string]any{"kid": ""}), false, 1},
		"alg none":                            {encode(t, map[string]any{"alg": "none", "kid": "ec"}) + "." + parts[1] + ".", false, 0},
		"alg none with a signature":           {encode(t, map[string]any{"alg": "none", "kid": "ec"}) + "." + parts[1] + "." + parts[2], false, 0},
		"HS256 with the public key":           {hs, false, 0},
		"RS256 in the name of an EC key":      {rs.sign(t, claims(nil), map[string]any{"kid": "ec"}), false, 0},
		"a critical header":                   {ec.sign(t, claims(nil), map[string]any{"crit": []string{"x"}, "x": 1}), false, 0},
		"no token":                            {"a.b.c", false, 0},
	} {
		api := &refuser{}
		l := &push.LocalReviewer{
			Keys: func(context.Context) (string, []byte, error) {
				return clusterIssuer, []byte(`{"keys":[` + ec.jwk() + "," + rs.jwk() + `]}`), nil
			},
			Live: population{"shop/pod/a": "uid-a", "shop/pod/b": "uid-b", "shop/account/default": "uid-default"}, Else: api,
		}
		id, err := l.Review(t.Context(), tc.token)
		if (err == nil) != tc.good || api.asked.Load() != tc.asks {
			t.Errorf("%s: %v, %v; asked the API server %d times, want %d", name, id, err, api.asked.Load(), tc.asks)
		}
		if err != nil && !errors.Is(err, push.ErrRefused) {
			t.Errorf("%s: %v is no refusal", name, err)
		}
		if err == nil && (id.Namespace != "shop" || id.Pod != "a" || id.UID != "uid-a" || id.Expires.IsZero()) {
			t.Errorf("%s: is %+v", name, id)
		}
	}
}

// The keys are read once for all, again for a token of a new key, and are used no longer than an hour if they cannot be read.
func TestTheClustersKeysAreReadWhenNeeded(t *testing.T) {
	t.Parallel()
	first, second := newClusterKey(t, "first", "ES256"), newClusterKey(t, "second", "ES256")
	synctest.Test(t, func(t *testing.T) {
		jwks, down, reads := first.jwk(), false, 0
		api := &refuser{}
		l := &push.LocalReviewer{
			Keys: func(context.Context) (string, []byte, error) {
				if reads++; down {
					return "", nil, errors.New("down")
				}
				return clusterIssuer, []byte(`{"keys":[` + jwks + `]}`), nil
			},
			Live: population{"shop/pod/a": "uid-a", "shop/account/default": "uid-default"}, Else: api,
		}
		good := func(k clusterKey, want bool) {
			t.Helper()
			if _, err := l.Review(t.Context(), k.sign(t, claims(nil), nil)); (err == nil) != want {
				t.Errorf("%s: %v", k.kid, err)
			}
		}
		for range 1000 {
			good(first, true)
		}
		if reads != 1 || api.asked.Load() != 0 {
			t.Errorf("a thousand tokens: keys read %d times, API server asked %d times", reads, api.asked.Load())
		}
		for range 1000 {
			good(second, false)
		}
		if reads != 1 {
			t.Errorf("a thousand unknown keys at once: read %d times", reads)
		}
		jwks = first.jwk() + "," + second.jwk()
		time.Sleep(11 * time.Second)
		good(second, true)
		down = true
		time.Sleep(50 * time.Minute)
		good(first, true)
		time.Sleep(20 * time.Minute)
		good(first, false)
		down = false
		time.Sleep(11 * time.Second)
		good(first, true)
	})
}
