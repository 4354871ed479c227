package output

import (
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/term"
)

// Look is what the reader's screen can show. The zero Look is plain: no colours, no limit, ASCII alone.
type Look struct {
	// Colour allows terminal escapes.
	Colour bool
	// Unicode allows ✓, ✗ and lines between the parts of a tree.
	Unicode bool
	// Width is that of the screen in columns; 0 is no limit.
	Width int
}

// LookOf finds out about w. Colours need a terminal, and are off with NO_COLOR (https://no-color.org) or TERM=dumb. Characters
// beyond ASCII need a locale with UTF-8. getenv is os.Getenv.
func LookOf(w io.Writer, getenv func(string) string) Look {
	l := Look{Unicode: utf8Locale(getenv)}
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return l
	}
	l.Colour = getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
	if width, _, err := term.GetSize(int(file.Fd())); err == nil {
		l.Width = width
	}
	if n, err := strconv.Atoi(getenv("COLUMNS")); err == nil && n > 0 {
		l.Width = n
	}
	return l
}

// utf8Locale goes by the first variable that is set, as setlocale does (POSIX.1-2017, section 8.2).
func utf8Locale(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(getenv(name)); v != "" {
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}
