package policy

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"time"
)

// Duration is a time.Duration written as Go writes it: "30s", "1h30m".
// +kubebuilder:validation:Type=string
// +kubebuilder:validation:Pattern=`^([0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h))+$`
// +kubebuilder:validation:MaxLength=32
type Duration struct {
	time.Duration `json:"-"`
}

// durationForm is what the CRDs take, which is less than Go does, and what is below zero, of which others say more.
var durationForm = regexp.MustCompile(`^-?([0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h))+$`)

// MarshalJSON writes the duration as a string such as "1m30s".
func (d Duration) MarshalJSON() ([]byte, error) {
	return json.Marshal(d.String())
}

// UnmarshalJSON reads a string such as "1m30s". What is longer than a time.Duration can be is the longest one: a list of objects of which one
// has it must be read.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("a duration is a string such as \"30s\"")
	}
	if len(s) > 32 || !durationForm.MatchString(s) {
		return fmt.Errorf("duration %q: want a number with a unit (ms, s, m, h), such as \"30s\" or \"1h\"", s)
	}
	v, err := time.ParseDuration(s)
	switch {
	case err == nil:
		d.Duration = v
	case s[0] == '-':
		d.Duration = math.MinInt64
	default:
		d.Duration = math.MaxInt64
	}
	return nil
}
