package exposure

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
)

const header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

func TestParse(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"loopback":              {header + "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 1 1 0 100 0 0 10 0\n", "127.0.0.1:8080"},
		"every address":         {header + "   0: 00000000:4650 00000000:0000 0A 00000000:00000000\n", "0.0.0.0:18000"},
		"the pod's address":     {header + "   0: 0302010A:4650 00000000:0000 0A x\n", "10.1.2.3:18000"},
		"a connection":          {header + "   0: 0302010A:4650 0402010A:0050 01 x\n", ""},
		"every address of IPv6": {header + "   0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A x\n", "[::]:8080"},
		"loopback of IPv6":      {header + "   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A x\n", "[::1]:8080"},
		"IPv4 on such a socket": {header + "   0: 0000000000000000FFFF00000100007F:1F90 00000000000000000000000000000000:0000 0A x\n", "127.0.0.1:8080"},
		"two, and what is none": {"0: 00000000:0050 x 0A\nrubbish\n0: 0000:0050 x 0A\n0: G0000000:0050 x 0A\n0: 00000000:0051 x 0A", "0.0.0.0:80 0.0.0.0:81"},
		"nothing":               {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			all, err := Parse(strings.NewReader(tc.text))
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range all {
				got = append(got, a.String())
			}
			if diff := cmp.Diff(strings.Fields(tc.want), append([]string{}, got...)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestConnectionsTakeNoMemory has a table of as many connections as a busy pod has.
func TestConnectionsTakeNoMemory(t *testing.T) {
	connections := strings.Repeat("   1: 0302010A:4650 0402010A:0050 01 00000000:00000000 00:00000000 00000000  1000 0 1 1 0 100 0 0 10 0\n", 20_000)
	text := strings.NewReader(header + "   0: 00000000:4650 00000000:0000 0A x\n" + connections)
	var all []netip.AddrPort
	if n := testing.AllocsPerRun(1, func() {
		_, _ = text.Seek(0, io.SeekStart)
		all, _ = Parse(text)
	}); n > 10 {
		t.Errorf("%.0f allocations", n)
	}
	if len(all) != 1 {
		t.Errorf("%d sockets listen, want 1", len(all))
	}
	if unread := text.Len(); unread < len(connections)/2 {
		t.Errorf("%d bytes of %d were left unread", unread, len(connections))
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(header + "   0: 0100007F:1F90 00000000:0000 0A x\n"))
	f.Add([]byte("0: 00000000000000000000000001000000:1F90 0:0 0A"))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, _ := Parse(bytes.NewReader(b)) // a line may be too long
		for _, a := range all {
			if !a.IsValid() || a.Port() == 0 {
				t.Errorf("%q reads as %s", b, a)
			}
		}
	})
}

func TestTheKernelsOwnTables(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("no /proc")
	}
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", "0.0.0.0:0", ":0"} {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
		if err != nil {
			t.Logf("%s: %v", address, err)
			continue
		}
		defer l.Close()
		all, err := tables()
		if err != nil {
			t.Fatal(err)
		}
		want := netip.MustParseAddrPort(l.Addr().String())
		if !slices.Contains(all, want) {
			t.Errorf("%s listens, and is not found", want)
		}
	}
}

func at(addresses ...string) []netip.AddrPort {
	var out []netip.AddrPort
	for _, a := range addresses {
		out = append(out, netip.MustParseAddrPort(a))
	}
	return out
}

func TestPortsPastTheSidecarAreTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // guards what follows
		var now []netip.AddrPort
		var broken error
		var open, past []uint16
		var lines []string
		w := New(Config{
			Behind: []uint16{18080, 19090}, Own: []uint16{8080, 15081},
			Read: func() ([]netip.AddrPort, error) {
				mu.Lock()
				defer mu.Unlock()
				return now, broken
			},
			Found: func(o, p []uint16) {
				mu.Lock()
				defer mu.Unlock()
				open, past = o, p
			},
			Log: funcr.New(func(_, args string) {
				mu.Lock()
				defer mu.Unlock()
				lines = append(lines, args)
			}, funcr.Options{}),
		})
		listen := func(all []netip.AddrPort, err error) {
			mu.Lock()
			defer mu.Unlock()
			now, broken = all, err
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = w.Run(ctx) }()
		defer cancel()
		check := func(wantOpen, wantPast []uint16, wantLines int) {
			t.Helper()
			time.Sleep(soon)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(open, wantOpen) || !slices.Equal(past, wantPast) || w.Bypassable() != len(wantPast) || len(lines) != wantLines {
				t.Errorf("open %v, past %v (%d), %q", open, past, w.Bypassable(), lines)
			}
		}
		listen(at("0.0.0.0:8080", "[::]:15081", "127.0.0.1:18080", "[::1]:19090"), nil)
		check(nil, nil, 0)
		listen(at("[::]:8080", "0.0.0.0:18080", "10.1.2.3:18080", "10.1.2.3:7000"), nil)
		check([]uint16{7000, 18080}, []uint16{18080}, 1)
		check([]uint16{7000, 18080}, []uint16{18080}, 1)
		listen(nil, errors.New("no proc"))
		check([]uint16{7000, 18080}, []uint16{18080}, 2)
		check([]uint16{7000, 18080}, []uint16{18080}, 2)
		listen(at("127.0.0.1:18080"), nil)
		check(nil, nil, 2)
	})
}

func TestPortsOnLoopbackAreHintedAtOnce(t *testing.T) {
	t.Parallel()
	var lines []string
	w := New(Config{
		Captured: true, Own: []uint16{15080, 15081},
		Read: func() ([]netip.AddrPort, error) {
			return at("127.0.0.1:9000", "[::1]:9000", "127.0.0.1:8080", "0.0.0.0:8080", "127.0.0.1:15081"), nil
		},
		Log: funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{}),
	})
	w.look()
	w.look()
	if len(lines) != 1 || !strings.Contains(lines[0], `"port"=9000`) || w.Bypassable() != 0 {
		t.Errorf("%d ports past the sidecar, log %q", w.Bypassable(), lines)
	}
}
