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

// onePort is the case that cannot pass where HTTP/1.1 is spoken on the same port: what is no preface is answered in HTTP/1.1, by 400.
const onePort = "http2/3.5: Sends invalid connection preface"

// TestH2spec runs h2spec, the conformance suite for RFC 9113 and RFC 7541, against the proxy: without TLS, and with it, where nothing else is
// spoken once it is agreed on (RFC 7301).
func TestH2spec(t *testing.T) {
	t.Parallel()
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write(bytes.Repeat([]byte("a"), 256))
	})
	for _, way := range []proxy.AppProtocol{proxy.AppAuto, proxy.AppH2C} {
		protocol := func(c *proxy.Config) { c.AppProtocol = way }
		t.Run("app protocol "+string(way), func(t *testing.T) {
			t.Parallel()
			allPass(t, h2spec(t, guard(t, "http://"+app, protocol)), onePort)
		})
		t.Run("app protocol "+string(way)+", TLS", func(t *testing.T) {
			t.Parallel()
			allPass(t, h2spec(t, guard(t, "http://"+app, protocol, secure), "--tls", "--insecure"), "")
		})
	}
}

// allPass fails for each case that did not pass, but for one.
func allPass(t *testing.T, passed map[string]bool, but string) {
	t.Helper()
	if len(passed) < 100 {
		t.Fatalf("%d cases ran", len(passed))
	}
	for _, name := range slices.Sorted(maps.Keys(passed)) {
		if !passed[name] && name != but {
			t.Errorf("failed: %s", name)
		}
	}
}

// h2spec runs the suite and returns which cases passed; skipped ones count as such.
func h2spec(t *testing.T, addr string, more ...string) map[string]bool {
	report := filepath.Join(t.TempDir(), "report.xml")
	host, port, _ := net.SplitHostPort(addr)
	out, err := exec.CommandContext(t.Context(), "go", append([]string{"tool", "h2spec", "--host", host, "--port", port, "--path", "/open/a", "--timeout", "2", "--junit-report", report}, more...)...).CombinedOutput()
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
