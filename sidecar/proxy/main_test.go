package proxy

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// TestMain makes sure that what the tests have had the proxy hold of bodies is given back: what is counted for nobody would leave everybody less
// room for good.
func TestMain(m *testing.M) {
	code := m.Run()
	for end := time.Now().Add(10 * time.Second); loop.Held() != 0 && time.Now().Before(end); {
		<-time.After(10 * time.Millisecond) // loops end by themselves
	}
	if n := loop.Held(); code == 0 && n != 0 {
		fmt.Fprintf(os.Stderr, "%d bytes are counted as held, and nobody is left who could hold them\n", n)
		code = 1
	}
	os.Exit(code)
}
