package fetch

import (
	"context"

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
	return JWKS(ctx, at, o)
}
