package push

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	_ "crypto/sha512" // SHA-384 and SHA-512
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/keyset/strictjson"
)

// errUnsure says that a token cannot be judged here, and that the API server is to be asked.
var errUnsure = errors.New("cannot be judged without the API server")

// podToken is what a service-account token that is bound to a pod says.
type podToken struct {
	namespace, pod, podUID, account, accountUID string
	expires                                     time.Time
}

func (p podToken) identity() Identity {
	return Identity{Namespace: p.namespace, Pod: p.pod, UID: p.podUID, Expires: p.expires}
}

// hashes are the algorithms that API servers sign service-account tokens with (RFC 7518 section 3.1). No other is looked at.
func hashes() map[string]crypto.Hash {
	return map[string]crypto.Hash{"RS256": crypto.SHA256, "ES256": crypto.SHA256, "ES384": crypto.SHA384, "ES512": crypto.SHA512}
}

// verifyPodToken verifies a token by the keys of the cluster's issuer, as a TokenReview does but for whether the pod and the
// service account are there. An error is ErrRefused if no API server could say otherwise, and errUnsure else.
func verifyPodToken(token, issuer string, keys []keyset.Key, now time.Time) (podToken, error) {
	parts := strings.Split(token, ".")
	if len(token) > maxToken || len(parts) != 3 {
		return podToken{}, fmt.Errorf("%w: not a service-account token", ErrRefused)
	}
	header, err := segment(parts[0])
	if err != nil {
		return podToken{}, err
	}
	claims, err := segment(parts[1])
	if err != nil {
		return podToken{}, err
	}
	signature, err := base64.RawURLEncoding.Strict().DecodeString(parts[2])
	if err != nil {
		return podToken{}, fmt.Errorf("%w: not a service-account token", ErrRefused)
	}
	if err := verifySignature(header, parts[0]+"."+parts[1], signature, keys); err != nil {
		return podToken{}, err
	}
	if claims["iss"] != issuer { // the API server may take other issuers, too
		return podToken{}, errUnsure
	}
	return readClaims(claims, now)
}

func segment(text string) (map[string]any, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%w: not a service-account token", ErrRefused)
	}
	object, err := strictjson.Object(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: not a service-account token", ErrRefused)
	}
	return object, nil
}

// verifySignature finds the key by its id and algorithm, both of which have to fit.
func verifySignature(header map[string]any, signed string, signature []byte, keys []keyset.Key) error {
	alg, _ := header["alg"].(string)
	kid, _ := header["kid"].(string)
	hash, ok := hashes()[alg]
	if _, critical := header["crit"]; !ok || critical {
		return fmt.Errorf("%w: its algorithm is none that API servers sign with", ErrRefused)
	}
	found := false
	for _, k := range keys {
		if kid == "" || k.ID != kid {
			continue
		}
		if found = true; k.Fits(alg) && signedBy(k.Raw(), hash, signed, signature) {
			return nil
		}
	}
	if found {
		return fmt.Errorf("%w: its signature is wrong", ErrRefused)
	}
	return errUnsure
}

// signedBy verifies RSASSA-PKCS1-v1_5 and ECDSA (RFC 7518 sections 3.3 and 3.4).
func signedBy(key any, hash crypto.Hash, signed string, signature []byte) bool {
	h := hash.New()
	h.Write([]byte(signed))
	digest := h.Sum(nil)
	switch k := key.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(k, hash, digest, signature) == nil
	case *ecdsa.PublicKey:
		size := (k.Curve.Params().BitSize + 7) / 8
		if len(signature) != 2*size {
			return false
		}
		return ecdsa.Verify(k, digest, new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:]))
	}
	return false
}

// readClaims reads what a genuine token says.
func readClaims(claims map[string]any, now time.Time) (podToken, error) {
	if !hasAudience(claims["aud"]) {
		return podToken{}, fmt.Errorf("%w: not for audience %s", ErrRefused, Audience)
	}
	expires, ok := instant(claims["exp"])
	if !ok || !now.Before(expires) {
		return podToken{}, fmt.Errorf("%w: it has expired", ErrRefused)
	}
	if begins, ok := instant(claims["nbf"]); !ok || now.Before(begins) {
		return podToken{}, errUnsure // the API server's clock says
	}
	bound, _ := claims["kubernetes.io"].(map[string]any)
	p := podToken{expires: expires}
	p.namespace, _ = bound["namespace"].(string)
	p.pod, p.podUID = named(bound["pod"])
	p.account, p.accountUID = named(bound["serviceaccount"])
	if slices.Contains([]string{p.namespace, p.pod, p.podUID, p.account, p.accountUID}, "") {
		return podToken{}, fmt.Errorf("%w: not bound to a pod", ErrRefused)
	}
	if claims["sub"] != "system:serviceaccount:"+p.namespace+":"+p.account {
		return podToken{}, fmt.Errorf("%w: its subject is not its service account", ErrRefused)
	}
	return p, nil
}

// hasAudience reads "aud", which is a string or a list (RFC 7519 section 4.1.3).
func hasAudience(aud any) bool {
	if list, ok := aud.([]any); ok {
		return slices.Contains(list, any(Audience))
	}
	return aud == any(Audience)
}

// named reads a reference to an object.
func named(ref any) (name, uid string) {
	m, _ := ref.(map[string]any)
	name, _ = m["name"].(string)
	uid, _ = m["uid"].(string)
	return name, uid
}

// instant reads a NumericDate (RFC 7519 section 2) of whole seconds, as API servers write it.
func instant(v any) (time.Time, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return time.Time{}, false
	}
	seconds, err := n.Int64()
	if err != nil || seconds <= 0 {
		return time.Time{}, false
	}
	return time.Unix(seconds, 0), true
}
