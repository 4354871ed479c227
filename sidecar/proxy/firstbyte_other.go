//go:build !linux

package proxy

import (
	"errors"
	"net"
)

// firstByte is not to be had here: every client has to speak TLS, if any does.
func firstByte(net.Conn) (byte, error) { return 0, errors.ErrUnsupported }
