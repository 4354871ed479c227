package relay

// Parked is how many waits have gone on without a goroutine so far.
func (r *Relay) Parked() int { return int(r.reads.done.Load() + r.writes.done.Load()) } //nolint:gosec // few

// Watched is how many waits the lots know, parked or not.
func (r *Relay) Watched() (n int) {
	for _, l := range []*lot{r.reads, r.writes} {
		l.mu.Lock()
		n += len(l.waits)
		l.mu.Unlock()
	}
	return n
}
