package token

import (
	"net/textproto"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
)

var _ = textproto.CanonicalMIMEHeaderKey

// Token is a token that passed the strict front: well-formed, not verified. It is immutable.
type Token struct{ raw string }

// Parse is the strict front. The empty Reason means well-formed.
func Parse(raw string) (*Token, decision.Reason) { return nil, decision.Malformed }

// Encrypted reports whether the token is a JWE, whose issuer is not known before it is decrypted.
func (t *Token) Encrypted() bool { return false }

// Issuer returns the unverified "iss" of a JWS; empty for a JWE or when there is none.
func (t *Token) Issuer() string { return "" }

// KeyID returns the unverified "kid" of the header.
func (t *Token) KeyID() string { return "" }

// Config is what one issuer's verifier is made from.
type Config struct {
	// Issuer as the policy has it.
	Issuer policy.Issuer
	// Keys verify signatures; nil while they are not resolved: tokens then get KeysUnavailable.
	Keys *keyset.Set
	// Decryption keys; nil when there are none or they are not resolved.
	Decryption *keyset.Set
}

// Verifier verifies tokens of one issuer. It is immutable and safe for concurrent use.
type Verifier struct{}

// NewVerifier checks the issuer's token settings and prepares its keys.
func NewVerifier(c Config) (*Verifier, error) { return &Verifier{}, nil }

// Wants reports whether the token may be this issuer's, by its unverified iss, at no cost: others get UnknownIssuer.
func (v *Verifier) Wants(t *Token) bool { return true }

// Verify verifies the token. The empty Reason means that it is genuine.
func (v *Verifier) Verify(t *Token, now time.Time) (Verified, decision.Reason) {
	return Verified{}, decision.Malformed
}

// Verified is what a genuine token says.
type Verified struct {
	// Claims as strict JSON: string, json.Number, bool, nil, []any, map[string]any. (Becomes decision.Claims.)
	Claims map[string]any
	// Issuer is "iss"; Subject "sub"; JTI "jti"; Session "sid"; KeyID the id of the key that verified it. Empty if absent.
	Issuer, Subject, JTI, Session, KeyID string
	// Expiry is exp plus the clock skew: from then on the token is refused. Zero: none.
	Expiry time.Time
	// IssuedAt is "iat"; zero if absent.
	IssuedAt time.Time
}

// Header is what a request's header fields are read through; http.Header satisfies it.
type Header interface {
	// Values returns the values of the header whose canonical MIME name is given.
	Values(name string) []string
}

// LocateRequest is what a token is looked for in.
type LocateRequest struct {
	// Header fields.
	Header Header
	// RawQuery is the query as it came, without "?".
	RawQuery string
}

// Kind is the kind of a place where a token was found.
type Kind int

// The kinds of places.
const (
	// InHeader: in a header field.
	InHeader Kind = iota + 1
	// InCookie: in a cookie.
	InCookie
	// InQuery: in a query parameter.
	InQuery
	// InWebSocketProtocol: in Sec-WebSocket-Protocol.
	InWebSocketProtocol
)

// Found is a token and where it was.
type Found struct {
	// Raw is the token, not checked in any way.
	Raw string
	// Location is the index of the place in the locator, for Accepts and for the cache key.
	Location int
	// OK is false when there is no token; the other fields are then zero.
	OK bool
	// Kind and Name say what to strip: the header's, cookie's, parameter's or subprotocol's name.
	Kind Kind
	// Name of the header (canonical MIME form), cookie, query parameter or subprotocol.
	Name string
}

// Locator finds a token in a request. It is immutable and safe for concurrent use.
type Locator struct{}

// NewLocator returns a locator over the places that the issuers list; an issuer's index is its index here.
func NewLocator(issuers []policy.Issuer) *Locator { return &Locator{} }

// Find looks in every place that any issuer lists.
func (l *Locator) Find(r LocateRequest) (Found, decision.Reason) { return Found{}, "" }

// Accepts reports whether the issuer lists the place.
func (l *Locator) Accepts(issuer, location int) bool { return false }

// StripQuery returns the raw query without the parameters of this name.
func StripQuery(rawQuery, name string) string { return rawQuery }

// StripCookie returns the Cookie header values without the cookies of this name; empty values are left out.
func StripCookie(values []string, name string) []string { return values }

// StripProtocol returns the Sec-WebSocket-Protocol values without the announcing subprotocol and the token after it.
func StripProtocol(values []string, name string) []string { return values }

// CacheKey identifies a token at a place.
type CacheKey [32]byte

// KeyOf returns the SHA-256 of the token and the place where it was found.
func KeyOf(raw string, location int) CacheKey { return CacheKey{} }

// Entry is what a miss puts into the cache.
type Entry[T any] struct {
	// Value is handed to every caller that waits for this token.
	Value T
	// Bytes is the size of Value, for the cache's bound.
	Bytes int
	// Expiry ends the entry; zero: it lives until it is pushed out.
	Expiry time.Time
	// Keep is false for values that are not to be cached, such as refusals.
	Keep bool
}

// Cache maps tokens to values; bounded in bytes, safe for concurrent use.
type Cache[T any] struct{}

// NewCache returns a cache of at most maxBytes (0: nothing is kept).
func NewCache[T any](maxBytes int64) *Cache[T] { return &Cache[T]{} }

// Get returns the value of a token that is cached and not expired.
func (c *Cache[T]) Get(k CacheKey, now time.Time) (value T, ok bool) { return value, false }

// Fill returns the value from the cache or from miss, which runs once however many callers ask at the same time.
func (c *Cache[T]) Fill(k CacheKey, now time.Time, miss func() Entry[T]) T { return miss().Value }

// Stats are counts since the cache was made, and what it holds.
type Stats struct {
	// Hits, Misses and Evictions since the cache was made.
	Hits, Misses, Evictions uint64
	// Entries and Bytes held now.
	Entries int
	// Bytes held now, bookkeeping included.
	Bytes int64
}

// Stats returns the cache's counts.
func (c *Cache[T]) Stats() Stats { return Stats{} }

// Revocations are the tokens that were taken back. Immutable and safe for concurrent use.
type Revocations struct{}

// NewRevocations compiles the entries that are not past their expiresAt.
func NewRevocations(list []policy.Revocation, now time.Time) *Revocations { return &Revocations{} }

// Revoked reports whether the token was taken back.
func (r *Revocations) Revoked(v *Verified, now time.Time) bool { return true }

// Len returns the number of entries held.
func (r *Revocations) Len() int { return 0 }
