// Package logqueue is the log of a program that goes on whatever becomes of its log: a queue of lines in front of stderr, and loggers
// that write to it.
package logqueue

import (
	"bytes"
	"io"
	"sync"
	"time"

	"github.com/go-logr/logr"
)

const (
	// mostQueued is how much of a log waits for its writer, in bytes; as much again is being written at most. It is some 2,000 lines
	// of the decision log.
	mostQueued = 1 << 20
	// keptQueue is how large a buffer may be that is kept for the lines to come, in bytes.
	keptQueue = 64 << 10
)

// Queue is a Writer of lines that never waits for the writer behind it: whoever logs may serve connections, and nobody may read the
// log. Lines keep their order. They are written at once, all that have come meanwhile by one call. Beyond 1 MiB that waits, lines
// are lost, whole ones; the log says how many as soon as it goes on. It is safe for concurrent use. Make it with New.
type Queue struct {
	w    io.Writer
	work func() // run; as a value, so that to start it allocates nothing

	mu      sync.Mutex
	lines   []byte        // guarded by mu: what waits
	spare   []byte        // guarded by mu: an empty buffer, for the lines that come while those are written; nil while it is being written
	running bool          // guarded by mu: a goroutine writes
	idle    chan struct{} // guarded by mu: closed when it ends; nil if nobody waits for that
	lost    uint64        // guarded by mu: lines that the log does not tell of yet
	failure error         // guarded by mu: why they were lost; nil: there was no room
	dropped uint64        // guarded by mu: lines that were lost since the process started
	own     logr.Logger   // guarded by mu: writes to said
	said    bytes.Buffer  // guarded by mu: what the queue itself has to say

	torn bool // of the goroutine that writes: the last write ended within a line
}

// New returns a queue for w. It has a goroutine while there is something to write.
func New(w io.Writer) *Queue {
	q := &Queue{w: w}
	q.work = q.run
	return q
}

// Logger returns a logger as NewLogger does, whose lines are queued. How many were lost is said in its format.
func (q *Queue) Logger(format, level string) (logr.Logger, error) {
	own, err := NewLogger(&q.said, format, level)
	if err != nil {
		return logr.Logger{}, err
	}
	q.mu.Lock()
	q.own = own
	q.mu.Unlock()
	return NewLogger(q, format, level)
}

// Write queues a line, which ends with a newline, or loses it. It returns no error.
func (q *Queue) Write(line []byte) (int, error) {
	q.mu.Lock()
	if q.lost > 0 || len(q.lines)+len(line) > mostQueued { // what was lost is told of before the log goes on
		q.lost++
		q.dropped++
	} else {
		q.lines = append(q.lines, line...)
	}
	start := !q.running
	q.running = true
	q.mu.Unlock()
	if start {
		go q.work()
	}
	return len(line), nil
}

// Dropped returns how many lines were lost since the process started.
func (q *Queue) Dropped() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}

// Flush returns when everything is written, or after the given time. It is for the end of a process.
func (q *Queue) Flush(atMost time.Duration) {
	q.mu.Lock()
	if !q.running {
		q.mu.Unlock()
		return
	}
	if q.idle == nil {
		q.idle = make(chan struct{})
	}
	idle := q.idle
	q.mu.Unlock()
	t := time.NewTimer(atMost)
	defer t.Stop()
	select {
	case <-idle:
	case <-t.C:
	}
}

// run writes until nothing waits.
func (q *Queue) run() {
	var batch []byte
	var err error
	for {
		var told uint64
		var more bool
		if batch, told, more = q.take(batch, err != nil); !more {
			return
		}
		if q.torn {
			_, err = io.WriteString(q.w, "\n")
			q.torn = err != nil
		}
		var n int
		if n, err = q.w.Write(batch); err != nil {
			q.torn = q.torn || n > 0 && batch[n-1] != '\n'
			q.fail(batch[n:], told, err)
		}
	}
}

// take takes back the buffer of the last batch and returns the next one, with how many lost lines it tells of. There is none when all
// is written, or when the last one failed and no line has come since: then the next line has it tried again.
func (q *Queue) take(last []byte, failed bool) (batch []byte, told uint64, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if last != nil && cap(last) <= keptQueue {
		q.spare = last[:0]
	}
	if len(q.lines) == 0 && (q.lost == 0 || failed) {
		q.running = false
		if q.idle != nil {
			close(q.idle)
			q.idle = nil
		}
		return nil, 0, false
	}
	batch, told = q.lines, q.lost
	q.lines, q.spare = q.spare, nil
	if told > 0 {
		batch = append(batch, q.loss()...)
		q.lost, q.failure = 0, nil
	}
	return batch, told, true
}

// loss is the line that tells of the lines that were lost. The lock is held.
func (q *Queue) loss() []byte {
	q.said.Reset()
	if q.failure == nil {
		q.own.Error(nil, "log lines were lost: nobody read them in time", "lines", q.lost)
	} else {
		q.own.Error(q.failure, "log lines were lost: they could not be written", "lines", q.lost)
	}
	return q.said.Bytes()
}

// fail counts the lines that could not be written: those of rest, and those of whose loss its last line was to tell.
func (q *Queue) fail(rest []byte, told uint64, err error) {
	lines := uint64(bytes.Count(rest, []byte{'\n'})) //nolint:gosec // not negative
	switch {
	case lines == 0:
		told = 0
	case told > 0:
		lines-- // it is none of those that were logged
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lost += told + lines
	q.dropped += lines
	q.failure = err
}
