//go:build !386 && !s390x && !loop_poll

package loop

// OpenPipes is how many pipes the process has.
func OpenPipes() int64 { return openPipes.Load() }

// MaxPipes is how many it may have.
const MaxPipes = maxPipes

// CleanPipes is what the loop does from time to time.
func (l *Loop) CleanPipes() { l.pipes.clean(l) }
