package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The cores: one is the proxy's alone.
const (
	proxyCore = "0"
	loadCore  = "1"
)

// appCore is the load generator's core too, unless there is a third.
func appCore() string {
	if runtime.NumCPU() > 2 {
		return "2"
	}
	return loadCore
}

// pinned makes a command that runs on one core, with the run's priority. The kernel ends it
// when this process dies, whatever the reason: main keeps its thread for that.
func (b *bench) pinned(core, program string, args ...string) *exec.Cmd {
	line := append([]string{"taskset", "-c", core}, b.priority...)
	line = append(append(line, program), args...)
	cmd := exec.Command(line[0], line[1:]...) //nolint:noctx // stopped by pid, see process.stop
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	return cmd
}

// process is a program that runs until stopped.
type process struct {
	cmd *exec.Cmd
	log string
}

// spawn starts a command with its output in a file of the work directory.
func (b *bench) spawn(cmd *exec.Cmd, name string) (*process, error) {
	p := &process{cmd: cmd, log: filepath.Join(b.dir, name+".log")}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	b.running[cmd.Process.Pid] = p
	return p, nil
}

// stop ends the process at once; none of them has anything to save.
func (b *bench) stop(p *process) {
	if p == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	delete(b.running, p.cmd.Process.Pid)
}

// stopAll ends what is still running.
func (b *bench) stopAll() {
	for _, p := range b.running {
		b.stop(p)
	}
}

// listening waits until the port takes connections.
func (p *process) listening(port int) error {
	address := "127.0.0.1:" + strconv.Itoa(port)
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		conn, err := net.DialTimeout("tcp", address, time.Second) //nolint:noctx // bounded
		if err == nil {
			conn.Close()
			return nil
		}
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", p.pid())); err != nil || p.state() == "Z" {
			return fmt.Errorf("it has ended; its output:\n%s", p.output())
		}
		pause(10 * time.Millisecond)
	}
	return fmt.Errorf("nothing listens on %s; its output:\n%s", address, p.output())
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) output() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-2000):])
}

// state is the process's state letter of proc_pid_stat(5).
func (p *process) state() string {
	fields, err := p.stat()
	if err != nil {
		return "Z"
	}
	return fields[0]
}

// cpu is the user and system time of all threads, in ticks of 10 ms.
func (p *process) cpu() (time.Duration, error) {
	fields, err := p.stat()
	if err != nil {
		return 0, err
	}
	const user, system = 11, 12 // fields 14 and 15, counted from 3
	u, err1 := strconv.ParseInt(fields[user], 10, 64)
	s, err2 := strconv.ParseInt(fields[system], 10, 64)
	return time.Duration(u+s) * 10 * time.Millisecond, errors.Join(err1, err2)
}

// stat returns the fields after the command's name, which may have spaces.
func (p *process) stat() ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid()))
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 20 {
		return nil, errors.New("/proc/PID/stat is short")
	}
	return fields, nil
}

// rss is the resident memory in MiB, and the part of it that is private: the rest is mapped files, which all processes of
// a program share.
func (p *process) rss() (all, private float64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid()))
	if err != nil {
		return 0, 0, err
	}
	if all, err = statusMiB(string(text), "VmRSS"); err != nil {
		return 0, 0, err
	}
	private, err = statusMiB(string(text), "RssAnon")
	return all, private, err
}

// holds makes sure that so many connections are still open: one that the proxy has closed costs it nothing.
func (p *process) holds(connections int) error {
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.pid()))
	if err != nil {
		return err
	}
	if len(files) < connections {
		return fmt.Errorf("the proxy has %d open files: it has closed some of %d connections; its output:\n%s", len(files), connections, p.output())
	}
	return nil
}

// statusMiB is a field of proc_pid_status(5) that is in kB, in MiB.
func statusMiB(status, field string) (float64, error) {
	_, rest, _ := strings.Cut(status, "\n"+field+":")
	number, _, ok := strings.Cut(strings.TrimSpace(rest), " ")
	kib, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil {
		return 0, fmt.Errorf("/proc/PID/status has no %s", field)
	}
	return kib / 1024, nil
}

// pause waits: for other processes there is nothing else to wait on.
func pause(d time.Duration) { <-time.After(d) }
