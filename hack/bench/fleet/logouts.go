package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/revoked"
)

// What a million entries are made of: chunks as the merging of small ones leaves them, and as many as sources may have.
const (
	logoutChunks, logoutEach = 31, 31_903
	logoutEntries            = logoutChunks * logoutEach // 988,993
	logoutSidecars           = 100
	wantLogout               = time.Second
	logoutBurst              = 900
)

// manyLogouts measures what an identity provider takes back, from the port for events to the last of 100 sidecars.
func manyLogouts(ctx context.Context, b *bench) error {
	const namespace = "logouts"
	done, err := b.alone(ctx, namespace)
	defer done()
	if err != nil {
		return err
	}
	p, err := newLogoutProvider()
	if err != nil {
		return err
	}
	if err := b.cluster.client.Create(ctx, object("AuthPolicy", namespace, "p0", policySpec(map[string]any{"app": "fleet"}, secretKeys, 4))); err != nil {
		return err
	}
	source := object("RevocationSource", namespace, "login", map[string]any{
		"issuer": issuer, "audiences": []any{"fleet"}, "keys": map[string]any{"jwks": p.jwks}, "backChannelLogout": map[string]any{},
	})
	if err := b.cluster.client.Create(ctx, source); err != nil {
		return err
	}
	pods, err := b.cluster.pods(ctx, namespace, logoutSidecars, func(int) map[string]string { return map[string]string{"app": "fleet"} })
	if err != nil {
		return err
	}
	f, err := b.launch(ctx, pods)
	defer f.stop()
	if err != nil {
		return err
	}
	stored, err := throughThePort(ctx, b, f, p)
	if err != nil {
		return err
	}
	if err := millionOf(ctx, b, f, source, logoutEntries-stored); err != nil {
		return err
	}
	<-time.After(3 * time.Second)
	if err := oneLogout(ctx, b, f, p); err != nil {
		return err
	}
	return burstOfLogouts(ctx, b, f, p, source)
}

// millionOf measures how the rest of a million entries gets from the API server to the sidecars.
func millionOf(ctx context.Context, b *bench, f *fleet, source *unstructured.Unstructured, rest int) error {
	if rest == 0 {
		return nil
	}
	bytes, cpu, began := f.process().received(), b.controller.process().cpu(), time.Now()
	for i := range logoutChunks {
		first, next := i*rest/logoutChunks, (i+1)*rest/logoutChunks
		chunk := object("RevocationChunk", source.GetNamespace(), fmt.Sprintf("chunk%d", i), map[string]any{
			"source": source.GetName(), "entries": base64.StdEncoding.EncodeToString(logoutRecords(first, next-first).Bytes()),
			"lastEvent": metav1.NowMicro().UTC().Format("2006-01-02T15:04:05.000000Z"),
		})
		chunk.SetOwnerReferences([]metav1.OwnerReference{{
			APIVersion: "bearerguard.dev/v1alpha1", Kind: "RevocationSource", Name: source.GetName(), UID: source.GetUID(),
		}})
		if err := b.cluster.client.Create(ctx, chunk); err != nil {
			return err
		}
	}
	written := time.Now()
	a, err := f.wait(question{What: whatRevocations, Least: logoutEntries, Timeout: 10 * time.Minute})
	if err != nil {
		return err
	}
	row(fmt.Sprintf("%d entries written to the API server, and with 100 sidecars", rest),
		fmt.Sprintf("%s, %s after that", seconds(written.Sub(began)), seconds(a.Last.Sub(written))), "", false)
	row("bytes to a sidecar", fmt.Sprintf("%.1f MiB", float64(f.process().received()-bytes)/logoutSidecars/(1<<20)),
		fmt.Sprintf("%.1f MiB is all of it", float64(rest*revoked.Size)/(1<<20)), false)
	row("controller CPU", seconds(b.controller.process().cpu()-cpu), "", false)
	return nil
}

// oneLogout measures a log-out on top of a million.
func oneLogout(ctx context.Context, b *bench, f *fleet, p *logoutProvider) error {
	const times = 3
	bytes, cpu := f.process().received(), b.controller.process().cpu()
	var took, acknowledged []time.Duration
	for i := range times {
		began := time.Now()
		if err := p.logout(ctx, b, b.controller.client, fmt.Sprint("one", i)); err != nil {
			return err
		}
		acknowledged = append(acknowledged, time.Since(began))
		a, err := f.wait(question{What: whatRevocations, Least: int64(logoutEntries + i + 1)})
		if err != nil {
			return err
		}
		took = append(took, a.Last.Sub(began))
		<-time.After(2 * time.Second)
	}
	s, ack := spread(took), spread(acknowledged)
	row("one log-out more, to 100 sidecars", s.String(), "< "+seconds(wantLogout), s.p99 > wantLogout)
	row("one log-out more: acknowledged", ack.String(), "", false)
	perSidecar := float64(f.process().received()-bytes) / times / logoutSidecars
	row("one log-out more: bytes to a sidecar", fmt.Sprintf("%.1f KiB", perSidecar/1024), fmt.Sprintf("< %d KiB", wantBytes>>10), perSidecar > wantBytes)
	row("one log-out more: controller CPU", seconds((b.controller.process().cpu()-cpu)/times), "", false)
	return nil
}

// burstOfLogouts measures many at once.
func burstOfLogouts(ctx context.Context, b *bench, f *fleet, p *logoutProvider, source *unstructured.Unstructured) error {
	const at = 64
	began := time.Now()
	next := make(chan int)
	var wait sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for range at {
		wait.Go(func() {
			for i := range next {
				if err := p.logout(ctx, b, b.controller.client, fmt.Sprint("burst", i)); err != nil {
					mu.Lock()
					failed = errors.Join(failed, err)
					mu.Unlock()
				}
			}
		})
	}
	for i := range logoutBurst {
		next <- i
	}
	close(next)
	wait.Wait()
	if failed != nil {
		return failed
	}
	stored := time.Now()
	a, err := f.wait(question{What: whatRevocations, Least: logoutEntries + logoutBurst + 3})
	if err != nil {
		return err
	}
	chunks := &unstructured.UnstructuredList{}
	chunks.SetGroupVersionKind(source.GroupVersionKind().GroupVersion().WithKind("RevocationChunkList"))
	if err := b.cluster.client.List(ctx, chunks, client.InNamespace("logouts")); err != nil {
		return err
	}
	row(fmt.Sprintf("%d log-outs, %d at a time: acknowledged, with 100 sidecars", logoutBurst, at),
		fmt.Sprintf("%s, %s; %d chunks", seconds(stored.Sub(began)), seconds(a.Last.Sub(began)), len(chunks.Items)), "", false)
	return nil
}

// logoutRecords are n entries from the number first on.
func logoutRecords(first, n int) revoked.List {
	out := make([]byte, 0, n*revoked.Size)
	for i := range n {
		key := revoked.KeyOf(revoked.Session, issuer, fmt.Sprint("session-", first+i))
		out = append(out, key[:]...)
		out = binary.BigEndian.AppendUint32(out, 1<<32-1)
		out = binary.BigEndian.AppendUint32(out, uint32(time.Now().Add(24*time.Hour).Unix())) //nolint:gosec // of this century
	}
	return revoked.ReadList(out)
}

// logoutProvider signs logout tokens.
type logoutProvider struct {
	key  *ecdsa.PrivateKey
	jwks string
}

func newLogoutProvider() (*logoutProvider, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	text := base64.RawURLEncoding.EncodeToString
	set, err := json.Marshal(map[string]any{"keys": []any{map[string]string{"kty": "EC", "crv": "P-256", "kid": "k", "x": text(point[1:33]), "y": text(point[33:])}}})
	return &logoutProvider{key, string(set)}, err
}

// logout posts a logout token of a session to the controller.
func (p *logoutProvider) logout(ctx context.Context, b *bench, by *http.Client, sid string) error {
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": issuer, "aud": "fleet", "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "jti": sid + rand.Text(), "sid": sid,
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	})
	if err != nil {
		return err
	}
	text := base64.RawURLEncoding.EncodeToString
	signed := text([]byte(`{"alg":"ES256","kid":"k","typ":"logout+jwt"}`)) + "." + text(claims)
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, p.key, sum[:])
	if err != nil {
		return err
	}
	token := signed + "." + text(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
	at := fmt.Sprintf("https://127.0.0.1:%d/logout/logouts/login", b.controller.events)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at, strings.NewReader(url.Values{"logout_token": {token}}.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := by.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		_, _ = io.Copy(io.Discard, resp.Body)
		return statusError(resp.StatusCode)
	}
	return nil
}

// statusError is an answer other than that a logout token is stored.
type statusError int

// Error says which.
func (e statusError) Error() string { return fmt.Sprintf("a logout token is answered %d", int(e)) }

// later reports whether the controller has asked for another try (429, 503).
func (e statusError) later() bool {
	return e == http.StatusTooManyRequests || e == http.StatusServiceUnavailable
}
