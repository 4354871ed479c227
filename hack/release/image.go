package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// source is where the image says that it comes from.
const source = "https://github.com/bearerguard/bearerguard"

// image writes bearerguard-image_0.1.0.tar: an OCI image layout with an image for each architecture, as the Dockerfile makes it. The
// certificate authorities in it are those of golang.org/x/crypto/x509roots, at the version of go.mod.
func (r *release) image(context.Context) error {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range servers {
		image, err := r.imageFor(p)
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: p.os, Architecture: p.arch}},
		})
	}
	index = mutate.Annotations(index, r.labels()).(v1.ImageIndex)
	dir := filepath.Join(r.bin, "image")
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	if err := path.AppendIndex(index, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": r.version})); err != nil {
		return err
	}
	files, err := folder(dir, "")
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(r.out, "bearerguard-image_"+r.version+".tar"), func(w io.Writer) error { return writeTar(w, files, r.date) })
}

func (r *release) labels() map[string]string {
	return map[string]string{
		"org.opencontainers.image.source": source, "org.opencontainers.image.licenses": "Apache-2.0", "org.opencontainers.image.version": r.version,
	}
}

// imageFor makes the image of one architecture: the authorities, which seldom change, and the programs.
func (r *release) imageFor(p platform) (v1.Image, error) {
	authorities, err := r.authorities()
	if err != nil {
		return nil, err
	}
	programs, err := r.layer([]packed{{"controller", r.built(p, "controller"), 0o755}, {"sidecar", r.built(p, "sidecar"), 0o755}})
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, layer := range []v1.Layer{authorities, programs} {
		if image, err = mutate.Append(image, mutate.Addendum{Layer: layer, History: v1.History{Created: v1.Time{Time: r.date}, CreatedBy: "make release"}}); err != nil {
			return nil, err
		}
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = p.os, p.arch, v1.Time{Time: r.date}
	config.Config = v1.Config{User: "65532:65532", Entrypoint: []string{"/sidecar"}, Labels: r.labels()}
	return mutate.ConfigFile(image, config)
}

// layer makes a layer of files, compressed: a node pulls a third of the bytes.
func (r *release) layer(files []packed) (v1.Layer, error) {
	var b bytes.Buffer
	if err := writeTar(&b, files, r.date); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(gzip.BestCompression), tarball.WithCompressedCaching)
}

// authorities makes the layer with /etc/ssl/certs/ca-certificates.crt. Authorities that may sign for some names or times alone
// are left out: a file of certificates cannot say so.
func (r *release) authorities() (v1.Layer, error) {
	var text bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue
		}
		if err := pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
			return nil, err
		}
	}
	if text.Len() < 50<<10 {
		return nil, fmt.Errorf("the authorities have %d bytes", text.Len())
	}
	file := filepath.Join(r.bin, "ca-certificates.crt")
	if err := os.WriteFile(file, text.Bytes(), 0o644); err != nil {
		return nil, err
	}
	return r.layer([]packed{{"etc/ssl/certs/ca-certificates.crt", file, 0o644}})
}
