//go:build !linux

package capture

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// Install reports that only Linux can redirect.
func Install(Config) error {
	return fmt.Errorf("capture: %w on this system; want Linux", errors.ErrUnsupported)
}

// Remove reports that only Linux can redirect.
func Remove() error { return Install(Config{}) }

// OriginalDst reports that only Linux can redirect.
func OriginalDst(*net.TCPConn) (netip.AddrPort, error) {
	return netip.AddrPort{}, Install(Config{})
}
