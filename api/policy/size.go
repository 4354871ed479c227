package policy

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
)

// MaxSize is the largest Size, in bytes: 1Pi.
const MaxSize = 1 << 50

// Size is a number of bytes, written as Kubernetes writes quantities: "512", "64Ki", "10Mi", "1Gi", "10M".
// +kubebuilder:validation:Type=string
// +kubebuilder:validation:Pattern=`^[0-9]{1,16}(Ki|Mi|Gi|k|M|G)?$`
type Size struct {
	Bytes int64 `json:"-"`
}

// units are the suffixes of a Size, the longer ones first.
var units = []struct {
	suffix string
	bytes  int64
}{{"Gi", 1 << 30}, {"Mi", 1 << 20}, {"Ki", 1 << 10}, {"G", 1e9}, {"M", 1e6}, {"k", 1e3}}

// MarshalJSON writes the size with the largest binary unit that divides it.
func (s Size) MarshalJSON() ([]byte, error) {
	for _, u := range units[:3] {
		if s.Bytes > 0 && s.Bytes%u.bytes == 0 {
			return json.Marshal(strconv.FormatInt(s.Bytes/u.bytes, 10) + u.suffix)
		}
	}
	return json.Marshal(strconv.FormatInt(s.Bytes, 10))
}

// UnmarshalJSON reads a string such as "10Mi".
func (s *Size) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil || string(b) == "null" {
		return errors.New("a size is a string such as \"10Mi\"")
	}
	unit := int64(1)
	digits := text
	for _, u := range units {
		if number, ok := strings.CutSuffix(text, u.suffix); ok {
			digits, unit = number, u.bytes
			break
		}
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || len(digits) > 16 || int64(n) > MaxSize/unit {
		return errors.New("a size is a whole number of bytes up to 1Pi, with Ki, Mi, Gi, k, M or G if need be: \"10Mi\"")
	}
	s.Bytes = int64(n) * unit
	return nil
}
