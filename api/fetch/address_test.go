package fetch

import (
	"errors"
	"net/netip"
	"testing"
)

func TestGuard(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		addr   string
		allow  string
		refuse string
	}{
		"a public address is fine":                      {addr: "93.184.216.34"},
		"a private address is fine":                     {addr: "10.1.2.3"},
		"a cluster's service address is fine":           {addr: "172.20.0.10"},
		"a private IPv6 address is fine":                {addr: "fd12:3456::1"},
		"a public IPv6 address is fine":                 {addr: "2606:2800:220:1::1"},
		"loopback":                                      {addr: "127.0.0.1", refuse: "loopback"},
		"all of the loopback network":                   {addr: "127.200.3.4", refuse: "loopback"},
		"IPv6 loopback":                                 {addr: "::1", refuse: "loopback"},
		"loopback mapped into IPv6":                     {addr: "::ffff:127.0.0.1", refuse: "loopback"},
		"loopback as IPv4-compatible":                   {addr: "::127.0.0.1", refuse: "loopback"},
		"loopback through NAT64":                        {addr: "64:ff9b::7f00:1", refuse: "loopback"},
		"loopback through 6to4":                         {addr: "2002:7f00:1::", refuse: "loopback"},
		"local-use NAT64":                               {addr: "64:ff9b:1::7f00:1", refuse: "translated"},
		"stateless translation":                         {addr: "::ffff:0:7f00:1", refuse: "translated"},
		"Teredo":                                        {addr: "2001:0:7f00:1::", refuse: "tunnelled"},
		"link-local and metadata":                       {addr: "169.254.169.254", refuse: "link-local"},
		"metadata mapped into IPv6":                     {addr: "::ffff:169.254.169.254", refuse: "link-local"},
		"metadata through NAT64":                        {addr: "64:ff9b::a9fe:a9fe", refuse: "link-local"},
		"metadata of Amazon over IPv6":                  {addr: "fd00:ec2::254", refuse: "metadata service"},
		"metadata of Google over IPv6":                  {addr: "fd20:ce::254", refuse: "metadata service"},
		"metadata of Alibaba":                           {addr: "100.100.100.200", refuse: "metadata service"},
		"metadata of Azure":                             {addr: "168.63.129.16", refuse: "metadata service"},
		"link-local IPv6":                               {addr: "fe80::1", refuse: "link-local"},
		"link-local IPv6 with a zone":                   {addr: "fe80::1%eth0", refuse: "link-local"},
		"unspecified":                                   {addr: "0.0.0.0", refuse: "unspecified"},
		"this network":                                  {addr: "0.1.2.3", refuse: "unspecified"},
		"unspecified IPv6":                              {addr: "::", refuse: "unspecified"},
		"multicast":                                     {addr: "224.0.0.1", refuse: "multicast"},
		"multicast IPv6":                                {addr: "ff02::1", refuse: "multicast"},
		"broadcast":                                     {addr: "255.255.255.255", refuse: "reserved"},
		"loopback when the operator allows it":          {addr: "127.0.0.1", allow: "127.0.0.0/8"},
		"mapped loopback when the operator allows it":   {addr: "::ffff:127.0.0.1", allow: "127.0.0.0/8"},
		"metadata when the operator allows loopback":    {addr: "169.254.169.254", allow: "127.0.0.0/8", refuse: "link-local"},
		"IPv6 loopback when the operator allows IPv4's": {addr: "::1", allow: "127.0.0.0/8", refuse: "loopback"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var allow []netip.Prefix
			if test.allow != "" {
				allow = append(allow, netip.MustParsePrefix(test.allow))
			}
			err := newGuard(allow).check(netip.MustParseAddr(test.addr))
			got := ""
			if e := (*AddressError)(nil); errors.As(err, &e) {
				got = e.Kind
			}
			if got != test.refuse {
				t.Errorf("check(%s) = %q, want %q", test.addr, got, test.refuse)
			}
		})
	}
}

func TestGuardRefusesTheZeroAddress(t *testing.T) {
	t.Parallel()
	if err := newGuard(nil).check(netip.Addr{}); err == nil {
		t.Error("the zero address passes")
	}
}
