package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/bearerguard/bearerguard/api/bundle"
)

// LastGood keeps the last good bundle in a file, so that a sidecar that restarts while no controller is there goes on
// with the rules it had. The file has secrets: the folder is memory-backed and the sidecar's own. An empty Dir keeps
// nothing.
type LastGood struct {
	// Dir is an existing folder.
	Dir string
}

// The file is the version, a newline, and the encoded bundle.
const (
	lastGoodFile = "last-good-bundle"
	versionSize  = 64 // hex SHA-256
)

// Save writes an encoded bundle, whole or not at all.
func (l LastGood) Save(encoded []byte, version string) error {
	if l.Dir == "" {
		return nil
	}
	err := writeWhole(filepath.Join(l.Dir, lastGoodFile), func(w io.Writer) error {
		_, err := io.WriteString(w, version+"\n")
		if err == nil {
			_, err = w.Write(encoded)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("save the last good bundle: %w", err)
	}
	return nil
}

// Confirm notes that what was saved is the newest now: the time of the file says when that was so last. Without a file it does
// nothing.
func (l LastGood) Confirm() {
	if l.Dir != "" {
		now := time.Now()
		_ = os.Chtimes(filepath.Join(l.Dir, lastGoodFile), now, now)
	}
}

// Confirmed returns when what was saved was known to be the newest, as of Save or Confirm; the zero time without a file.
func (l LastGood) Confirmed() time.Time {
	if l.Dir == "" {
		return time.Time{}
	}
	info, err := os.Stat(filepath.Join(l.Dir, lastGoodFile))
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// Load reads what Save wrote last. Without a file, the bundle is nil and the error too. A file that is damaged, that is
// not the sidecar's alone, or that is from a release that knew more, is an error.
func (l LastGood) Load() (b *bundle.Bundle, version string, err error) {
	if l.Dir == "" {
		return nil, "", nil
	}
	data, err := readOwn(filepath.Join(l.Dir, lastGoodFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("load the last good bundle: %w", err)
	}
	if len(data) <= versionSize || data[versionSize] != '\n' {
		return nil, "", errors.New("load the last good bundle: the file is damaged")
	}
	version, encoded := string(data[:versionSize]), data[versionSize+1:]
	if bundle.Version(encoded) != version {
		return nil, "", errors.New("load the last good bundle: the file is damaged")
	}
	if b, err = bundle.Decode(encoded); err != nil {
		return nil, "", fmt.Errorf("load the last good bundle: %w", err)
	}
	return b, version, nil
}

// readOwn reads a file that nobody else can have written.
func readOwn(path string) ([]byte, error) {
	if err := own(path, bundle.MaxSize+versionSize+1); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// own refuses a file that somebody else can have written: it is to be a plain one with the mode that Save gives, of at most so many bytes.
func own(path string, most int64) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	switch {
	case !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("mode is %s; want a plain file of mode 0600", info.Mode())
	case info.Size() > most:
		return fmt.Errorf("the file is larger than %d bytes", most)
	}
	return nil
}
