package source

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/bearerguard/bearerguard/api/revoked"
)

// The file is the version, a newline, and the entries.
const revokedFile = "last-good-revocations"

// pieces is how much of the file is read at once, in bytes; a whole number of entries.
const pieces = 4096 * revoked.Size

// SaveRevocations writes a set, whole or not at all. Where it cannot, an older copy goes too: a sidecar that restarts with that would
// take tokens that were taken back since. On a volume that is read-only even that fails, and the error says so.
func (l LastGood) SaveRevocations(s *revoked.Set) error {
	if l.Dir == "" {
		return nil
	}
	path := filepath.Join(l.Dir, revokedFile)
	err := writeWhole(path, func(w io.Writer) error { return writeSet(w, s) })
	if err == nil {
		return nil
	}
	if left := os.Remove(path); left != nil && !errors.Is(left, fs.ErrNotExist) {
		err = errors.Join(err, fmt.Errorf("an older copy stays, and a restart before the controller answers goes by it: %w", left))
	}
	return fmt.Errorf("save the last good revocations: %w", err)
}

func writeSet(w io.Writer, s *revoked.Set) error {
	if _, err := io.WriteString(w, s.Version().String()+"\n"); err != nil {
		return err
	}
	var err error
	for list := range s.Lists {
		if _, err = w.Write(list.Bytes()); err != nil {
			break
		}
	}
	return err
}

// writeWhole makes a file that is never seen in part, and survives a crash of the node once it is there.
func writeWhole(path string, write func(io.Writer) error) error {
	temp := path + ".new"
	_ = os.Remove(temp) // left behind by a sidecar that was killed
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		_ = os.Remove(temp)
	}
	return err
}

// LoadRevocations reads what SaveRevocations wrote last. Without a file, the set is nil and the error too. A file that is damaged or not the
// sidecar's alone is an error.
func (l LastGood) LoadRevocations() (*revoked.Set, error) {
	if l.Dir == "" {
		return nil, nil
	}
	path := filepath.Join(l.Dir, revokedFile)
	if err := own(path, revoked.Most*revoked.Size+versionSize+1); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("load the last good revocations: %w", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("load the last good revocations: %w", err)
	}
	defer f.Close()
	set, err := readSet(bufio.NewReaderSize(f, pieces))
	if err != nil {
		return nil, fmt.Errorf("load the last good revocations: the file is damaged: %w", err)
	}
	return set, nil
}

func readSet(r io.Reader) (*revoked.Set, error) {
	head := make([]byte, versionSize+1)
	if _, err := io.ReadFull(r, head); err != nil || head[versionSize] != '\n' {
		return nil, errors.New("it has no version")
	}
	version, err := revoked.ParseVersion(string(head[:versionSize]))
	if err != nil {
		return nil, err
	}
	a := revoked.NewApplier(nil)
	piece := make([]byte, pieces)
	for {
		n, err := io.ReadFull(r, piece)
		if err := a.Take(revoked.Chunk{Added: piece[:n]}); err != nil {
			return nil, err
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return a.Finish(version, nil)
		case err != nil:
			return nil, err
		}
	}
}
