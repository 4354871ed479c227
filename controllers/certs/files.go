package certs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// readEvery is how often the mounted files are looked at. A kubelet takes up to a minute to bring them; certificates are
// renewed weeks before they expire.
const readEvery = 10 * time.Second

// setupFiles adds a reader of files, as of a mounted Secret of cert-manager's.
func setupFiles(mgr manager.Manager, c Config, out *Certs) (<-chan struct{}, error) {
	return out.store.loaded, mgr.Add(everywhere{func(ctx context.Context) error {
		readFiles(ctx, c, out.store, out.tell)
		return nil
	}})
}

// readFiles loads the files of c.Dir into s, now and every readEvery, until ctx is done.
func readFiles(ctx context.Context, c Config, s *store, tell func(cause string)) {
	tick := time.NewTicker(readEvery)
	defer tick.Stop()
	last := ""
	for {
		text := ""
		if err := loadDir(c.Dir, s); err != nil {
			text = err.Error()
		}
		if text != last && text != "" {
			c.Log.Info("the mounted certificate is unusable; the last good one stays", "cause", text)
		}
		tell(text)
		last = text
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func loadDir(dir string, s *store) error {
	var data [3][]byte
	for i, name := range []string{certEntry, keyEntry, caEntry} {
		var err error
		if data[i], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("read certificate: %w", err)
		}
	}
	return s.load(data[0], data[1], data[2])
}
