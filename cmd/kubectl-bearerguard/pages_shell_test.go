package main

import (
	"slices"
	"strings"
	"testing"
)

// scripted are the lines of a page that are commands, and the line of the page where each begins. Blocks of sh have nothing else; blocks of
// console have them behind "$ "; blocks that are indented have them beside other things, so there only lines count that loose names.
func scripted(page string, loose func(line string) bool) map[int]string {
	out := map[int]string{}
	lines := strings.Split(page, "\n")
	fence, end := "", "" // the kind of block, and what ends a document that is given to a command
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		trimmed := strings.TrimSpace(line)
		switch kind, isFence := strings.CutPrefix(trimmed, "```"); {
		case end != "":
			if trimmed == end {
				end = ""
			}
			continue
		case isFence && fence != "":
			fence = ""
			continue
		case isFence:
			fence = kind + " "
			continue
		case fence == "" && strings.HasPrefix(line, "    ") && loose(trimmed), fence == "sh ", fence == "bash ":
		case fence == "console " && strings.HasPrefix(trimmed, "$ "):
			trimmed = trimmed[2:]
		default:
			continue
		}
		at := i + 1
		for strings.HasSuffix(trimmed, "\\") && i+1 < len(lines) {
			i++
			trimmed = strings.TrimSuffix(trimmed, "\\") + " " + strings.TrimSpace(lines[i])
		}
		if _, after, ok := strings.Cut(trimmed, "<<"); ok {
			end = strings.Trim(strings.Fields(after)[0], `'"-`)
		}
		if trimmed != "" && trimmed[0] != '#' {
			out[at] = trimmed
		}
	}
	return out
}

// shell takes a line apart into its commands, those of substitutions too. It knows of a shell's language what our pages use of it.
type shell struct {
	out    [][]string
	words  []string
	word   strings.Builder
	inWord bool
	drop   bool // the next word is a file that is read or written
}

// commandsIn returns the commands of a line, each as its words. What is substituted stands in a word as "X".
func commandsIn(line string) [][]string {
	var s shell
	s.read(line)
	return s.out
}

func (s *shell) read(line string) {
	for i := 0; i < len(line); i++ {
		rest := line[i:]
		switch c := line[i]; {
		case c == '#' && !s.inWord:
			i = len(line)
		case c == '\'':
			n := max(strings.IndexByte(rest[1:], '\''), 0)
			s.put(rest[1 : 1+n])
			i += n + 1
		case c == '"':
			i += s.quoted(rest)
		case strings.HasPrefix(rest, "$("), strings.HasPrefix(rest, "<("):
			i += s.substitution(rest)
		case c == ' ' || c == '\t':
			s.endWord()
		case c == '|' || c == ';' || c == '&' || c == '(' || c == ')':
			s.endCommand()
		case c == '>' || c == '<':
			s.redirect()
		default:
			s.put(string(c))
		}
	}
	s.endCommand()
}

// quoted reads a text in double quotes and returns the index of its end.
func (s *shell) quoted(rest string) int {
	s.put("")
	for i := 1; i < len(rest); i++ {
		switch {
		case rest[i] == '"':
			return i
		case rest[i] == '\\' && i+1 < len(rest):
			i++
			s.put(rest[i : i+1])
		case strings.HasPrefix(rest[i:], "$("):
			i += s.substitution(rest[i:])
		default:
			s.put(rest[i : i+1])
		}
	}
	return len(rest) - 1
}

// substitution reads a command in parentheses, and returns the index of the last one.
func (s *shell) substitution(rest string) int {
	depth := 0
	for i := 1; i < len(rest); i++ {
		switch rest[i] {
		case '(':
			depth++
		case ')':
			depth--
		}
		if depth == 0 {
			s.out = append(s.out, commandsIn(rest[2:i])...)
			s.put("X")
			return i
		}
	}
	return len(rest) - 1
}

func (s *shell) put(text string) {
	s.inWord = true
	s.word.WriteString(text)
}

// redirect ends a word that is no number of a file, and has the next one left out.
func (s *shell) redirect() {
	if text := s.word.String(); text == "2" || text == "1" {
		s.word.Reset()
		s.inWord = false
	}
	s.endWord()
	s.drop = true
}

func (s *shell) endWord() {
	if !s.inWord {
		return
	}
	if !s.drop {
		s.words = append(s.words, s.word.String())
	}
	s.drop, s.inWord = false, false
	s.word.Reset()
}

// endCommand leaves out what stands before a command: variables and words of the shell's own.
func (s *shell) endCommand() {
	s.endWord()
	for len(s.words) > 0 && (isAssignment(s.words[0]) || slices.Contains([]string{"do", "done", "then", "sudo", "exec"}, s.words[0])) {
		s.words = s.words[1:]
	}
	if len(s.words) > 0 {
		s.out = append(s.out, s.words)
	}
	s.words = nil
}

func isAssignment(word string) bool {
	name, _, ok := strings.Cut(word, "=")
	return ok && name != "" && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") == ""
}

func TestCommandsIn(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		`make a && make b   # a comment`:                        "make,a make,b",
		`TOKEN=$(bin/x token --out "$(mktemp -d)/k" | tee)`:     "mktemp,-d bin/x,token,--out,X/k tee",
		`curl -H "A: $T" 'http://h/?a=b&c' > out 2>/dev/null &`: "curl,-H,A: $T,http://h/?a=b&c",
		`QUICK=1 ONLY='a|b' make bench`:                         "make,bench",
		`source <(bearerguard completion bash)`:                 "bearerguard,completion,bash source,X",
	} {
		var got []string
		for _, c := range commandsIn(line) {
			got = append(got, strings.Join(c, ","))
		}
		if g := strings.Join(got, " "); g != want {
			t.Errorf("%s\ngot  %s\nwant %s", line, g, want)
		}
	}
	lines := scripted("```sh\na \\\n  b\n```\ntext\n\n    make it\n    not this\n\n```console\n$ c <<Y\nd\nY\ne\n```\n", func(l string) bool { return strings.HasPrefix(l, "make") })
	if len(lines) != 3 || lines[2] != "a  b" || lines[7] != "make it" || lines[11] != "c <<Y" {
		t.Errorf("%v", lines)
	}
}
