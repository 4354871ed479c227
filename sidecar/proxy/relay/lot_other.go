//go:build !linux

package relay

import "sync/atomic"

// lot is not to be had here: nothing is parked.
type lot struct {
	clock *atomic.Int64
	crowd *atomic.Bool
}

func newLot(*Relay, bool) *lot { return nil }

func (l *lot) close()           {}
func (l *lot) watch(*wait) bool { return false }
func (l *lot) leave(*wait)      {}
