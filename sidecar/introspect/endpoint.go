package introspect

import (
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/bearerguard/bearerguard/api/credential"
	"github.com/bearerguard/bearerguard/api/fetch"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/token"
)

// Bounds of one question.
const (
	// Timeout bounds a question, from the first byte to the last.
	Timeout = 5 * time.Second
	// MaxBytes bounds an answer.
	MaxBytes = 64 << 10
	// rediscover is how long an address that discovery found is used.
	rediscover = 10 * time.Minute
)

// Endpoint is one issuer's introspection endpoint. It is safe for concurrent use.
type Endpoint struct {
	pool   *Pool
	spec   policy.Introspection
	issuer string
	cred   credential.Credential
	signer crypto.Signer // nil: none is needed
	rules  fetch.Options
	client *http.Client
	asked  breaker
	// unusable is why it cannot be asked; nil: it can. Then there is no client.
	unusable error

	busy int // guarded by pool.turns.mu: questions that run

	mu    sync.Mutex
	found string    // guarded by mu: the address that discovery found
	until time.Time // guarded by mu: how long it is used
}

// newEndpoint prepares what does not change. An error names what cannot be used.
func newEndpoint(p *Pool, spec policy.Issuer, cred credential.Credential) (*Endpoint, error) {
	e := &Endpoint{pool: p, spec: *spec.Introspection, issuer: spec.Issuer, cred: cred, asked: breaker{now: p.now}}
	e.rules = fetch.Options{AllowHTTP: cred.AllowHTTP, AllowNets: cred.AllowNets, CA: []byte(cred.CA), Timeout: Timeout, MaxBytes: MaxBytes}
	if field, err := fetch.CheckIntrospection(e.spec.URL, e.spec.MetadataURL(), e.issuer, e.rules); err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	var shown *tls.Certificate
	var err error
	switch e.spec.Auth {
	case policy.AuthPrivateKeyJWT:
		e.signer, err = cred.Signer()
	case policy.AuthMTLS:
		var cert tls.Certificate
		cert, err = cred.TLS()
		shown = &cert
	case policy.AuthBasic, policy.AuthPost:
	}
	if err != nil {
		return nil, fmt.Errorf("introspection.credentialsSecretRef: %w", err)
	}
	transport, err := fetch.NewTransport(e.rules, maxAtEndpoint, shown)
	if err != nil {
		return nil, fmt.Errorf("caSecretRef: %w", err)
	}
	e.client = &http.Client{
		Transport: transport,
		// A token goes nowhere but where the policy says.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return e, nil
}

// ClientID is whom the endpoint knows the sidecar as.
func (e *Endpoint) ClientID() string { return e.cred.ClientID }

// Ask asks about a token on behalf of a client. It waits for its turn, which ctx ends, and then for the answer, which ctx does
// not: others may wait for that as well. The error is a *Failure.
func (e *Endpoint) Ask(ctx context.Context, client netip.Addr, raw string) (token.Answer, error) {
	if e.unusable != nil {
		return token.Answer{}, e.count(&Failure{Result: Unreachable, Err: e.unusable}, 0)
	}
	if !e.asked.allows() {
		return token.Answer{}, e.count(&Failure{Result: Open, Err: errOpen}, 0)
	}
	if !e.pool.turns.enter(ctx, lane{e, client}) {
		return token.Answer{}, e.count(&Failure{Result: Crowded, Err: errCrowded}, 0)
	}
	defer e.pool.turns.leave(lane{e, client})
	if !e.asked.begin() {
		return token.Answer{}, e.count(&Failure{Result: Open, Err: errOpen}, 0)
	}
	fine := true // also if it panics, which is due to one answer
	defer func() { e.asked.end(fine) }()
	began := e.pool.now()
	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), Timeout)
	defer cancel()
	a, err := e.ask(own, raw)
	var f *Failure
	errors.As(err, &f)
	fine = f == nil || !f.ours()
	return a, e.count(f, e.pool.now().Sub(began))
}

// count counts a question, and returns its error.
func (e *Endpoint) count(f *Failure, took time.Duration) error {
	if f == nil {
		e.pool.observe(Answered, took)
		return nil
	}
	e.pool.observe(f.Result, took)
	return f
}

// ask asks once.
func (e *Endpoint) ask(ctx context.Context, raw string) (token.Answer, error) {
	at, err := e.address(ctx)
	if err != nil {
		return token.Answer{}, &Failure{Result: Unreachable, Err: err}
	}
	req, err := e.request(ctx, at, raw)
	if err != nil {
		return token.Answer{}, &Failure{Result: Unreachable, Err: err}
	}
	resp, err := e.client.Do(req)
	if err != nil {
		return token.Answer{}, e.broken(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, MaxBytes)) // so that the connection can be used again
		e.forget()
		return token.Answer{}, &Failure{Result: Status, Code: resp.StatusCode, Err: &fetch.StatusError{Status: resp.StatusCode}}
	}
	if err := fetch.Uncoded(resp.Header); err != nil {
		return token.Answer{}, &Failure{Result: Garbage, Err: err}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxBytes+1))
	switch {
	case err != nil:
		return token.Answer{}, e.broken(err)
	case len(body) > MaxBytes:
		return token.Answer{}, &Failure{Result: TooLarge, Err: fmt.Errorf("the answer is larger than %d bytes", MaxBytes)}
	}
	return e.answer(resp.Header.Get("Content-Type"), body)
}

// answer takes what came for what its media type says: a signed answer is not guessed from its looks (RFC 9701 section 4).
func (e *Endpoint) answer(contentType string, body []byte) (token.Answer, error) {
	kind, _, err := mime.ParseMediaType(contentType)
	switch {
	case err == nil && kind == mediaSigned && e.spec.SignedResponse:
		return token.Answer{Signed: true, Body: strings.TrimSpace(string(body)), ClientID: e.cred.ClientID}, nil
	case err == nil && kind == mediaJSON && !e.spec.SignedResponse:
		return token.Answer{Body: string(body)}, nil
	case err == nil && kind == mediaJSON:
		return token.Answer{}, &Failure{Result: Garbage, Err: errors.New("the answer is not signed, and signedResponse wants it to be")}
	case err == nil && kind == mediaSigned:
		return token.Answer{}, &Failure{Result: Garbage, Err: errors.New("the answer is signed (RFC 9701), which takes signedResponse: true")}
	}
	return token.Answer{}, &Failure{Result: Garbage, Err: fmt.Errorf("the answer's Content-Type is not %s", e.accept())}
}

// The media types of answers.
const (
	mediaJSON   = "application/json"
	mediaSigned = "application/token-introspection+jwt"
)

func (e *Endpoint) accept() string {
	if e.spec.SignedResponse {
		return mediaSigned
	}
	return mediaJSON
}

// broken is the failure of a connection.
func (e *Endpoint) broken(err error) *Failure {
	e.forget()
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		return &Failure{Result: Timeouted, Err: fetch.Explain(err, e.rules)}
	}
	return &Failure{Result: Unreachable, Err: fetch.Explain(err, e.rules)}
}

// request makes the request of RFC 7662 section 2.1.
func (e *Endpoint) request(ctx context.Context, at, raw string) (*http.Request, error) {
	form := url.Values{"token": {raw}, "token_type_hint": {"access_token"}}
	if err := e.present(form, at); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, errors.New("not a URL that can be asked")
	}
	if e.spec.Auth == "" || e.spec.Auth == policy.AuthBasic {
		// RFC 6749 section 2.3.1: both are form-encoded first.
		req.SetBasicAuth(url.QueryEscape(e.cred.ClientID), url.QueryEscape(e.cred.ClientSecret))
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", e.accept())
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", "bearerguard")
	// To ask changes nothing, so it may be asked again where a kept connection has just been closed. net/http knows by this
	// field, which it does not send.
	req.Header["Idempotency-Key"] = nil
	return req, nil
}

// address returns where the endpoint is.
func (e *Endpoint) address(ctx context.Context) (string, error) {
	if e.spec.URL != "" {
		return e.spec.URL, nil
	}
	e.mu.Lock()
	found, until := e.found, e.until
	e.mu.Unlock()
	if found != "" && e.pool.now().Before(until) {
		return found, nil
	}
	discover := fetch.DiscoverIntrospection
	if e.spec.Auth == policy.AuthMTLS {
		discover = fetch.DiscoverMTLSIntrospection
	}
	found, err := discover(ctx, e.issuer, e.spec.MetadataURL(), e.rules)
	if err != nil {
		return "", err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.found, e.until = found, e.pool.now().Add(rediscover)
	return found, nil
}

// forget has the address found anew: the endpoint may have moved.
func (e *Endpoint) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.found = ""
}

// close gives up connections that nobody uses.
func (e *Endpoint) close() {
	if e.client != nil {
		e.client.CloseIdleConnections()
	}
}
