package decision

// Remembered is what a Checker holds, in bytes, as it counts.
func Remembered(c *Checker) (bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.now {
		bytes += r.bytes
	}
	for _, r := range c.last {
		bytes += r.bytes
	}
	return bytes
}

// Knows reports whether a Checker remembers the hints of an expression.
func Knows(c *Checker, text string) bool {
	_, ok := c.find(hintsKey(text))
	return ok
}
