package source_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jwt"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/source"
)

// A standalone sidecar takes JWT-SVIDs by the bundle in a ConfigMap that is a file, and by the next one once it is there.
func TestStandaloneSVIDs(t *testing.T) {
	t.Parallel()
	dir, s := t.TempDir(), newSink()
	old, next := newAuthority(t), newAuthority(t)
	write(t, dir, "a.yaml", strings.Replace(authPolicy("a", "{spiffe: {trustDomain: example.org, configMapRef: {name: mesh, key: bundle}}}"), "    issuer: https://corp.example\n", "", 1))
	write(t, dir, "b.yaml", configMap("mesh", "bundle", old.bundle(t)))
	start(t, source.DirConfig{Path: dir, Apply: s.apply, Log: s.log})
	judge := func(b *bundle.Bundle, a authority, sub string) bool {
		snapshot, err := gate.NewSnapshot(b, "test", gate.SnapshotOptions{})
		if err != nil {
			t.Fatal(err)
		}
		g := gate.New(gate.Options{})
		g.Revoke(&revoked.Set{})
		g.Swap(snapshot)
		v := g.Judge(&gate.Request{
			Method: "GET", Target: "/", Host: "a.example", Header: http.Header{"Authorization": {"Bearer " + a.svid(t, sub)}}, Time: time.Now(),
		})
		return v.Forward
	}
	const cart = "spiffe://example.org/ns/shop/sa/cart"
	if b := s.next(t); !judge(b, old, cart) || judge(b, next, cart) || judge(b, old, "spiffe://example.com/ns/shop/sa/cart") {
		t.Error("the first bundle is not what tokens are judged by")
	}
	write(t, dir, "b.yaml", configMap("mesh", "bundle", next.bundle(t)))
	if b := s.next(t); judge(b, old, cart) || !judge(b, next, cart) {
		t.Error("the next bundle is not what tokens are judged by")
	}
}

func configMap(name, key, value string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\ndata:\n  " + key + ": '" + value + "'\n"
}

// authority signs JWT-SVIDs.
type authority struct{ jwk.Key }

func newAuthority(t *testing.T) authority {
	t.Helper()
	raw, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := jwk.FromRaw(raw)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = key.Set(jwk.KeyIDKey, "a"), key.Set(jwk.KeyUsageKey, "jwt-svid")
	return authority{key}
}

// bundle is that of the trust domain (SPIFFE Trust Domain and Bundle section 4).
func (a authority) bundle(t *testing.T) string {
	t.Helper()
	public, err := a.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(map[string]any{"spiffe_sequence": 1, "keys": []jwk.Key{public}})
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func (a authority) svid(t *testing.T, id string) string {
	t.Helper()
	token, err := jwt.NewBuilder().Subject(id).Audience([]string{"orders"}).Expiration(time.Now().Add(time.Hour)).Build()
	if err != nil {
		t.Fatal(err)
	}
	out, err := jwt.Sign(token, jwt.WithKey(jwa.ES256, a.Key))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
