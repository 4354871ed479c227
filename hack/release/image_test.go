package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// imageOf makes the image of two small programs, unpacked.
func imageOf(t *testing.T) (v1.ImageIndex, []byte) {
	t.Helper()
	r := &release{version: "0.1.0", out: t.TempDir(), bin: t.TempDir(), date: time.Unix(1795867200, 0).UTC()}
	for _, p := range servers {
		for _, name := range []string{"controller", "sidecar"} {
			file := r.built(p, name)
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(name+" for "+p.String()), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := r.image(context.Background()); err != nil {
		t.Fatal(err)
	}
	packed, err := os.ReadFile(filepath.Join(r.out, "bearerguard-image_0.1.0.tar"))
	if err != nil {
		t.Fatal(err)
	}
	index, err := layout.ImageIndexFromPath(filepath.Join(r.bin, "image"))
	if err != nil {
		t.Fatal(err)
	}
	return index, packed
}

// An image is what registries and nodes take: each layer has the digests that its descriptor gives, and is compressed.
func TestAnImageIsWhole(t *testing.T) {
	outer, packed := imageOf(t)
	if err := validate.Index(outer); err != nil {
		t.Fatal(err)
	}
	top, err := outer.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	inner, err := outer.ImageIndex(top.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := inner.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var platforms []string
	for _, m := range manifest.Manifests {
		platforms = append(platforms, m.Platform.String())
		image, err := inner.Image(m.Digest)
		if err != nil {
			t.Fatal(err)
		}
		looksLikeTheDockerfiles(t, image)
	}
	if want := []string{"linux/amd64", "linux/arm64"}; !slices.Equal(platforms, want) {
		t.Errorf("got %v, want %v", platforms, want)
	}
	if _, again := imageOf(t); string(again) != string(packed) {
		t.Error("two images of the same programs differ")
	}
}

// looksLikeTheDockerfiles holds an image to what the Dockerfile says: who runs it, and what starts.
func looksLikeTheDockerfiles(t *testing.T, image v1.Image) {
	t.Helper()
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.User != "65532:65532" || !slices.Equal(config.Config.Entrypoint, []string{"/sidecar"}) {
		t.Errorf("user %q and entry point %q", config.Config.User, config.Config.Entrypoint)
	}
	manifest, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, layer := range manifest.Layers {
		if layer.MediaType != types.OCILayer {
			t.Errorf("a layer is %s, want it compressed", layer.MediaType)
		}
	}
}
