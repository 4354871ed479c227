package main

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/hack/selfsigned"
)

// everything gives each row a sample, so that what is not found shows.
func everything() map[string]sample {
	m := map[string]sample{}
	for _, r := range rows() {
		m[r.id()] = sample{perSecond: 1000, cpu: 10, busy: 100, allocs: 1, p50: 100, p99: 200, idle: 10, private: 5, with1k: 20, most: 29}
	}
	return m
}

func TestRowsHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	if got, want := len(everything()), len(rows()); got != want {
		t.Errorf("%d rows have %d names", want, got)
	}
}

func TestEveryRowIsComparedWithOneThatExists(t *testing.T) {
	t.Parallel()
	m := everything()
	for _, r := range rows() {
		plain, jwt := baselines(r)
		if r.group != memory && math.IsNaN(cpuOf(m, plain)) {
			t.Errorf("%s is compared with %s, which is no row", r.id(), plain)
		}
		if jwt != "" && r.group != memory && math.IsNaN(cpuOf(m, jwt)) {
			t.Errorf("%s is compared with %s, which is no row", r.id(), jwt)
		}
	}
}

func TestEveryTargetIsOfRowsThatExist(t *testing.T) {
	t.Parallel()
	m := everything()
	for _, w := range targets() {
		if math.IsNaN(w.value(m)) {
			t.Errorf("%s: names a row that does not exist", w.what)
		}
	}
	if got, want := len(targetTable(m)), len(targets())+1; got != want {
		t.Errorf("the table has %d lines, want %d", got, want)
	}
}

func TestTargetsAreMetAtTheirBound(t *testing.T) {
	t.Parallel()
	m := everything()
	verdicts := map[string]string{}
	for _, line := range targetTable(m)[1:] {
		verdicts[line[0]] = line[3]
	}
	want := map[string]string{
		"CPU, 1,000 RS256 tokens, to HAProxy plain":  "met",     // 1.0 of at most 1.0
		"CPU, one RS256 token, to HAProxy plain":     "not met", // 1.0 of at most 0.95
		"requests/s, RS256, to HAProxy + jwt_verify": "not met", // 1.0 of at least 4.5
		"allocations a request, HTTP/1.1":            "not met", // 1 of at most 0.05

		"MiB above idle for 10,000 connections, HTTP/1.1": "met", // 19 MiB for 9,500: 20 of at most 20
	}
	for what, verdict := range want {
		if verdicts[what] != verdict {
			t.Errorf("%s: %q, want %q", what, verdicts[what], verdict)
		}
	}
}

func TestMediansAreOfWhatWasMeasured(t *testing.T) {
	t.Parallel()
	round := func(cpu, p99 float64) sample { s := nothing(); s.cpu, s.p99 = cpu, p99; return s }
	got := medians(map[string][]sample{"odd": {round(3, 9), round(1, math.NaN()), round(2, 5)}, "none": {round(math.NaN(), 1)}})
	if got["odd"].cpu != 2 || got["odd"].p99 != 7 {
		t.Errorf("medians are %v and %v, want 2 and 7", got["odd"].cpu, got["odd"].p99)
	}
	if !math.IsNaN(got["none"].cpu) {
		t.Errorf("the median of nothing is %v", got["none"].cpu)
	}
}

func TestNumbersAreReadable(t *testing.T) {
	t.Parallel()
	got := []string{number(1234567.8, 0), number(999, 0), number(1234.56, 1), number(math.NaN(), 1), number(0.5, 2)}
	if diff := cmp.Diff([]string{"1,234,568", "999", "1,234.6", "", "0.50"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestConfigurationsRender(t *testing.T) {
	t.Parallel()
	b := &bench{}
	for _, mode := range []string{"plain", "tcp", "jwt", "cache"} {
		file, err := b.render("haproxy.cfg", settings{Port: 1, Upstream: 2, Mode: mode, Alg: "RS256", Key: "k.pem", Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		all, err := lines(file, 1000)
		if err != nil {
			t.Fatal(err)
		}
		checks := strings.Contains(strings.Join(all, "\n"), "jwt_verify")
		if want := mode == "jwt" || mode == "cache"; checks != want {
			t.Errorf("%s: checks tokens: %v, want %v", mode, checks, want)
		}
	}
}

func TestNginxJudgesTokensWhereItHasLua(t *testing.T) {
	t.Parallel()
	b := &bench{}
	for _, k := range []kind{nginx, nginxLua} {
		s := settings{Port: 1, Upstream: 2, Mode: k.mode, Alg: "RS256", Key: "k.pem", Dir: t.TempDir()}
		line, err := b.line(k, s, nil)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(line[2])
		if err != nil {
			t.Fatal(err)
		}
		_, missing := os.Stat(filepath.Join(s.Dir, "verdict.lua"))
		checks := strings.Contains(string(text), "access_by_lua_block") && missing == nil
		if want := k.checks(); checks != want {
			t.Errorf("%s: checks tokens: %v, want %v", k.mode, checks, want)
		}
	}
}

// A proxy of a TLS row serves TLS, and the load is sent over it; no other does.
func TestTLSRowsAreServedOverTLS(t *testing.T) {
	t.Parallel()
	for _, r := range rows() {
		if r.proxy.program != "haproxy" && r.proxy.program != "bearerguard" {
			continue
		}
		s := settings{Dir: t.TempDir(), Mode: r.proxy.mode}
		if r.proxy.tls {
			file, err := selfsigned.Write(s.Dir)
			if err != nil {
				t.Fatal(err)
			}
			s.Certificate = file
		}
		b := &bench{}
		line, err := b.line(r.proxy, s, &target{})
		if err != nil {
			t.Fatal(err)
		}
		serves := strings.Join(line, " ")
		if r.proxy.program == "haproxy" {
			text, err := os.ReadFile(line[len(line)-1])
			if err != nil {
				t.Fatal(err)
			}
			serves = string(text)
		}
		inTLS := strings.Contains(serves, "--tls-cert "+filepath.Join(s.Dir, "tls.pem")) || strings.Contains(serves, " ssl crt "+filepath.Join(s.Dir, "tls.pem"))
		asked := strings.HasPrefix(r.load.url(1), "https:")
		held := filepath.Base(b.holdLine(r, &target{}, 1)[0]) == "idle"
		if want := strings.HasPrefix(r.id(), "memory/tls-"); inTLS != want || asked != want || held != want {
			t.Errorf("%s: the proxy serves TLS: %v, is asked over it: %v, connections of it are held: %v; want %v", r.id(), inTLS, asked, held, want)
		}
	}
}

// What the documentation says of Bearerguard holds with default settings, or the row names the setting.
func TestRowsNameSettingsThatAreNotTheDefault(t *testing.T) {
	t.Parallel()
	plain := map[string]bool{}
	for _, r := range rows() {
		if r.proxy.program != "bearerguard" {
			continue
		}
		b := &bench{}
		line, err := b.line(r.proxy, settings{}, &target{})
		if err != nil {
			t.Fatal(err)
		}
		set := 0
		for _, flag := range []string{"--token-cache-bytes", "--max-http2-connections"} {
			at := slices.Index(line, flag)
			if at >= 0 {
				set++
			}
			if named := strings.Contains(r.title(), flag); named != (at >= 0) || named && !strings.Contains(r.title(), flag+" "+line[at+1]) {
				t.Errorf("%s has the title %q and the command line %q", r.id(), r.title(), line)
			}
		}
		plain[r.id()] = set == 0
	}
	for _, id := range []string{"repeated/bearerguard-RS256-50000", "repeated/bearerguard-ES256-50000", "memory/bearerguard", "memory/tls-bearerguard"} {
		if !plain[id] {
			t.Errorf("%s does not have the defaults", id)
		}
	}
}
