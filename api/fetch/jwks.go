package fetch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/api/printable"
)

// Meta is what an answer says about itself.
type Meta struct {
	// MaxAge is how long the answer stays fresh (RFC 9111 section 4.2). Zero if it must not be kept.
	MaxAge time.Duration
	// HasMaxAge says that the answer did speak of its freshness.
	HasMaxAge bool
}

// JWKS fetches a JWK Set (RFC 7517 section 5). What the answer must be is up to Options.Vet; without it, JSON with a
// member "keys".
func JWKS(ctx context.Context, rawURL string, o Options) (keys []byte, meta Meta, err error) {
	err = get(ctx, rawURL, o, func(body []byte, header http.Header) error {
		meta = freshness(header)
		vet := o.Vet
		if vet == nil {
			vet = isJWKS
		}
		var err error
		keys, err = vet(body)
		return err
	})
	if err != nil {
		return nil, meta, fmt.Errorf("fetch %s: %w", printable.URL(rawURL), err)
	}
	return keys, meta, nil
}

func isJWKS(body []byte) ([]byte, error) {
	var set struct {
		Keys *[]json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(body, &set) != nil || set.Keys == nil {
		return nil, errors.New("answer is not a JWK Set; want a JSON object with a list keys")
	}
	return body, nil
}

// Discover finds the address of an issuer's JWK Set in its metadata (OpenID Connect Discovery 1.0 section 4, RFC 8414
// section 3). The metadata is at metadataURL or, if that is empty, below the issuer in either form. Its issuer must equal
// the given one (RFC 8414 section 3.3).
func Discover(ctx context.Context, issuer, metadataURL string, o Options) (string, error) {
	return discover(ctx, issuer, metadataURL, memberKeys, o)
}

// metadata is what is read of an issuer's metadata (RFC 8414 section 2).
type metadata struct {
	Issuer        string          `json:"issuer"`
	JWKSURI       string          `json:"jwks_uri"`
	Introspection string          `json:"introspection_endpoint"`
	Aliases       json.RawMessage `json:"mtls_endpoint_aliases"` // looked into only by who wants one
}

// member is one of the metadata that has an address.
type member struct {
	name string
	of   func(*metadata) string
}

var memberKeys = member{"jwks_uri", func(m *metadata) string { return m.JWKSURI }}

// discover finds the address that a member of the metadata has.
func discover(ctx context.Context, issuer, metadataURL string, of member, o Options) (string, error) {
	urls := []string{metadataURL}
	if metadataURL == "" {
		var err error
		if urls, err = wellKnown(issuer); err != nil {
			return "", fmt.Errorf("discover %s: %w", printable.URL(issuer), err)
		}
	}
	var last error
	for _, u := range urls {
		found, err := discoverAt(ctx, u, issuer, of, o)
		if err == nil {
			return found, nil
		}
		last = fmt.Errorf("discover %s: %w", printable.URL(u), err)
		if status := (*StatusError)(nil); !errors.As(err, &status) {
			break
		}
	}
	return "", last
}

func discoverAt(ctx context.Context, rawURL, issuer string, of member, o Options) (string, error) {
	var m metadata
	err := get(ctx, rawURL, o, func(body []byte, _ http.Header) error {
		if json.Unmarshal(body, &m) != nil {
			return errors.New("answer is not the metadata of an issuer; want a JSON object")
		}
		return nil
	})
	found := of.of(&m)
	switch {
	case err != nil:
		return "", err
	case m.Issuer != issuer:
		return "", errors.New("metadata is of another issuer; want its issuer to equal the policy's exactly")
	case found == "":
		return "", fmt.Errorf("metadata has no %s", of.name)
	}
	if err := CheckURL(found, o); err != nil {
		return "", fmt.Errorf("%s: %w", of.name, err)
	}
	return found, nil
}

// wellKnown returns where an issuer's metadata may be: the OpenID form, which appends to the issuer's path, and the RFC
// 8414 form, which puts the well-known name before the path.
func wellKnown(issuer string) ([]string, error) {
	u, err := url.Parse(issuer)
	if err != nil || u.Opaque != "" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, errors.New("issuer is not a URL without query and fragment, so its metadata cannot be found; want discovery.url or another key source")
	}
	base, path := u.Scheme+"://"+u.Host, strings.TrimSuffix(u.EscapedPath(), "/")
	return []string{
		base + path + "/.well-known/openid-configuration",
		base + "/.well-known/oauth-authorization-server" + path,
	}, nil
}

// freshness reads Cache-Control and Age (RFC 9111 sections 5.1 and 5.2.2).
func freshness(h http.Header) Meta {
	var m Meta
	for field := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return Meta{HasMaxAge: true}
		case "max-age":
			if n, ok := seconds(strings.Trim(value, `"`)); ok {
				m = Meta{MaxAge: n, HasMaxAge: true}
			}
		}
	}
	if age, ok := seconds(h.Get("Age")); ok && m.HasMaxAge {
		m.MaxAge = max(0, m.MaxAge-age)
	}
	return m
}

// seconds reads a delta-seconds (RFC 9111 section 1.2.2), at most a year.
func seconds(s string) (time.Duration, bool) {
	n, err := strconv.ParseUint(s, 10, 63)
	if errors.Is(err, strconv.ErrRange) {
		n, err = 365*24*3600, nil
	}
	return time.Duration(min(n, 365*24*3600)) * time.Second, err == nil
}
