package fetch

import (
	"context"
	"encoding/json"
	"time"

	"github.com/bearerguard/bearerguard/api/printable"
)

// Source is where a JWK Set is fetched from: a URL, or an issuer whose metadata names it. Equal sources are one source.
type Source struct {
	// JWKSURL is the JWK Set's own address. Empty: it is found through Issuer.
	JWKSURL string
	// Issuer is the issuer whose metadata is asked.
	Issuer string
	// MetadataURL is where the metadata is. Empty: below the issuer.
	MetadataURL string
	// SPIFFE says that the JWK Set is a SPIFFE bundle.
	SPIFFE bool
	// CA is PEM certificates to trust for this source. Empty: those of the Options.
	CA string
}

// String names the source for people.
func (s Source) String() string {
	switch {
	case s.JWKSURL != "":
		return printable.URL(s.JWKSURL)
	case s.MetadataURL != "":
		return printable.URL(s.MetadataURL)
	}
	return printable.URL(s.Issuer)
}

// Fetch gets the source's JWK Set once.
func (s Source) Fetch(ctx context.Context, o Options) ([]byte, Meta, error) {
	if s.CA != "" {
		o.CA = []byte(s.CA)
	}
	at := s.JWKSURL
	if at == "" {
		var err error
		if at, err = Discover(ctx, s.Issuer, s.MetadataURL, o); err != nil {
			return nil, Meta{}, err
		}
	}
	if s.SPIFFE {
		return bundle(ctx, at, o)
	}
	return JWKS(ctx, at, o)
}

// bundle fetches a SPIFFE bundle, which says itself how long it may be kept (SPIFFE Trust Domain and Bundle section 4.1.2).
func bundle(ctx context.Context, at string, o Options) ([]byte, Meta, error) {
	var hint *int64
	vet := o.Vet
	if vet == nil {
		vet = isJWKS
	}
	o.Vet = func(body []byte) ([]byte, error) {
		hint = nil
		var b struct {
			Hint *int64 `json:"spiffe_refresh_hint"`
		}
		if json.Unmarshal(body, &b) == nil {
			hint = b.Hint
		}
		return vet(body)
	}
	keys, meta, err := JWKS(ctx, at, o)
	if hint != nil && *hint >= 0 {
		meta = Meta{MaxAge: time.Duration(min(*hint, int64(MaxRefresh/time.Second))) * time.Second, HasMaxAge: true}
	}
	return keys, meta, err
}
