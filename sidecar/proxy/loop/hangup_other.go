//go:build unix && !linux

package loop

// hangUp is 0: a peer that sends no more is seen by reading alone.
const hangUp = 0
