package memlimit

import (
	"os"
	"testing"
)

func TestContainerLimit(t *testing.T) {
	t.Parallel()
	const v2, v1 = "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"
	tests := map[string]struct {
		files map[string]string
		want  int64
	}{
		"version 2":           {map[string]string{v2: "67108864\n"}, 64 << 20},
		"version 2, no limit": {map[string]string{v2: "max\n"}, 0},
		"version 1":           {map[string]string{v1: "134217728\n"}, 128 << 20},
		"version 1, no limit": {map[string]string{v1: "9223372036854771712\n"}, 0},
		"no control groups":   {nil, 0},
		"junk":                {map[string]string{v2: "junk", v1: ""}, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := container(func(name string) ([]byte, error) {
				text, ok := test.files[name]
				if !ok {
					return nil, os.ErrNotExist
				}
				return []byte(text), nil
			})
			if got != test.want {
				t.Errorf("limit = %d, want %d", got, test.want)
			}
		})
	}
}
