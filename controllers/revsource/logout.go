package revsource

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"

	"github.com/bearerguard/bearerguard/api/fair"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/controllers/revstore"
	"github.com/bearerguard/bearerguard/controllers/secevent"
)

// maxBody is the longest body that is read: a token and what form encoding may add.
const maxBody = secevent.MaxBytes + 1<<10

// logout answers a logout request (OpenID Connect Back-Channel Logout 1.0, sections 2.5 to 2.8).
func (r *Receiver) logout(ctx context.Context, w http.ResponseWriter, req *http.Request, s *served) string {
	w.Header().Set("Cache-Control", "no-store") // section 2.8
	raw, status, err := logoutToken(w, req)
	if err != nil {
		refuse(w, status, err)
		return resultRefused
	}
	whole := tokenKey(raw)
	if s.memory.has(whole) {
		return resultDuplicate // 200: it is stored
	}
	switch err := r.takeLogout(ctx, s, fair.Place(req.RemoteAddr), raw); {
	case err == nil:
		s.memory.claim(whole, whole)
		return resultStored
	case unavailable(err):
		r.log.Info("cannot take an event now", "namespace", s.ref.Namespace, "source", s.ref.Name, "cause", err.Error())
		later(w, http.StatusServiceUnavailable, retryAfter(err))
		return resultUnavailable
	default:
		r.log.V(1).Info("refused an event", "namespace", s.ref.Namespace, "source", s.ref.Name, "cause", err.Error())
		refuse(w, http.StatusBadRequest, err)
		return resultRefused
	}
}

// takeLogout reads, verifies and stores a logout token.
func (r *Receiver) takeLogout(ctx context.Context, s *served, from netip.Prefix, raw string) error {
	var said secevent.Logout
	rules := secevent.Rules{Issuer: s.spec.Issuer, Audiences: s.spec.Audiences}
	err := r.read(ctx, s, from, func(known []keyset.Key) (err error) {
		said, err = secevent.ReadLogout(raw, known, rules, r.now())
		return err
	})
	if err != nil {
		return err
	}
	id := idKey(said.ID)
	if !s.memory.claim(id, tokenKey(raw)) { // section 2.6, step 8
		return errRepeated
	}
	if err := r.store.Put(ctx, s.ref, said.Taken(s.spec), r.now()); err != nil {
		s.memory.release(id)
		return err
	}
	return nil
}

// logoutToken returns the token of a logout request (section 2.5).
func logoutToken(w http.ResponseWriter, req *http.Request) (string, int, error) {
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return "", http.StatusMethodNotAllowed, errors.New("the request: is no POST")
	}
	if kind, _, err := mime.ParseMediaType(req.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return "", http.StatusUnsupportedMediaType, errors.New("the request: is no form (application/x-www-form-urlencoded)")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return "", http.StatusRequestEntityTooLarge, errors.New("the request: is longer than 64 KiB")
	case err != nil:
		return "", http.StatusBadRequest, errors.New("the request: broke off")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || len(form["logout_token"]) != 1 {
		return "", http.StatusBadRequest, errors.New("logout_token: is not there once")
	}
	return form.Get("logout_token"), 0, nil
}

// unavailable reports whether an event could be taken another time.
func unavailable(err error) bool {
	for _, e := range []error{errNoKeys, errTooSoon, errCrowded, errTooMany, errCredentials, revstore.ErrBusy, revstore.ErrNoRoom, revstore.ErrNotStored,
		context.DeadlineExceeded, context.Canceled} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func retryAfter(err error) int {
	switch {
	case errors.Is(err, revstore.ErrNoRoom):
		return 60
	case errors.Is(err, errCrowded), errors.Is(err, revstore.ErrBusy):
		return 1
	}
	return 5
}

// refuse tells what is wrong with a request (RFC 6749 section 5.2, to which section 2.8 refers). The text is a constant.
func refuse(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	body, _ := json.Marshal(map[string]string{"error": "invalid_request", "error_description": err.Error()})
	_, _ = w.Write(body) // who does not read it is told by the status
}

// later asks for another try after some seconds.
func later(w http.ResponseWriter, status, seconds int) {
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	http.Error(w, http.StatusText(status), status)
}
