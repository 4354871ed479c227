package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// packed is a file of an archive: its name there, where it is, and its mode.
type packed struct {
	name, path string
	mode       fs.FileMode
}

// writeTarGzip writes files with one date and no owner.
func writeTarGzip(name string, files []packed, date time.Time) error {
	return writeFile(name, func(w io.Writer) error {
		z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
		if err != nil {
			return err
		}
		if err := writeTar(z, files, date); err != nil {
			return err
		}
		return z.Close()
	})
}

func writeTar(w io.Writer, files []packed, date time.Time) error {
	t := tar.NewWriter(w)
	for _, f := range files {
		data, err := os.ReadFile(f.path)
		if err != nil {
			return err
		}
		if err := t.WriteHeader(&tar.Header{
			Typeflag: tar.TypeReg, Name: f.name, Mode: int64(f.mode), Size: int64(len(data)), ModTime: date, Format: tar.FormatUSTAR,
		}); err != nil {
			return err
		}
		if _, err := t.Write(data); err != nil {
			return err
		}
	}
	return t.Close()
}

func writeZip(name string, files []packed, date time.Time) error {
	return writeFile(name, func(w io.Writer) error {
		z := zip.NewWriter(w)
		for _, f := range files {
			data, err := os.ReadFile(f.path)
			if err != nil {
				return err
			}
			header := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: date}
			header.SetMode(f.mode)
			entry, err := z.CreateHeader(header)
			if err != nil {
				return err
			}
			if _, err := entry.Write(data); err != nil {
				return err
			}
		}
		return z.Close()
	})
}

func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

// folder returns the files of a folder in order, under a name in the archive.
func folder(path, as string) ([]packed, error) {
	var out []packed
	err := filepath.WalkDir(path, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(path, file)
		out = append(out, packed{filepath.ToSlash(filepath.Join(as, rel)), file, 0o644})
		return err
	})
	return out, err
}
