package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

func nothing() sample {
	n := math.NaN()
	return sample{n, n, n, n, n, n, n, n, n, n, n}
}

// numbers lists a sample's numbers, to take medians of each.
func (s *sample) numbers() []*float64 {
	return []*float64{&s.perSecond, &s.cpu, &s.busy, &s.allocs, &s.p50, &s.p99, &s.idle, &s.private, &s.with1k, &s.most, &s.spin}
}

// medians takes the median of each number over the rounds, by row.
func medians(samples map[string][]sample) map[string]sample {
	out := map[string]sample{}
	for id, rounds := range samples {
		mid := nothing()
		for i, to := range mid.numbers() {
			var values []float64
			for r := range rounds {
				if v := *rounds[r].numbers()[i]; !math.IsNaN(v) {
					values = append(values, v)
				}
			}
			if len(values) > 0 {
				*to = middle(values)
			}
		}
		out[id] = mid
	}
	return out
}

// middle is the median of values, of which there is one at least. It sorts them.
func middle(values []float64) float64 {
	slices.Sort(values)
	return (values[len(values)/2] + values[(len(values)-1)/2]) / 2
}

// report is the whole result in Markdown.
func (b *bench) report(chosen []row, m map[string]sample, before machine) string {
	b.remember(m)
	var out strings.Builder
	fmt.Fprintln(&out, b.heading(before))
	for _, group := range []string{repeated, firstSeen, bodies, overH2, overGRPC, streaming, memory} {
		rows := slices.DeleteFunc(slices.Clone(chosen), func(r row) bool { return r.group != group })
		if len(rows) == 0 {
			continue
		}
		fmt.Fprintf(&out, "\n### %s\n\n", headline(group))
		if group == memory {
			table(&out, memoryTable(rows, m))
		} else {
			table(&out, b.speedTable(rows, m))
		}
	}
	if b.leftOut != "" {
		fmt.Fprintf(&out, "\n%s\n", b.leftOut)
	}
	if !math.IsInf(b.best, 1) {
		fmt.Fprintf(&out, "\nslowed: a fixed piece of work took that much longer beside the row than at its best, %s us of CPU.\n", number(b.best, 0))
	}
	if lines := targetTable(m); len(lines) > 1 {
		fmt.Fprintf(&out, "\n### Targets\n\n")
		table(&out, lines)
	}
	return out.String()
}

func headline(group string) string {
	return map[string]string{
		repeated:  "The same tokens again and again: GET, 27 bytes answered, 64 connections",
		firstSeen: "Every token verified anew: 50,000 tokens, nothing cached",
		bodies:    "Bodies, one RS256 token",
		overH2:    "HTTP/2 without TLS: 16 connections of 16 streams, one RS256 token",
		overGRPC:  "gRPC: unary calls, HTTP/2 without TLS on both sides, 16 connections of 16 calls",
		streaming: "gRPC streaming: 64 calls at a time of 100 messages of 1 KiB, counted by messages; one RS256 token",
		memory:    "Resident memory, MiB",
	}[group]
}

func (b *bench) speedTable(rows []row, m map[string]sample) [][]string {
	counted, decimals := "requests/s", 1
	if rows[0].group == streaming {
		counted, decimals = "messages/s", 2
	}
	out := [][]string{{"", counted, "CPU us", "busy %", "to HAProxy", "to HAProxy + JWT", "p50 us", "p99 us", "allocs", "slowed"}}
	for _, r := range rows {
		s, ok := m[r.id()]
		if !ok {
			out = append(out, []string{r.title(), "failed"})
			continue
		}
		plain, jwt := baselines(r)
		out = append(out, []string{
			r.title(), number(s.perSecond, 0), number(s.cpu, decimals), number(s.busy, 0), number(s.cpu/cpuOf(m, plain), 2),
			number(s.cpu/cpuOf(m, jwt), 2), number(s.p50, 0), number(s.p99, 0), number(s.allocs, 2),
			number(s.spin/b.best, 2),
		})
	}
	return out
}

// baselines are the rows that a row's CPU is compared with: HAProxy that only forwards, and HAProxy that checks tokens of
// the same algorithm. There are none for the latter with bodies.
func baselines(r row) (plain, jwt string) {
	switch r.group {
	case bodies:
		size, _, _ := strings.Cut(strings.TrimPrefix(r.name, "upload-"), "-")
		if r.load.upload > 0 {
			size = "upload-" + size
		}
		return bodies + "/" + size + "-haproxy", ""
	case overH2:
		if r.load.body != "small" {
			return overH2 + "/" + r.load.body + "-haproxy", ""
		}
		if r.proxy.h2Upstream {
			return overH2 + "/haproxy-h2", overH2 + "/haproxy-RS256-h2"
		}
		return overH2 + "/haproxy", overH2 + "/haproxy-RS256"
	case overGRPC:
		if r.load.tokens > 1 {
			return overGRPC + "/haproxy-1000", overGRPC + "/haproxy-RS256-1000"
		}
		return overGRPC + "/haproxy", overGRPC + "/haproxy-RS256"
	case streaming:
		return streaming + "/" + r.load.calls + "-haproxy", ""
	case firstSeen:
		return repeated + "/haproxy-50000", firstSeen + "/haproxy-" + r.load.alg
	}
	plain = repeated + "/haproxy"
	if r.load.tokens > 1 {
		plain += "-" + strconv.Itoa(r.load.tokens)
	}
	return plain, repeated + "/haproxy-" + r.load.alg
}

func cpuOf(m map[string]sample, id string) float64 {
	if s, ok := m[id]; ok {
		return s.cpu
	}
	return math.NaN()
}

func memoryTable(rows []row, m map[string]sample) [][]string {
	out := [][]string{{"", "idle", "idle, private", "1,000 connections", "9,500 connections", "10,000 above idle"}}
	for _, r := range rows {
		s, ok := m[r.id()]
		if !ok {
			out = append(out, []string{r.title(), "failed"})
			continue
		}
		out = append(out, []string{r.title(), number(s.idle, 1), number(s.private, 1), number(s.with1k, 1), number(s.most, 1), number(aboveIdle(s), 1)})
	}
	return out
}

// number writes a number with so many decimals, thousands apart; nothing if it was not measured.
func number(v float64, decimals int) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return ""
	}
	text := strconv.FormatFloat(v, 'f', decimals, 64)
	whole, rest, dot := strings.Cut(text, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if dot {
		return whole + "." + rest
	}
	return whole
}

// table writes a Markdown table whose columns line up in a terminal too. The first line is the head.
func table(out *strings.Builder, lines [][]string) {
	width := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			width[i] = max(width[i], utf8.RuneCountInString(cell), 3)
		}
	}
	for n, line := range lines {
		for i, w := range width {
			cell := ""
			if i < len(line) {
				cell = line[i]
			}
			pad := strings.Repeat(" ", w-utf8.RuneCountInString(cell))
			if i == 0 {
				fmt.Fprintf(out, "| %s%s ", cell, pad)
			} else {
				fmt.Fprintf(out, "| %s%s ", pad, cell)
			}
		}
		fmt.Fprintln(out, "|")
		if n == 0 {
			for i, w := range width {
				end := ":"
				if i == 0 {
					end = "-"
				}
				fmt.Fprintf(out, "|%s%s", strings.Repeat("-", w+1), end)
			}
			fmt.Fprintln(out, "|")
		}
	}
}
