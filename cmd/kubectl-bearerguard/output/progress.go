package output

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// patience is how long a command is silent about what it waits for.
const patience = time.Second

// Progress tells what a command is waiting for, once it has waited for a second: on a terminal in one line that changes and
// goes away, elsewhere in a line each time. Its methods can be called from several goroutines.
type Progress struct {
	w        io.Writer
	terminal bool
	timer    *time.Timer

	mu    sync.Mutex
	text  string
	shown bool // a second has passed
	done  bool
}

// NewProgress begins to wait. w is standard error, so that what the command prints stays clean. The caller calls Done before it
// prints anything.
func NewProgress(w io.Writer, text string) *Progress {
	p := &Progress{w: w, text: text}
	if file, ok := w.(*os.File); ok {
		p.terminal = term.IsTerminal(int(file.Fd()))
	}
	p.timer = time.AfterFunc(patience, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.shown = true
		p.show()
	})
	return p
}

// Step tells what is waited for now.
func (p *Progress) Step(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if text != p.text {
		p.text = text
		p.show()
	}
}

// Done ends it. It may be called more than once.
func (p *Progress) Done() {
	p.timer.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown && !p.done && p.terminal {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
	p.done = true
}

// show writes the text. p.mu is held.
func (p *Progress) show() {
	switch {
	case !p.shown || p.done:
	case p.terminal:
		fmt.Fprintf(p.w, "\r\x1b[K%s ...", clean(p.text))
	default:
		fmt.Fprintf(p.w, "%s ...\n", clean(p.text))
	}
}
