package keys

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"k8s.io/client-go/rest"
)

// Cluster returns a function that asks the API server for the issuer and keys of its own service-account tokens
// (OpenID Connect Discovery 1.0). Every service account may do that by default.
func Cluster(api rest.Interface) func(context.Context) (string, []byte, error) {
	return func(ctx context.Context) (string, []byte, error) {
		metadata, err := api.Get().AbsPath("/.well-known/openid-configuration").DoRaw(ctx)
		if err != nil {
			return "", nil, fmt.Errorf("read /.well-known/openid-configuration: %w", err)
		}
		var m struct {
			Issuer string `json:"issuer"`
		}
		if json.Unmarshal(metadata, &m) != nil || m.Issuer == "" {
			return "", nil, errors.New("read /.well-known/openid-configuration: answer names no issuer")
		}
		jwks, err := api.Get().AbsPath("/openid/v1/jwks").SetHeader("Accept", "application/jwk-set+json").DoRaw(ctx)
		if err != nil {
			return "", nil, fmt.Errorf("read /openid/v1/jwks: %w", err)
		}
		return m.Issuer, jwks, nil
	}
}
