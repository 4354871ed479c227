package policy

import (
	"encoding/json"
	"math"
	"testing"
	"time"
)

// All that the CRDs take is read: one object must not keep a list from being read.
func TestDurations(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"1h30m": 90 * time.Minute, "1.5s": 1500 * time.Millisecond, "9999999h": math.MaxInt64, "999999999h999999999h99h": math.MaxInt64, "-9999999h": math.MinInt64,
	} {
		var d Duration
		if err := json.Unmarshal([]byte(`"`+text+`"`), &d); err != nil || d.Duration != want {
			t.Errorf("%s is %v, %v; want %v", text, d.Duration, err, want)
		}
	}
	for _, text := range []string{`"1"`, `"h"`, `1`, `""`, `"1d"`, `"1h "`} {
		var d Duration
		if err := json.Unmarshal([]byte(text), &d); err == nil {
			t.Errorf("%s is %v", text, d.Duration)
		}
	}
}
