//go:build unix && !linux

package loop

import "errors"

// Pipe is for Linux alone: NewPipe returns none.
type Pipe struct{}

// NewPipe returns errors.ErrUnsupported.
func NewPipe() (*Pipe, error) { return nil, errors.ErrUnsupported }

// Held is 0.
func (*Pipe) Held() int { return 0 }

// Fill returns errors.ErrUnsupported.
func (*Pipe) Fill(*Conn, int) (int, error) { return 0, errors.ErrUnsupported }

// Drain returns errors.ErrUnsupported.
func (*Pipe) Drain(*Conn) (int, error) { return 0, errors.ErrUnsupported }

// Release does nothing.
func (*Pipe) Release() {}
