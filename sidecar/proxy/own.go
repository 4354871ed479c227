package proxy

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// ownAddresses are the addresses of this pod that others can dial. What a client dialled is connected to only if it is one of
// them: whatever else a redirected connection was going to, a packet that was to be passed on to another host say, the sidecar is
// no relay to it. The zero value is ready; it is safe for concurrent use.
type ownAddresses struct {
	// list returns the addresses of all interfaces; nil means those of this network namespace.
	list func() ([]netip.Addr, error)

	mu    sync.Mutex
	known map[netip.Addr]netip.Addr // guarded by mu; with the zone, by the address without
	asked time.Time                 // guarded by mu: when known was read
}

// Times of reading the addresses anew.
const (
	ownKept  = 10 * time.Second // what is known is believed for that long
	ownAgain = time.Second      // an address that is not known is looked for after that
)

// find returns a as it can be dialled: with its zone, if it is of one.
func (o *ownAddresses) find(a netip.Addr) (netip.Addr, error) {
	a = a.Unmap().WithZone("")
	if a.IsLoopback() {
		return netip.Addr{}, fmt.Errorf("%s is no address that a client can dial", a)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	found, ok := o.known[a]
	if age := time.Since(o.asked); age >= ownKept || !ok && age >= ownAgain {
		if err := o.read(); err != nil {
			return netip.Addr{}, fmt.Errorf("read the pod's addresses: %w", err)
		}
		found, ok = o.known[a]
	}
	if !ok {
		return netip.Addr{}, fmt.Errorf("%s is no address of this pod", a)
	}
	return found, nil
}

func (o *ownAddresses) read() error {
	list := o.list
	if list == nil {
		list = interfaceAddresses
	}
	all, err := list()
	if err != nil {
		return err
	}
	o.known, o.asked = make(map[netip.Addr]netip.Addr, len(all)), time.Now()
	for _, a := range all {
		o.known[a.WithZone("")] = a
	}
	return nil
}

// interfaceAddresses returns the addresses of this network namespace.
func interfaceAddresses() ([]netip.Addr, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	for _, i := range interfaces {
		addrs, err := i.Addrs()
		if err != nil {
			return nil, err
		}
		for _, a := range addrs {
			p, err := netip.ParsePrefix(a.String())
			if err != nil {
				continue // an address that is none of IP
			}
			address := p.Addr().Unmap()
			if address.Is6() && address.IsLinkLocalUnicast() {
				address = address.WithZone(i.Name)
			}
			out = append(out, address)
		}
	}
	return out, nil
}
