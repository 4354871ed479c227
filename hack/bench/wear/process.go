package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/hack/freeport"
	"github.com/bearerguard/bearerguard/hack/selfsigned"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// corp signs the good tokens, stranger has a key that nobody knows.
var (
	corp     = gatetest.NewIssuer("https://login.example.com", "k1")
	stranger = gatetest.NewIssuer("https://login.example.com", "unknown")
)

// sidecar is a process.
type sidecar struct {
	addr string
	cmd  *exec.Cmd
	dir  string

	patience time.Duration // of a well-behaved client
}

// startSidecar starts one in front of the app, in a control group if there is one, and waits until it answers. If secure, it takes TLS beside
// plaintext.
func startSidecar(ctx context.Context, o *options, app string, secure bool, g *group) (*sidecar, error) {
	dir, err := os.MkdirTemp("", "wear")
	if err != nil {
		return nil, err
	}
	s := &sidecar{dir: dir, patience: o.patience}
	object, _ := json.Marshal(map[string]any{
		"apiVersion": "bearerguard.dev/v1alpha1", "kind": "AuthPolicy",
		"metadata": map[string]any{"name": "wear", "namespace": "default"},
		"spec": map[string]any{
			"issuers": []any{corp.Policy("corp")},
			"rules": []any{
				map[string]any{"name": "open", "match": []any{map[string]any{"paths": []string{"/open/**"}}}, "allow": map[string]any{"anonymous": true}},
				map[string]any{"name": "all", "match": []any{map[string]any{"paths": []string{"/orders/**"}}}, "allow": map[string]any{"authenticated": true}},
			},
		},
	})
	if err := os.WriteFile(filepath.Join(dir, "policy.yaml"), object, 0o600); err != nil {
		return nil, err
	}
	if s.addr, err = freeport.Address(ctx); err != nil {
		return nil, err
	}
	args := []string{
		"run", "--policies", dir, "--listen", s.addr, "--upstream", "http://" + app,
		"--admin", "", "--log-level", "error",
	}
	if g == nil {
		args = append(args, "--max-connections", "20000")
	}
	if secure {
		certificate, err := selfsigned.Write(dir)
		if err != nil {
			return nil, err
		}
		args = append(args, "--tls-cert", certificate, "--tls-key", certificate, "--tls-permissive")
	}
	s.cmd = exec.CommandContext(ctx, o.sidecar, args...) //nolint:gosec // the binary to measure
	s.cmd.Stderr = os.Stderr
	if g != nil {
		g.has(s)
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-time.After(20 * time.Millisecond) {
		if p, err := newPolite(s); err == nil {
			err = p.ask()
			p.close()
			if err == nil {
				return s, nil
			}
		}
	}
	s.stop()
	return nil, errors.New("the sidecar does not answer")
}

func (s *sidecar) stop() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	_ = os.RemoveAll(s.dir)
}

// rss is the process's resident memory, in MiB.
func (s *sidecar) rss() float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(b) {
		if rest, ok := strings.CutPrefix(string(line), "VmRSS:"); ok {
			kib, _ := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 64)
			return kib / 1024
		}
	}
	return 0
}

// peak is the most that rss is until ctx ends.
func (s *sidecar) peak(ctx context.Context) (most float64) {
	for ctx.Err() == nil {
		most = max(most, s.rss())
		<-time.After(50 * time.Millisecond)
	}
	return most
}

// polite is a well-behaved client: a request with a good token each few milliseconds, on one connection.
type polite struct {
	conn     net.Conn
	in       *bufio.Reader
	addr     string
	request  []byte
	patience time.Duration

	answered, lost int
}

func newPolite(s *sidecar) (*polite, error) {
	request := "GET /orders/1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + corp.Token(time.Now(), nil) + "\r\n\r\n"
	p := &polite{addr: s.addr, request: []byte(request), patience: s.patience}
	return p, p.dial()
}

func (p *polite) dial() error {
	c, err := (&net.Dialer{Timeout: p.patience}).DialContext(context.Background(), "tcp", p.addr)
	if err == nil {
		p.conn, p.in = c, bufio.NewReader(c)
	}
	return err
}

func (p *polite) close() { _ = p.conn.Close() }

// run sends requests for a while and returns the median of their latencies.
func (p *polite) run(ctx context.Context, d time.Duration) time.Duration {
	var all []time.Duration
	for end := time.Now().Add(d); time.Now().Before(end) && ctx.Err() == nil; <-time.After(3 * time.Millisecond) {
		begin := time.Now()
		if err := p.ask(); err != nil {
			p.lost++
			_ = p.conn.Close()
			if p.dial() != nil {
				return time.Hour
			}
			continue
		}
		all = append(all, time.Since(begin))
		p.answered++
	}
	return median(all)
}

func (p *polite) ask() error {
	_ = p.conn.SetDeadline(time.Now().Add(p.patience))
	if _, err := p.conn.Write(p.request); err != nil {
		return err
	}
	res, err := http.ReadResponse(p.in, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	_, err = io.Copy(io.Discard, res.Body)
	return err
}
