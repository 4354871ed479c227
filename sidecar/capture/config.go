package capture

import (
	"errors"
	"fmt"
)

// Table is the name of the nftables table that Install writes, in the family inet (IPv4 and IPv6).
const Table = "bearerguard"

// Config says what is captured.
type Config struct {
	// To is the sidecar's port on this pod.
	To uint16
	// Exclude are the destination ports that are left alone. To need not be among them.
	Exclude []uint16
}

// Validate returns an error that names the flag that is wrong.
func (c Config) Validate() error {
	if c.To == 0 {
		return errors.New("--to: is 0; want the sidecar's port, 1 to 65535")
	}
	for i, p := range c.Exclude {
		if p == 0 {
			return fmt.Errorf("--exclude: entry %d is 0; want ports from 1 to 65535", i+1)
		}
	}
	return nil
}
