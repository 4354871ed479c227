package source

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/sidecar/source/manifest"
)

// parsed is what a folder's files say, which follows from their names and bytes alone.
type parsed struct {
	digest [sha256.Size]byte // of the files
	rules  rules
	err    error // why there are no rules
}

// read returns what the folder says. Files that are what they were are not parsed again: most looks find no change. Their bytes tell,
// since a file may change within the grain of its time, and keep its size.
func (d *Dir) read() (rules, error) {
	files, err := readFiles(d.c.Path)
	if err != nil {
		return rules{}, err
	}
	if digest := digestOf(files); d.parsed == nil || d.parsed.digest != digest {
		r, err := d.parse(files)
		d.parsed = &parsed{digest: digest, rules: r, err: err}
	}
	return d.parsed.rules, d.parsed.err
}

// digestOf is one for all files, with nothing left open about where a name or a file ends.
func digestOf(files []manifest.File) (out [sha256.Size]byte) {
	h := sha256.New()
	var length [8]byte
	for _, f := range files {
		for _, part := range [][]byte{[]byte(f.Name), f.Data} {
			h.Write(binary.BigEndian.AppendUint64(length[:0], uint64(len(part))))
			h.Write(part)
		}
	}
	h.Sum(out[:0])
	return out
}

func readFiles(dir string) ([]manifest.File, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the folder of policies: %w", err)
	}
	var files []manifest.File
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".") || !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name)) {
			continue
		}
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() { // a link is followed
			if err != nil {
				return nil, fmt.Errorf("read the folder of policies: %w", err)
			}
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read the folder of policies: %w", err)
		}
		files = append(files, manifest.File{Name: name, Data: data})
	}
	return files, nil
}
