package main

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"time"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/credential"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/introspect"
)

// opaque prints what a judgement costs of an opaque token whose answer is known, and of one that its issuer has to be asked about, beside
// that of a known JWT. The issuer is a TLS server on loopback in this process, on connections that are kept: its own work is in the figure,
// a network's time is not.
func opaque(out io.Writer) error {
	k, err := newKey("ES256")
	if err != nil {
		return err
	}
	signed, err := k.token(time.Now(), "ES256")
	if err != nil {
		return err
	}
	jwt, err := judgement(k, signed, 1, rule)
	if err != nil {
		return err
	}
	desk := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"active":true,"sub":"alice","aud":"orders","scope":"orders.read orders.write","exp":%d}`, time.Now().Add(time.Hour).Unix())
	}))
	defer desk.Close()
	g, err := askingGate(desk)
	if err != nil {
		return err
	}
	asked := 0
	ask := func(raw string) bool {
		return g.JudgeWaiting(context.Background(), request("/service-0/orders/77?page=2", raw)).Forward
	}
	if !ask("known") {
		return errors.New("an opaque token is refused")
	}
	known := request("/service-0/orders/77?page=2", "known")
	times := fastest(jwt, func() { g.Judge(known) }, func() {
		asked++
		ask("t" + strconv.Itoa(asked))
	})
	fmt.Fprintln(out, "one request, us\ta known JWT\ta known opaque token\tone that its issuer is asked about (TLS on loopback)\t")
	fmt.Fprintf(out, "\t%s\t%s\t%s\t\n", us(times[0]), us(times[1]), us(times[2]))
	return nil
}

// askingGate is a gate whose issuer is asked.
func askingGate(desk *httptest.Server) (*gate.Gate, error) {
	is := policy.Issuer{
		Name: "corp", Issuer: desk.URL, Audiences: []string{"orders"},
		Introspection: &policy.Introspection{
			URL: desk.URL + "/introspect", CredentialsSecretRef: policy.SecretRef{Name: "bench"},
			CacheTTL: &policy.Duration{Duration: 10 * time.Minute},
		},
	}
	o := bundle.Object{Namespace: "shop", Name: "orders", Spec: policy.Spec{
		Mode: policy.Enforce, Issuers: []policy.Issuer{is}, Rules: []policy.Rule{{Name: "all", Allow: &policy.Allow{Authenticated: true}}},
	}}
	shown := credential.Credential{ClientID: "bench", ClientSecret: "bench", Rules: credential.Rules{
		CA:        string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: desk.Certificate().Raw})),
		AllowNets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
	}}
	keys := map[string]bundle.KeySet{bundle.IntrospectionID("shop", is): {JWKS: shown.Encode()}}
	pool := introspect.NewPool(introspect.Options{})
	s, err := gate.NewSnapshot(bundle.Assemble([]bundle.Object{o}, keys), "bench", gate.SnapshotOptions{
		Endpoints: func(all []gate.Asked) ([]gate.Endpoint, error) {
			open, err := pool.Open([]introspect.Wanted{introspect.Wanted(all[0])})
			if err != nil {
				return nil, err
			}
			return []gate.Endpoint{open[0]}, nil
		},
	})
	if err != nil {
		return nil, err
	}
	g := gate.New(gate.Options{})
	g.Swap(s)
	return g, nil
}
