package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

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
const lastGoodFile = "last-good-bundle"

const versionSize = 64 // hex SHA-256

// Save writes an encoded bundle, whole or not at all.
func (l LastGood) Save(encoded []byte, version string) error {
	if l.Dir == "" {
		return nil
	}
	temp, err := os.CreateTemp(l.Dir, lastGoodFile+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("save the last good bundle: %w", err)
	}
	defer os.Remove(temp.Name())
	_, err = temp.Write(append([]byte(version+"\n"), encoded...))
	if err = errors.Join(err, temp.Close()); err != nil {
		return fmt.Errorf("save the last good bundle: %w", err)
	}
	if err := os.Rename(temp.Name(), filepath.Join(l.Dir, lastGoodFile)); err != nil {
		return fmt.Errorf("save the last good bundle: %w", err)
	}
	return nil
}

// Load reads what Save wrote last. Without a file, the bundle is nil and the error too. A file that is damaged or from a
// release that knew more is an error.
func (l LastGood) Load() (b *bundle.Bundle, version string, err error) {
	if l.Dir == "" {
		return nil, "", nil
	}
	data, err := os.ReadFile(filepath.Join(l.Dir, lastGoodFile))
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
