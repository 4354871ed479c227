package convert

import (
	"fmt"
	"strings"
)

// configLine is a line of a configuration file: key = value.
type configLine struct {
	key    string
	values []string
	list   bool
	node   *node
}

// configLines reads what oauth2-proxy's configuration files have of TOML: texts, numbers, booleans and lists of texts.
func configLines(f File, notes *[]Note) (out []configLine, err error) {
	lines := strings.Split(strings.ReplaceAll(string(f.Data), "\r\n", "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		n := lineNode(f, i+1, notes)
		text := strings.TrimSpace(lines[i])
		if text == "" || text[0] == '#' {
			continue
		}
		key, value, found := strings.Cut(text, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !found || key == "" || strings.Trim(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" {
			return nil, n.refuse("is no line key = value")
		}
		n.path = key
		for strings.HasPrefix(value, "[") && !closed(value) && i+1 < len(lines) {
			i++
			value += "\n" + strings.TrimSpace(lines[i])
		}
		l := configLine{key: key, node: n}
		if l.values, l.list, err = tomlValue(value); err != nil {
			return nil, n.refuse("%s", err)
		}
		out = append(out, l)
	}
	return out, nil
}

// closed reports whether a list is closed outside of its texts.
func closed(value string) bool {
	_, _, err := tomlValue(value)
	return err == nil
}

// tomlValue reads a value.
func tomlValue(text string) (values []string, list bool, err error) {
	if !strings.HasPrefix(text, "[") {
		value, rest, err := tomlScalar(text)
		if err == nil && !blank(rest) {
			err = fmt.Errorf("has %q behind its value", strings.TrimSpace(rest))
		}
		return []string{value}, false, err
	}
	rest := text[1:]
	for {
		rest = skipBlank(rest)
		if after, end := strings.CutPrefix(rest, "]"); end {
			if !blank(after) {
				return nil, true, fmt.Errorf("has %q behind its list", strings.TrimSpace(after))
			}
			return values, true, nil
		}
		var value string
		if value, rest, err = tomlScalar(rest); err != nil {
			return nil, true, err
		}
		values = append(values, value)
		rest = skipBlank(rest)
		if after, more := strings.CutPrefix(rest, ","); more {
			rest = after
		} else if !strings.HasPrefix(rest, "]") {
			return nil, true, fmt.Errorf("is a list without an end")
		}
	}
}

// blank reports whether nothing but a comment follows.
func blank(rest string) bool { return skipBlank(rest) == "" }

// skipBlank skips spaces, line ends and comments.
func skipBlank(rest string) string {
	for {
		rest = strings.TrimLeft(rest, " \t\n")
		if !strings.HasPrefix(rest, "#") {
			return rest
		}
		_, rest, _ = strings.Cut(rest, "\n")
	}
}

// tomlScalar reads a text in quotes, or a word.
func tomlScalar(text string) (value, rest string, err error) {
	switch {
	case text == "":
		return "", "", fmt.Errorf("has no value")
	case text[0] == '\'':
		value, rest, found := strings.Cut(text[1:], "'")
		if !found {
			return "", "", fmt.Errorf("has a text without an end")
		}
		return value, rest, nil
	case text[0] != '"':
		end := strings.IndexAny(text, " \t\n,]#")
		if end < 0 {
			end = len(text)
		}
		if word := text[:end]; word == "true" || word == "false" || word != "" && strings.Trim(word, "0123456789._+-") == "" {
			return word, text[end:], nil
		}
		return "", "", fmt.Errorf("is neither a text in quotes, nor true, false or a number")
	}
	return tomlText(text)
}

// tomlText reads a text in double quotes.
func tomlText(text string) (value, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return b.String(), text[i+1:], nil
		case c == '\n':
			return "", "", fmt.Errorf("has a text without an end")
		case c == '\\' && i+1 < len(text):
			i++
			at := strings.IndexByte(`"\nt`, text[i])
			if at < 0 {
				return "", "", fmt.Errorf("has the escape \\%c, which is not read", text[i])
			}
			b.WriteByte("\"\\\n\t"[at])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", fmt.Errorf("has a text without an end")
}
