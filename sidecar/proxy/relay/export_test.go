package relay

// Parked is how many waits have gone on without a goroutine so far.
func (r *Relay) Parked() int { return int(r.reads.count() + r.writes.count()) } //nolint:gosec // few
