package memlimit

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Usage is what a container takes of its memory limit, in bytes.
type Usage struct {
	// Limit is the limit.
	Limit int64
	// Taken is all.
	Taken int64
	// Bound is what the kernel cannot get back by dropping what it can read again.
	Bound int64
	// Sockets is the part of Bound that is for what connections have sent and nobody has read, and for what they have yet to take.
	Sockets int64
}

// Container reads what a container takes of its memory. It is for one goroutine at a time.
type Container struct {
	limit         int64
	current, stat *os.File
	text          []byte
}

// OpenContainer returns the container that the process runs in. It is nil where control groups of version 2 do not limit its memory: those of
// version 1 leave sockets out.
func OpenContainer() *Container {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil
	}
	c, err := openContainer("/sys/fs/cgroup", string(own))
	if err != nil {
		return nil
	}
	return c
}

// openContainer is OpenContainer with the directory where control groups are, and what /proc/self/cgroup says (cgroups(7)).
func openContainer(dir, own string) (*Container, error) {
	path := ""
	for line := range strings.Lines(own) {
		if p, ok := strings.CutPrefix(line, "0::/"); ok {
			path = strings.TrimSpace(p)
		}
	}
	dir = filepath.Join(dir, path)
	text, err := os.ReadFile(filepath.Join(dir, "memory.max")) //nolint:gosec // the kernel's
	if err != nil {
		return nil, err
	}
	c := &Container{text: make([]byte, 8<<10)}
	if c.limit, err = strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err != nil {
		return nil, err // "max": there is none
	}
	if c.current, err = os.Open(filepath.Join(dir, "memory.current")); err != nil { //nolint:gosec // the kernel's
		return nil, err
	}
	if c.stat, err = os.Open(filepath.Join(dir, "memory.stat")); err != nil { //nolint:gosec // the kernel's
		_ = c.current.Close()
		return nil, err
	}
	return c, nil
}

// Usage returns what the container takes now. Where that is less than half of the limit, or than least bytes, Bound and Sockets are 0: to find them out
// costs more.
func (c *Container) Usage(least int64) Usage {
	u := Usage{Limit: c.limit, Taken: number(c.read(c.current))}
	if u.Taken < max(c.limit/2, least) {
		return u
	}
	stat := c.read(c.stat)
	u.Bound, u.Sockets = u.Taken-field(stat, "file")+field(stat, "shmem"), field(stat, "sock") // files in memory, as of an emptyDir, are among both
	return u
}

// read returns what a file says now; nothing if it cannot be read.
func (c *Container) read(f *os.File) []byte {
	n, err := f.ReadAt(c.text, 0)
	if n == 0 && err != nil {
		return nil
	}
	return c.text[:n]
}

// field returns a field of memory.stat; 0 if there is none.
func field(stat []byte, name string) int64 {
	for line := range bytes.Lines(stat) {
		if is, value, _ := bytes.Cut(line, []byte(" ")); string(is) == name {
			return number(value)
		}
	}
	return 0
}

// number reads a number without garbage; 0 if it is none.
func number(text []byte) int64 {
	n, _ := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
	return n
}
