package main

import (
	"os"
	"os/exec"
	"testing"
)

func TestStatusMiB(t *testing.T) {
	const status = "Name:\tx RssAnon: 1 kB\nVmRSS:\t   20480 kB\nRssAnon:\t    3072 kB\nRssFile:\tno number kB\n"
	tests := map[string]struct {
		field string
		want  float64
		fails bool
	}{
		"kB become MiB":                         {"VmRSS", 20, false},
		"a field begins a line":                 {"RssAnon", 3, false},
		"a field that is not there is an error": {"RssShmem", 0, true},
		"a value that is no number is an error": {"RssFile", 0, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := statusMiB(status, tt.field)
			if got != tt.want || (err != nil) != tt.fails {
				t.Errorf("statusMiB(%s) = %v, %v; want %v, error %v", tt.field, got, err, tt.want, tt.fails)
			}
		})
	}
}

func TestConnectionsThatTheProxyHasClosedAreMissed(t *testing.T) {
	p := &process{cmd: &exec.Cmd{Process: &os.Process{Pid: os.Getpid()}}}
	if err := p.holds(1); err != nil {
		t.Error(err)
	}
	if p.holds(1<<20) == nil {
		t.Error("this process has a million open files")
	}
}
