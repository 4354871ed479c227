package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/logqueue"
	"github.com/bearerguard/bearerguard/hack/freeport"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
	"github.com/bearerguard/bearerguard/sidecar/requestid"
)

// unread runs a sidecar whose stderr nobody reads, and returns it with the end that could be read from.
func unread(t *testing.T, args ...string) (*process, *os.File) {
	t.Helper()
	stderr, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stderr.Close() })
	p := &process{log: &buffer{}, exited: make(chan error, 1)}
	p.cmd = exec.Command(program, args...)
	p.cmd.Stderr = theirs
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = theirs.Close()
	go func() { p.exited <- p.cmd.Wait() }()
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	return p, stderr
}

// unreadRun is one in front of an app, which logs every request.
func unreadRun(t *testing.T) (*process, *os.File) {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "orders.yaml", policyFor(gatetest.NewIssuer("https://corp.example", "one"), "clerk"))
	listen, admin := freeport.For(t), freeport.For(t)
	p, stderr := unread(t, "run", "--listen", listen, "--upstream", newApp(t), "--admin", admin, "--policies", dir, "--log-allow-every", "1")
	p.url, p.admin = "http://"+listen, "http://"+admin
	p.eventually(t, "it is healthy", func() bool { return p.get(t, p.admin+"/healthz", "") == http.StatusOK })
	return p, stderr
}

var droppedLines = regexp.MustCompile(`(?m)^bearerguard_log_lines_dropped_total ([0-9.e+]+)$`)

// dropped is what the metrics say of lines that the log has lost.
func (p *process) dropped(t *testing.T) int {
	t.Helper()
	_, metrics := fetch(t, p.admin+"/metrics", "")
	m := droppedLines.FindStringSubmatch(metrics)
	if m == nil {
		t.Fatalf("the metrics lack what the log has lost:\n%.2000s", metrics)
	}
	n, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return int(n)
}

// ask sends a request under an id, with a path that makes the log's line long.
func (p *process) ask(t *testing.T, client *http.Client, id string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+"/public?", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set(requestid.Header, id)
	r.Host = strings.Repeat("host.", 45) + "example"
	response, err := client.Do(r)
	if err != nil {
		t.Fatalf("request %s: %v", id, err)
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("request %s: %d %v", id, response.StatusCode, err)
	}
}

// TestALogThatNobodyReads fills the pipe of stderr and all that the sidecar queues. Every request is answered; who reads at last finds
// the lines in order and whole, and how many are lost.
func TestALogThatNobodyReads(t *testing.T) {
	t.Parallel()
	p, stderr := unreadRun(t)
	client := &http.Client{Timeout: patience / 2}
	sent := 0
	for lost := 0; lost < 100; lost = p.dropped(t) {
		if sent > 20_000 {
			t.Fatalf("%d requests are logged, and nothing is lost", sent)
		}
		for range 250 {
			p.ask(t, client, fmt.Sprint("r-", sent))
			sent++
		}
	}
	if got := p.get(t, p.admin+"/readyz", ""); got != http.StatusOK {
		t.Errorf("readyz = %d, want 200", got)
	}
	lost := p.dropped(t)
	_ = stderr.SetReadDeadline(time.Now().Add(patience))
	read := bufio.NewReader(stderr)
	for next, told := 0, false; !told; {
		line := readLine(t, read)
		switch line.Msg {
		case "request decided":
			if line.RequestID != fmt.Sprint("r-", next) {
				t.Fatalf("the log has request %q, want r-%d", line.RequestID, next)
			}
			next++
		case "log lines were lost: nobody read them in time":
			told = true
			if line.Lines != lost || next+lost != sent || line.Level != "ERROR" {
				t.Errorf("the log has %d of %d requests, the metrics say that %d lines are lost, and the log %+v", next, sent, lost, line)
			}
		}
	}
	p.ask(t, client, "later")
	if line := readLine(t, read); line.RequestID != "later" {
		t.Errorf("the log goes on with %+v", line)
	}
	if got := p.dropped(t); got != lost {
		t.Errorf("%d lines are lost, %d of them since the log is read", got, got-lost)
	}
	p.stop(t)
	if rest, _ := io.ReadAll(read); !strings.Contains(string(rest), `"msg":"draining"`) {
		t.Errorf("the log ends with %q", rest)
	}
}

type logLine struct {
	Level, Msg, RequestID string
	Lines                 int
}

func readLine(t *testing.T, r *bufio.Reader) (l logLine) {
	t.Helper()
	line, err := r.ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(line, &l); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return l
}

// TestALogWhoseReaderHasGone closes the pipe of stderr: requests are served all the same.
func TestALogWhoseReaderHasGone(t *testing.T) {
	t.Parallel()
	p, stderr := unreadRun(t)
	_ = stderr.Close()
	client := &http.Client{Timeout: patience / 2}
	for n := range 10 {
		p.ask(t, client, fmt.Sprint(n))
	}
	p.eventually(t, "the lines are counted as lost", func() bool { return p.dropped(t) >= 10 })
	p.stop(t)
}

// TestTheEndWaitsForNoReader has a sidecar that nobody reads the log of end, by a signal and by a mistake.
func TestTheEndWaitsForNoReader(t *testing.T) {
	t.Parallel()
	p, _ := unreadRun(t)
	client := &http.Client{Timeout: patience / 2}
	for n := range 300 { // more than a pipe holds
		p.ask(t, client, fmt.Sprint(n))
	}
	began := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.ended(t); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if d := time.Since(began); d < logqueue.LastWords {
		t.Errorf("it ended after %s, and gave nobody the time to read its log", d)
	}
}

// TestAMistakeIsToldBeforeTheEnd wants what a program says last to be read, also by somebody who is slow.
func TestAMistakeIsToldBeforeTheEnd(t *testing.T) {
	t.Parallel()
	p, stderr := unread(t, "run", "--policies", "/nowhere", "--listen", "127.0.0.1:0", "--upstream", "http://127.0.0.1:1")
	if err := p.ended(t); err == nil {
		t.Error("it ended without an error")
	}
	text, err := io.ReadAll(stderr)
	if err != nil || !strings.HasPrefix(string(text), "sidecar: ") || !strings.Contains(string(text), "/nowhere") || !strings.HasSuffix(string(text), "\n") {
		t.Errorf("%q, %v", text, err)
	}
}

func (p *process) ended(t *testing.T) error {
	t.Helper()
	select {
	case err := <-p.exited:
		return err
	case <-time.After(patience):
		t.Fatal("the sidecar does not end")
		return nil
	}
}
