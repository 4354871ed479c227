package memlimit

import (
	"os"
	"path/filepath"
	"testing"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	const stat = "anon 31457280\nfile 20971520\nkernel 4194304\nsock 52428800\nshmem 4194304\nfile_mapped 1\n"
	tests := map[string]struct {
		own   string
		files map[string]string
		want  *Usage
	}{
		"a container that sees its own control group alone": {
			"0::/\n", map[string]string{"memory.max": "134217728\n", "memory.current": "109051904\n", "memory.stat": stat},
			&Usage{Limit: 128 << 20, Taken: 104 << 20, Bound: 88 << 20, Sockets: 50 << 20},
		},
		"a program of the system's": {
			"1:name=systemd:/x\n0::/a/b\n", map[string]string{"a/b/memory.max": "134217728\n", "a/b/memory.current": "109051904\n", "a/b/memory.stat": stat},
			&Usage{Limit: 128 << 20, Taken: 104 << 20, Bound: 88 << 20, Sockets: 50 << 20},
		},
		"little is taken": {
			"0::/\n", map[string]string{"memory.max": "134217728\n", "memory.current": "73400319\n", "memory.stat": stat},
			&Usage{Limit: 128 << 20, Taken: 70<<20 - 1},
		},
		"no limit":      {"0::/\n", map[string]string{"memory.max": "max\n", "memory.current": "1\n", "memory.stat": stat}, nil},
		"version 1":     {"4:memory:/x\n", nil, nil},
		"no statistics": {"0::/\n", map[string]string{"memory.max": "134217728\n", "memory.current": "1\n"}, nil},
		"junk": {
			"0::/\n\n0:", map[string]string{"memory.max": "134217728\n", "memory.current": "109051904 \n", "memory.stat": "sock\nfile x\n\n"},
			&Usage{Limit: 128 << 20, Taken: 104 << 20, Bound: 104 << 20},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for file, text := range test.files {
				file = filepath.Join(dir, file)
				if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			c, err := openContainer(dir, test.own)
			if test.want == nil {
				if err == nil {
					t.Fatal("there is a container")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := c.Usage(70 << 20); got != *test.want {
				t.Errorf("it takes %+v, want %+v", got, *test.want)
			}
		})
	}
}
