// Package walk goes the way that a page shows: its commands are run one after the other in one shell, and what they say is held to what the
// page says. The tests of pages use it, and hack/e2e/docs.sh on a real cluster.
package walk

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Block is a block of commands of a page.
type Block struct {
	// Commands are the lines of the fenced block of sh.
	Commands string
	// Want is what the block of text behind it says that they say; "" if there is none.
	Want string
}

var nextHeading = regexp.MustCompile(`(?m)^##+ `)

// Section returns what is under a heading of a page, without the sections below it.
func Section(page, heading string) (string, error) {
	_, rest, ok := strings.Cut(page, "\n"+heading+"\n")
	if !ok {
		return "", fmt.Errorf("the page has no heading %q", heading)
	}
	if next := nextHeading.FindStringIndex(rest); next != nil {
		rest = rest[:next[0]]
	}
	return rest, nil
}

var fenced = regexp.MustCompile("(?ms)^```(sh|text)\n(.*?)^```$")

// Blocks returns the blocks of commands of a section, in order.
func Blocks(section string) (out []Block) {
	for _, m := range fenced.FindAllStringSubmatch(section, -1) {
		switch {
		case m[1] == "sh":
			out = append(out, Block{Commands: m[2]})
		case len(out) > 0:
			out[len(out)-1].Want += m[2]
		}
	}
	return out
}

// Name is the first of the commands.
func (b *Block) Name() string {
	first, _, _ := strings.Cut(strings.TrimSpace(b.Commands), "\n")
	return first
}

// mark stands between what two blocks say, with the exit code of the first.
const mark = "@@@ the end of a block: "

// Script is a script of all blocks, behind what is to be done first. After each block it prints a mark, by which Said tells them apart.
func Script(first string, blocks []Block) string {
	var s strings.Builder
	s.WriteString(first + "\n")
	for _, b := range blocks {
		s.WriteString(b.Commands + "\nprintf '\\n" + mark + "%s\\n' \"$?\"\n")
	}
	return s.String()
}

// Result is what became of a block: what it printed, and the exit code of its last command.
type Result struct {
	Said string
	Code int
}

var marks = regexp.MustCompile(`(?m)^` + mark + `([0-9]+)$`)

// Results takes what the script printed apart. There are fewer than blocks if the shell ended before the last one.
func Results(output string) (out []Result) {
	at := 0
	for _, m := range marks.FindAllStringSubmatchIndex(output, -1) {
		code, err := strconv.Atoi(output[m[2]:m[3]])
		if err != nil {
			code = -1
		}
		out = append(out, Result{Said: strings.Trim(output[at:m[0]], "\n"), Code: code})
		at = m[1]
	}
	return out
}

// Judge returns what is wrong with a result; nil if it is as the page has it. Without an output on the page, the last command has to end with 0.
func (b *Block) Judge(r Result) error {
	switch {
	case b.Want == "" && r.Code != 0:
		return fmt.Errorf("its last command ends with %d, and says\n%s", r.Code, r.Said)
	case b.Want != "" && !Fits(r.Said, b.Want):
		return fmt.Errorf("it says\n%s\nthe page has\n%s", r.Said, b.Want)
	}
	return nil
}

// Fits says whether a text is as a page has it: "..." at the end of a line stands for the rest of the line, and alone on a line for any
// lines, or none.
func Fits(said, want string) bool {
	return fits(lines(said), lines(want))
}

func lines(text string) []string {
	out := strings.Split(strings.TrimSpace(text), "\n")
	for i := range out {
		out[i] = strings.TrimSpace(out[i])
	}
	return out
}

func fits(said, want []string) bool {
	switch {
	case len(want) == 0:
		return len(said) == 0
	case want[0] == "...":
		for i := range len(said) + 1 {
			if fits(said[i:], want[1:]) {
				return true
			}
		}
		return false
	case len(said) == 0:
		return false
	}
	start, cut := strings.CutSuffix(want[0], "...")
	if said[0] != start && (!cut || !strings.HasPrefix(said[0], start)) {
		return false
	}
	return fits(said[1:], want[1:])
}
