package capture

import (
	"testing"
)

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		give Config
		want string
	}{
		"a port and exclusions are fine": {give: Config{To: 15080, Exclude: []uint16{22, 15081}}},
		"no port to send to":             {give: Config{}, want: "--to: is 0; want the sidecar's port, 1 to 65535"},
		"an excluded port of zero":       {give: Config{To: 1, Exclude: []uint16{22, 0}}, want: "--exclude: entry 2 is 0; want ports from 1 to 65535"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ""
			if err := tt.give.Validate(); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
