//go:build !linux

package relay

import "net"

// ended is not known here.
func ended(*net.TCPConn) bool { return false }

// quiet is not known here; a retry will have to do.
func quiet(*net.TCPConn) bool { return true }

// unsent is not known here.
func unsent(*net.TCPConn) bool { return false }
