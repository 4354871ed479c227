package main

import (
	"context"
	"path/filepath"
)

var chartNames = []string{"bearerguard", "bearerguard-crds"}

// charts packs the charts: bearerguard-0.1.0.tgz, as helm package names them.
func (r *release) charts(context.Context) error {
	for _, name := range chartNames {
		files, err := folder(filepath.Join(r.root, "charts", name), name)
		if err != nil {
			return err
		}
		if err := writeTarGzip(filepath.Join(r.out, name+"-"+r.version+".tgz"), files, r.date); err != nil {
			return err
		}
	}
	return nil
}
