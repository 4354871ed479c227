package push

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Audience is what a sidecar's token must be for.
const Audience = "bearerguard"

// The extra fields of a TokenReview that name the pod a token is bound to.
const (
	extraPodName = "authentication.kubernetes.io/pod-name"
	extraPodUID  = "authentication.kubernetes.io/pod-uid"
)

const maxToken = 16 << 10 // bytes

// ErrRefused says that a token proves no pod; the text wrapped around it says why and is safe to show.
var ErrRefused = errors.New("token refused")

// Identity is the pod that a token proves.
type Identity struct {
	Namespace, Pod, UID string
	// Expires is when the token expires; zero if it does not say.
	Expires time.Time
}

// Reviewer says which pod a token is bound to. An error that is ErrRefused is about the token; any other is not.
type Reviewer interface {
	Review(ctx context.Context, token string) (Identity, error)
}

// TokenReviews creates TokenReviews; the client of the API group authentication.k8s.io does.
type TokenReviews interface {
	Create(context.Context, *authenticationv1.TokenReview, metav1.CreateOptions) (*authenticationv1.TokenReview, error)
}

// TokenReviewer asks the API server. It remembers an answer for a few seconds, so that sidecars that reconnect at once do
// not each cost a review, and bounds how many reviews run at a time.
type TokenReviewer struct {
	reviews TokenReviews
	running chan struct{}
	known   *identities
}

var _ Reviewer = (*TokenReviewer)(nil)

// NewTokenReviewer returns a TokenReviewer on reviews.
func NewTokenReviewer(reviews TokenReviews) *TokenReviewer {
	return &TokenReviewer{reviews: reviews, running: make(chan struct{}, 16), known: newIdentities()}
}

// Review asks whether token is genuine, for Audience, and bound to a pod that exists.
func (t *TokenReviewer) Review(ctx context.Context, token string) (Identity, error) {
	if len(token) > maxToken || strings.Count(token, ".") != 2 {
		return Identity{}, fmt.Errorf("%w: not a service-account token", ErrRefused)
	}
	now := time.Now()
	if id, ok := t.known.get(token, now); ok {
		return id, nil
	}
	select {
	case t.running <- struct{}{}:
		defer func() { <-t.running }()
	case <-ctx.Done():
		return Identity{}, ctx.Err()
	}
	r, err := t.reviews.Create(ctx, &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{Audience}},
	}, metav1.CreateOptions{})
	if err != nil {
		return Identity{}, fmt.Errorf("review token: %w", err)
	}
	id, err := identity(r.Status)
	if err != nil {
		return Identity{}, err
	}
	id.Expires = expiry(token)
	t.known.put(token, id, now)
	return id, nil
}

func identity(s authenticationv1.TokenReviewStatus) (Identity, error) {
	if !s.Authenticated {
		return Identity{}, fmt.Errorf("%w: not valid here, or its pod is gone", ErrRefused)
	}
	// An API server that does not know audiences leaves them out; such an answer proves nothing.
	if !slices.Contains(s.Audiences, Audience) {
		return Identity{}, fmt.Errorf("%w: not for audience %s", ErrRefused, Audience)
	}
	rest, ok := strings.CutPrefix(s.User.Username, "system:serviceaccount:")
	namespace, _, found := strings.Cut(rest, ":")
	id := Identity{Namespace: namespace, Pod: one(s.User.Extra[extraPodName]), UID: one(s.User.Extra[extraPodUID])}
	if !ok || !found || namespace == "" || id.Pod == "" || id.UID == "" {
		return Identity{}, fmt.Errorf("%w: not bound to a pod", ErrRefused)
	}
	return id, nil
}

func one(v authenticationv1.ExtraValue) string {
	if len(v) != 1 {
		return ""
	}
	return v[0]
}

// expiry reads "exp" (RFC 7519 section 4.1.4) of a token that the API server has found genuine.
func expiry(token string) time.Time {
	parts := strings.Split(token, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return time.Time{}
	}
	var claims struct {
		Exp int64 `json:"exp"`
	}
	if json.Unmarshal(payload, &claims) != nil || claims.Exp <= 0 {
		return time.Time{}
	}
	return time.Unix(claims.Exp, 0)
}
