package policy

import (
	"encoding/json"
	"errors"
	"time"
)

// Time is a point in time, written as RFC 3339 does: "2026-11-25T12:00:00Z".
// +kubebuilder:object:generate=false
// +kubebuilder:validation:Type=string
// +kubebuilder:validation:Format=date-time
// +kubebuilder:validation:Pattern=`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$`
type Time struct {
	time.Time `json:"-"`
}

// DeepCopyInto copies t into out.
func (t *Time) DeepCopyInto(out *Time) { *out = *t }

// DeepCopy returns a copy of t, or nil for nil.
func (t *Time) DeepCopy() *Time {
	if t == nil {
		return nil
	}
	out := *t
	return &out
}

// MarshalJSON writes the time in UTC as RFC 3339 does.
func (t Time) MarshalJSON() ([]byte, error) {
	return json.Marshal(t.UTC().Format(time.RFC3339Nano))
}

// UnmarshalJSON reads an RFC 3339 time.
func (t *Time) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return errors.New("a time is a string such as \"2026-11-25T12:00:00Z\"")
	}
	v, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return errors.New("a time is written as RFC 3339 does: \"2026-11-25T12:00:00Z\"")
	}
	t.Time = v
	return nil
}
