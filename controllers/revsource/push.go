package revsource

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"strings"

	"github.com/bearerguard/bearerguard/api/fair"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/controllers/secevent"
)

// The error codes of RFC 8935 section 2.4.
const (
	codeRequest        = "invalid_request"
	codeKey            = "invalid_key"
	codeIssuer         = "invalid_issuer"
	codeAudience       = "invalid_audience"
	codeAuthentication = "authentication_failed"
)

// push answers a transmitter that posts a security event token (RFC 8935 section 2).
func (r *Receiver) push(ctx context.Context, w http.ResponseWriter, req *http.Request, s *served) string {
	w.Header().Set("Cache-Control", "no-store")
	switch ok, err := r.authentic(ctx, req, s); {
	case err != nil:
		r.log.Info("cannot take an event now", "namespace", s.ref.Namespace, "source", s.ref.Name, "cause", err.Error())
		later(w, http.StatusServiceUnavailable, retryAfter(err))
		return resultUnavailable
	case !ok:
		w.Header().Set("WWW-Authenticate", "Bearer")
		reject(w, http.StatusUnauthorized, codeAuthentication, "the Authorization header is not what was agreed on")
		return resultRefused
	}
	raw, status, err := postedSET(w, req)
	if err != nil {
		reject(w, status, codeRequest, err.Error())
		return resultRefused
	}
	result, err := r.takeSignals(ctx, s, fair.Place(req.RemoteAddr), raw)
	switch {
	case err == nil:
		w.WriteHeader(http.StatusAccepted)
	case unavailable(err):
		r.log.Info("cannot take an event now", "namespace", s.ref.Namespace, "source", s.ref.Name, "cause", err.Error())
		later(w, http.StatusServiceUnavailable, retryAfter(err))
	default:
		r.log.V(1).Info("refused an event", "namespace", s.ref.Namespace, "source", s.ref.Name, "cause", err.Error())
		reject(w, http.StatusBadRequest, codeOf(err), err.Error())
	}
	return result
}

// authentic reports whether a request shows the token that was agreed on. After one that does not fit the Secret is read anew, at most every
// few seconds.
func (r *Receiver) authentic(ctx context.Context, req *http.Request, s *served) (bool, error) {
	given := req.Header.Values("Authorization")
	if len(given) != 1 {
		return false, nil
	}
	scheme, token, _ := strings.Cut(given[0], " ")
	if !strings.EqualFold(scheme, "bearer") {
		return false, nil
	}
	want, err := r.credentials.get(ctx, s, entryReceived, credentialsAge)
	if err == nil && !same(token, want) {
		want, err = r.credentials.get(ctx, s, entryReceived, credentialsNew)
	}
	return err == nil && same(token, want), err
}

func postedSET(w http.ResponseWriter, req *http.Request) (string, int, error) {
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return "", http.StatusMethodNotAllowed, errors.New("the request: is no POST")
	}
	if kind, _, err := mime.ParseMediaType(req.Header.Get("Content-Type")); err != nil || kind != "application/secevent+jwt" {
		return "", http.StatusUnsupportedMediaType, errors.New("the request: is no security event token (application/secevent+jwt)")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, secevent.MaxBytes))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return "", http.StatusRequestEntityTooLarge, errors.New("the request: is longer than 64 KiB")
	case err != nil:
		return "", http.StatusBadRequest, errors.New("the request: broke off")
	}
	return string(body), 0, nil
}

// takeSignals reads, verifies and stores a security event token. One that comes again, be it signed anew, makes the same entries.
func (r *Receiver) takeSignals(ctx context.Context, s *served, from netip.Prefix, raw string) (result string, err error) {
	whole := tokenKey(raw)
	if s.memory.has(whole) {
		return resultDuplicate, nil
	}
	var said secevent.Signals
	rules := secevent.Rules{Issuer: s.spec.Issuer, Audiences: s.spec.Audiences}
	err = r.read(ctx, s, from, func(known []keyset.Key) (err error) {
		said, err = secevent.ReadSignals(raw, known, rules, r.now())
		return err
	})
	records := said.Taken(s.spec)
	switch {
	case err != nil && unavailable(err):
		return resultUnavailable, err
	case err != nil:
		return resultRefused, err
	case said.Verified && said.State != "" && said.State != stateOf(s):
		return resultRefused, errors.New("events: has a verification with a state that nobody asked with")
	case len(records) > 0 || said.Verified:
		err = r.store.Put(ctx, s.ref, records, r.now())
	case s.memory.note(r.now()):
		err = r.store.Put(ctx, s.ref, nil, r.now())
	}
	if err != nil {
		return resultUnavailable, err
	}
	s.memory.claim(whole, whole)
	if len(records) == 0 {
		return resultIgnored, nil
	}
	return resultStored, nil
}

// stateOf is what the stream of a source is verified with: any replica can tell it.
func stateOf(s *served) string { return "bearerguard:" + s.ref.UID }

// codeOf says which of the codes an error is.
func codeOf(err error) string {
	switch text := err.Error(); {
	case strings.HasPrefix(text, "iss:"):
		return codeIssuer
	case strings.HasPrefix(text, "aud:"):
		return codeAudience
	case strings.HasPrefix(text, "kid:"), strings.HasPrefix(text, "the signature:"):
		return codeKey
	}
	return codeRequest
}

// reject tells what is wrong with a request (RFC 8935 section 2.3). The text is a constant.
func reject(w http.ResponseWriter, status int, code, description string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	body, _ := json.Marshal(setError{code, description})
	_, _ = w.Write(body) // who does not read it is told by the status
}

// setError is an error of RFC 8935 section 2.3 and RFC 8936 section 2.6.
type setError struct {
	Err         string `json:"err"`
	Description string `json:"description"`
}
