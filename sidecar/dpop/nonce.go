package dpop

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"time"
)

// Nonces makes and knows nonces (RFC 9449 section 9): the time at which one was made, and a MAC of it. So nobody has to
// remember them, and every pod with the same secret takes those of the others. A nonce is no secret. It is immutable.
type Nonces struct{ keys [][]byte }

// Sizes in bytes.
const (
	nonceTime = 8
	nonceMAC  = 16
)

// NewNonces returns what makes nonces with the first secret and takes those of all; nil without any.
func NewNonces(secrets [][]byte) *Nonces {
	if len(secrets) == 0 {
		return nil
	}
	n := &Nonces{}
	for _, s := range secrets {
		// A key for nonces alone, whatever else the secret is used for.
		h := hmac.New(sha256.New, s)
		h.Write([]byte("bearerguard DPoP nonce 1"))
		n.keys = append(n.keys, h.Sum(nil))
	}
	return n
}

// make returns a nonce.
func (n *Nonces) make(now time.Time) string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, nonceTime+nonceMAC), uint64(now.Unix())) //nolint:gosec // it is after 1970
	return base64.RawURLEncoding.EncodeToString(n.seal(n.keys[0], b))
}

func (n *Nonces) seal(key, at []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(at)
	return append(at, h.Sum(nil)[:nonceMAC]...)
}

// good reports whether a nonce was made with one of the secrets, and no longer ago than that. Clocks of pods may differ by as
// much.
func (n *Nonces) good(nonce string, now time.Time, age time.Duration) bool {
	b, ok := decode(nonce)
	if !ok || len(b) != nonceTime+nonceMAC {
		return false
	}
	known := slices.ContainsFunc(n.keys, func(key []byte) bool {
		return hmac.Equal(b, n.seal(key, slices.Clone(b[:nonceTime])))
	})
	made := time.Unix(int64(binary.BigEndian.Uint64(b)), 0) //nolint:gosec // what is known was made here
	return known && !made.Before(now.Add(-age)) && !made.After(now.Add(age))
}

// same reports whether both make the same nonces; nil makes none.
func (n *Nonces) same(other *Nonces) bool {
	if n == nil || other == nil {
		return n == other
	}
	return slices.EqualFunc(n.keys, other.keys, hmac.Equal)
}
