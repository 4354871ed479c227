package main

import (
	"context"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"text/template"

	"github.com/bearerguard/bearerguard/hack/freeport"
	"github.com/bearerguard/bearerguard/hack/selfsigned"
)

//go:embed config
var configs embed.FS

// target is a proxy that takes requests.
type target struct {
	port    int
	admin   string   // host:port of its metrics, for Go programs; else empty
	process *process // nil if there is no proxy
}

// settings fill the configuration templates.
type settings struct {
	Port, Upstream int
	Mode, Alg, Key string
	H2, H2Upstream bool
	GRPC           bool
	Answer         bool
	Certificate    string // PEM file with its key; empty: no TLS
	Dir            string
}

// start starts the row's proxy and waits until it listens.
func (b *bench) start(r row) (*target, error) {
	upstream, err := b.app(r.proxy.app())
	if err != nil {
		return nil, fmt.Errorf("start the app: %w", err)
	}
	if r.proxy.program == "direct" {
		return &target{port: upstream}, nil
	}
	port, err := freeport.Get(context.Background())
	if err != nil {
		return nil, err
	}
	t := &target{port: port}
	s := settings{
		Port: port, Upstream: upstream, Mode: r.proxy.mode, Alg: r.load.alg, Key: filepath.Join(b.data, r.load.alg+".pem"),
		H2: r.proxy.h2, H2Upstream: r.proxy.h2Upstream, GRPC: r.proxy.grpc, Dir: b.dir,
	}
	if r.proxy.tls {
		if s.Certificate, err = selfsigned.Write(b.dir); err != nil {
			return nil, err
		}
	}
	line, err := b.line(r.proxy, s, t)
	if err != nil {
		return nil, err
	}
	if t.process, err = b.spawn(b.pinned(proxyCore, line[0], line[1:]...), r.proxy.program); err != nil {
		return nil, err
	}
	if err := t.process.listening(port); err != nil {
		b.stop(t.process)
		return nil, fmt.Errorf("start %s: %w", r.proxy.program, err)
	}
	return t, nil
}

// line is the proxy's command line.
func (b *bench) line(k kind, s settings, t *target) ([]string, error) {
	listen, upstream := loopback(s.Port), loopback(s.Upstream)
	switch k.program {
	case "haproxy":
		file, err := b.render("haproxy.cfg", s)
		return []string{"haproxy", "-db", "-f", file}, err
	case "nginx":
		if k.mode == "cache" {
			if _, err := b.render("verdict.lua", s); err != nil {
				return nil, err
			}
		}
		file, err := b.render("nginx.conf", s)
		return []string{"nginx", "-c", file, "-e", filepath.Join(b.dir, "nginx.err")}, err
	case "splice":
		return []string{b.tool("peer"), "-listen", listen, "-upstream", upstream}, nil
	}
	admin, err := freeport.Get(context.Background())
	if err != nil {
		return nil, err
	}
	t.admin = loopback(admin)
	policies := filepath.Join(b.data, "policies")
	if k.program == "peer" {
		line := []string{b.tool("peer"), "-listen", listen, "-upstream", upstream, "-policies", policies, "-admin", t.admin}
		if k.h2Upstream {
			line = append(line, "-h2")
		}
		return line, nil
	}
	program := b.sidecar
	if k.other {
		program = b.other
	}
	line := []string{program, "run", "--listen", listen, "--upstream", "http://" + upstream, "--policies", policies, "--admin", t.admin}
	if k.h2Upstream {
		line = append(line, "--app-protocol", "h2c")
	}
	if k.cacheBytes != "" {
		line = append(line, "--token-cache-bytes", k.cacheBytes)
	}
	if k.h2Connections != "" {
		line = append(line, "--max-http2-connections", k.h2Connections)
	}
	if s.Certificate != "" {
		line = append(line, "--tls-cert", s.Certificate, "--tls-key", s.Certificate)
	}
	return line, nil
}

// app names the app that the proxy is in front of.
func (k kind) app() string {
	switch {
	case k.grpc:
		return "grpc"
	case k.h2Upstream:
		return "h2"
	}
	return "http1"
}

// app returns the port of an app, started when it is first asked for.
func (b *bench) app(name string) (int, error) {
	if port := b.apps[name]; port != 0 {
		return port, nil
	}
	port, err := freeport.Get(context.Background())
	if err != nil {
		return 0, err
	}
	line := []string{b.tool("upstream"), strconv.Itoa(port)}
	switch name {
	case "grpc":
		line = []string{b.tool("calls"), "app", strconv.Itoa(port)}
	case "h2":
		dir := filepath.Join(b.dir, "app-h2")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return 0, err
		}
		file, err := b.render("nginx.conf", settings{Port: port, H2: true, Answer: true, Dir: dir})
		if err != nil {
			return 0, err
		}
		line = []string{"nginx", "-c", file, "-e", filepath.Join(dir, "nginx.err")}
	}
	p, err := b.spawn(b.pinned(appCore(), line[0], line[1:]...), fmt.Sprintf("app-%d", port))
	if err != nil {
		return 0, err
	}
	b.apps[name] = port
	return port, p.listening(port)
}

// render writes a configuration file into the settings' directory or the work directory.
func (b *bench) render(name string, s settings) (string, error) {
	t, err := template.ParseFS(configs, "config/"+name)
	if err != nil {
		return "", err
	}
	dir := s.Dir
	file := filepath.Join(dir, name)
	f, err := os.Create(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return file, t.Execute(f, s)
}

// tool is a program that prepare.sh built.
func (b *bench) tool(name string) string { return filepath.Join(b.tools, name) }

func loopback(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }
