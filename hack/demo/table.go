package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

// table prints acts as they happen, in columns of constant width, and counts those that went wrong.
type table struct {
	out          io.Writer
	total, wrong int
	notes        []string
}

const row = "  %-24s  %-32s  %-16s  %s\n"

func newTable(out io.Writer) *table {
	t := &table{out: out}
	fmt.Fprintf(out, row, "REQUEST", "TOKEN", "ANSWER", "WHY")
	fmt.Fprintf(out, row, strings.Repeat("-", 24), strings.Repeat("-", 32), strings.Repeat("-", 16), strings.Repeat("-", 44))
	return t
}

func (t *table) line(a act, got answered) {
	t.total++
	why := got.why
	if got.status == http.StatusOK {
		why = "the app: " + got.why
	}
	if got.detail != "" {
		why += ": " + got.detail
	}
	if !got.is(a.want) {
		t.wrong++
		why += fmt.Sprintf("   <-- WRONG, expected %d %s", a.want.status, a.want.why)
	}
	fmt.Fprintf(t.out, row, a.method+" "+a.target, a.says, fmt.Sprintf("%d %s", got.status, http.StatusText(got.status)), why)
}

// note adds a remark below the table.
func (t *table) note(format string, args ...any) {
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

func (t *table) end() {
	fmt.Fprintln(t.out)
	for _, n := range t.notes {
		fmt.Fprintln(t.out, "  "+n)
	}
	if t.wrong > 0 {
		fmt.Fprintf(t.out, "  %d of %d answers were wrong.\n", t.wrong, t.total)
		return
	}
	fmt.Fprintf(t.out, "  All %d answers were the expected ones.\n", t.total)
}
