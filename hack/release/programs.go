package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// platform is what a program runs on.
type platform struct{ os, arch string }

func (p platform) String() string { return p.os + "_" + p.arch }

var (
	servers = []platform{{"linux", "amd64"}, {"linux", "arm64"}}
	clients = append([]platform{{"darwin", "amd64"}, {"darwin", "arm64"}, {"windows", "amd64"}}, servers...)
)

// programs builds the programs, and packs them: the command line for each platform, the sidecar and the controller for Linux.
func (r *release) programs(ctx context.Context) error {
	for _, p := range servers {
		for _, name := range []string{"sidecar", "controller"} {
			if err := r.build(ctx, p, name, name); err != nil {
				return err
			}
		}
		if err := r.pack("bearerguard-sidecar", p, "sidecar"); err != nil {
			return err
		}
	}
	for _, p := range clients {
		if err := r.build(ctx, p, "kubectl-bearerguard", "bearerguard"); err != nil {
			return err
		}
		if err := r.pack("bearerguard", p, "bearerguard"); err != nil {
			return err
		}
	}
	return nil
}

// build builds a program of cmd/ without anything of this machine in it, and writes its bill of materials.
func (r *release) build(ctx context.Context, p platform, from, name string) error {
	file := r.built(p, name)
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-trimpath", "-tags", "grpcnotrace",
		"-ldflags", "-s -w -buildid= -X main.version="+r.version, "-o", file, "./cmd/"+from)
	cmd.Dir = r.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.os, "GOARCH="+p.arch, "GOFLAGS=-mod=readonly", "GOAMD64=v1", "GOARM64=v8.0", "GOWORK=off")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s for %s: %w", name, p, err)
	}
	if p != servers[0] {
		return nil // what is in it is the same
	}
	return r.materials(file, name)
}

// built is where a program is built.
func (r *release) built(p platform, name string) string {
	if p.os == "windows" {
		name += ".exe"
	}
	return filepath.Join(r.bin, p.String(), name)
}

// pack packs a program with the licence: bearerguard_0.1.0_linux_amd64.tar.gz, or .zip for Windows.
func (r *release) pack(archive string, p platform, program string) error {
	file := r.built(p, program)
	files := []packed{{"LICENSE", filepath.Join(r.root, "LICENSE"), 0o644}, {filepath.Base(file), file, 0o755}}
	name := filepath.Join(r.out, fmt.Sprintf("%s_%s_%s", archive, r.version, p))
	if p.os == "windows" {
		return writeZip(name+".zip", files, r.date)
	}
	return writeTarGzip(name+".tar.gz", files, r.date)
}
