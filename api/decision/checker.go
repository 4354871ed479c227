package decision

import (
	"crypto/sha256"
	"strings"
	"sync"
)

// remarkBytes is what remembering an expression costs besides texts: a key and its place in a map.
const remarkBytes = 192

// Checker tells what is wrong with policies. It remembers what it found in CEL expressions, by their text: reading them is most
// of the work, and most of a policy that is edited is as it was. It is safe for concurrent use. The zero value remembers nothing.
type Checker struct {
	most int // bytes of each generation

	mu        sync.Mutex
	now, last map[[sha256.Size]byte]remark // guarded by mu; last is what now was before it was full
	bytes     int                          // of now, guarded by mu
}

// remark is what there is to say of an expression.
type remark struct {
	problem *expressionError // nil: Compile takes it
	hints   []FieldError
	bytes   int
}

// NewChecker returns a Checker that remembers about this many bytes at most.
func NewChecker(bytes int) *Checker { return &Checker{most: bytes / 2} }

// Check returns the error of Compile.
func (c *Checker) Check(policies []Policy) error {
	reader := compiler{program: &Program{routes: &node{}}, expressions: expressions{checker: c}}
	return reader.read(policies)
}

// Hints is ExpressionHints.
func (c *Checker) Hints(text string) []FieldError {
	if text == "" {
		return nil
	}
	r, ok := c.find(hintsKey(text))
	if !ok {
		r.hints = ExpressionHints(text)
		c.rememberHints(text, r.hints)
	}
	return r.hints
}

// problemKey is of an expression in which path has the captures, which are names and sorted.
func problemKey(text string, captures []string) [sha256.Size]byte {
	return sha256.Sum256([]byte("p" + strings.Join(captures, "/") + "\x00" + text))
}

func hintsKey(text string) [sha256.Size]byte { return sha256.Sum256([]byte("h" + text)) }

func (c *Checker) rememberProblem(key [sha256.Size]byte, problem *expressionError) {
	r := remark{bytes: remarkBytes}
	if problem != nil {
		r.problem = &expressionError{strings.Clone(problem.problem), strings.Clone(problem.want)}
		r.bytes += len(problem.problem) + len(problem.want)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(key, r)
}

func (c *Checker) rememberHints(text string, hints []FieldError) {
	r := remark{hints: hints, bytes: remarkBytes}
	for _, h := range hints {
		r.bytes += remarkBytes + len(h.Problem) + len(h.Want)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(hintsKey(text), r)
}

// find returns a remark, and keeps it for longer.
func (c *Checker) find(key [sha256.Size]byte) (remark, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.now[key]
	if !ok {
		if r, ok = c.last[key]; ok {
			c.add(key, r)
		}
	}
	return r, ok
}

// add puts a remark into the generation of now, and begins another when that is full. c.mu is held.
func (c *Checker) add(key [sha256.Size]byte, r remark) {
	if r.bytes > c.most {
		return
	}
	if c.bytes+r.bytes > c.most || c.now == nil {
		c.last, c.now, c.bytes = c.now, map[[sha256.Size]byte]remark{}, 0
	}
	c.now[key], c.bytes = r, c.bytes+r.bytes
}
