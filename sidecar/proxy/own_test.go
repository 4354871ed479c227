package proxy

import (
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestOnlyTheAddressesOfThePodAreDialled(t *testing.T) {
	t.Parallel()
	own := ownAddresses{list: func() ([]netip.Addr, error) {
		return []netip.Addr{
			netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("2001:db8::7"), netip.MustParseAddr("fe80::7%eth0"),
		}, nil
	}}
	for name, tc := range map[string]struct{ dst, want, err string }{
		"the pod's address":             {dst: "10.1.2.3", want: "10.1.2.3"},
		"the same on a socket for both": {dst: "::ffff:10.1.2.3", want: "10.1.2.3"},
		"its IPv6 address":              {dst: "2001:db8::7", want: "2001:db8::7"},
		"its link-local address":        {dst: "fe80::7", want: "fe80::7%eth0"},
		"another host":                  {dst: "10.1.2.4", err: "10.1.2.4 is no address of this pod"},
		"the metadata service":          {dst: "169.254.169.254", err: "169.254.169.254 is no address of this pod"},
		"loopback":                      {dst: "127.0.0.1", err: "127.0.0.1 is no address that a client can dial"},
		"loopback of IPv6":              {dst: "::1", err: "::1 is no address that a client can dial"},
		"all addresses":                 {dst: "0.0.0.0", err: "0.0.0.0 is no address of this pod"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := own.find(netip.MustParseAddr(tc.dst))
			if err != nil && err.Error() != tc.err || err == nil && (tc.err != "" || got.String() != tc.want) {
				t.Errorf("got %v, %v; want %s %s", got, err, tc.want, tc.err)
			}
		})
	}
}

func TestAddressesOfThePodAreReadAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var has []netip.Addr
		var broken error
		reads := 0
		own := ownAddresses{list: func() ([]netip.Addr, error) { reads++; return has, broken }}
		a := netip.MustParseAddr("10.1.2.3")
		finds := func(want bool) {
			t.Helper()
			if _, err := own.find(a); (err == nil) != want {
				t.Errorf("after %d reads: found is %v (%v)", reads, err == nil, err)
			}
		}
		finds(false)
		has = []netip.Addr{a}
		finds(false) // it was looked for just now
		time.Sleep(ownAgain)
		finds(true)
		for range 100 {
			finds(true)
		}
		if reads != 2 {
			t.Errorf("%d reads, want 2", reads)
		}
		has = nil
		time.Sleep(ownKept)
		finds(false)
		has, broken = []netip.Addr{a}, errors.New("no netlink")
		time.Sleep(ownKept)
		finds(false)
	})
}
