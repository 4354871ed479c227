package conformance

import (
	"bytes"
	"encoding/xml"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bearerguard/bearerguard/sidecar/proxy"
)

// goFails are the cases that Go's server fails, and so the proxy.
var goFails = []string{
	"http2/3.5: Sends invalid connection preface", // it is answered in HTTP/1.1: 400
	"http2/6.5.3: Sends multiple values of SETTINGS_INITIAL_WINDOW_SIZE",
	// Both are answered 400; the suite wants the stream to be reset.
	`http2/8.1.2.2: Sends a HEADERS frame that contains the TE header field with any value other than "trailers"`,
	"http2/8.1.2.2: Sends a HEADERS frame that contains the connection-specific header field",
}

// TestH2spec runs h2spec, the conformance suite for RFC 9113 and RFC 7541, against the proxy in h2c. The proxy's server
// for HTTP/2 is Go's: the same suite runs against that alone, and the proxy must fail nothing that it does not fail.
func TestH2spec(t *testing.T) {
	t.Parallel()
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write(bytes.Repeat([]byte("a"), 256))
	})
	theirs := h2spec(t, app)
	for _, way := range []proxy.AppProtocol{proxy.AppAuto, proxy.AppH2C} {
		t.Run("app protocol "+string(way), func(t *testing.T) {
			t.Parallel()
			addr := guard(t, "http://"+app, func(c *proxy.Config) { c.AppProtocol = way })
			compareH2spec(t, h2spec(t, addr), theirs)
		})
	}
}

// compareH2spec fails for each case that only the proxy fails.
func compareH2spec(t *testing.T, ours, theirs map[string]bool) {
	t.Helper()
	if len(theirs) < 100 || len(ours) != len(theirs) {
		t.Fatalf("%d cases ran against the proxy, %d against Go's server", len(ours), len(theirs))
	}
	failed := 0
	for _, name := range slices.Sorted(maps.Keys(ours)) {
		switch {
		case ours[name]:
		case !theirs[name] && slices.Contains(goFails, name):
			failed++
			t.Logf("Go's server fails it, too: %s", name)
		case !theirs[name]:
			failed++
			t.Errorf("Go's server fails it, too, but it is not listed: %s", name)
		default:
			failed++
			t.Errorf("Go's server passes it: %s", name)
		}
	}
	t.Logf("%d of %d cases passed", len(ours)-failed, len(ours))
}

// h2spec runs the suite and returns which cases passed; skipped ones count as such.
func h2spec(t *testing.T, addr string) map[string]bool {
	report := filepath.Join(t.TempDir(), "report.xml")
	host, port, _ := net.SplitHostPort(addr)
	out, err := exec.CommandContext(t.Context(), "go", "tool", "h2spec", "--host", host, "--port", port, "--path", "/open/a", "--timeout", "2", "--junit-report", report).CombinedOutput()
	t.Logf("%s", bytes.TrimSpace(out[bytes.LastIndexByte(bytes.TrimSpace(out), '\n')+1:]))
	b, readErr := os.ReadFile(report)
	if readErr != nil {
		t.Errorf("h2spec: %v\n%s", err, out) // an error with a report means that cases failed
		return nil
	}
	var suites struct {
		Suites []struct {
			Cases []struct {
				Package   string    `xml:"package,attr"`
				ClassName string    `xml:"classname,attr"`
				Failure   *struct{} `xml:"failure"`
				Error     *struct{} `xml:"error"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(b, &suites); err != nil {
		t.Error(err)
		return nil
	}
	passed := map[string]bool{}
	for _, s := range suites.Suites {
		for _, c := range s.Cases {
			passed[c.Package+": "+c.ClassName] = c.Failure == nil && c.Error == nil
		}
	}
	return passed
}
