package secevent

import (
	"encoding/json"
	"errors"
	"math"
	"time"
)

// Skew is tolerated between the provider's clock and ours.
const Skew = time.Minute

// maxText is the longest value that a token is taken back by, in bytes.
const maxText = 1024

// Rules are what a token has to be.
type Rules struct {
	// Issuer is its iss.
	Issuer string
	// Audiences are those of which its aud has one.
	Audiences []string
}

// addressed checks who sends a token, and to whom.
func (r Rules) addressed(claims map[string]any) error {
	if iss, ok := claims["iss"].(string); !ok || iss != r.Issuer {
		return errors.New("iss: is not the issuer of the source")
	}
	var aud []any
	switch a := claims["aud"].(type) {
	case string:
		aud = []any{a}
	case []any:
		aud = a
	}
	for _, a := range aud {
		for _, want := range r.Audiences {
			if a == want {
				return nil
			}
		}
	}
	return errors.New("aud: has none of the audiences of the source")
}

// text returns a claim that may be missing.
func text(claims map[string]any, name string) (string, error) {
	v, there := claims[name]
	s, ok := v.(string)
	switch {
	case !there:
		return "", nil
	case !ok || s == "":
		return "", errors.New(name + ": is no text")
	case len(s) > maxText:
		return "", errors.New(name + ": is longer than 1024 bytes")
	}
	return s, nil
}

// moment returns a time (RFC 7519 section 2, NumericDate); zero: it is missing.
func moment(claims map[string]any, name string) (time.Time, error) {
	v, there := claims[name]
	if !there {
		return time.Time{}, nil
	}
	n, ok := v.(json.Number)
	if !ok {
		return time.Time{}, errors.New(name + ": is no number")
	}
	f, err := n.Float64()
	if err != nil || f <= 0 || f > math.MaxUint32 {
		return time.Time{}, errors.New(name + ": is no time of this century")
	}
	whole, part := math.Modf(f)
	return time.Unix(int64(whole), int64(part*1e9)), nil
}

// required is moment for a claim that has to be there.
func required(claims map[string]any, name string) (time.Time, error) {
	t, err := moment(claims, name)
	if err == nil && t.IsZero() {
		err = errors.New(name + ": is missing")
	}
	return t, err
}
