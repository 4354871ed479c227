package dpop_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/dpop"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// The proofs of RFC 9449, figures 2 (section 4.1, a token request: it has no ath) and 12 (section 7.1), and the token of
// figure 13.
const (
	figure2 = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19." +
		"eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ." +
		"2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
	figure12 = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19." +
		"eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9." +
		"2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
	figure13 = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
	jkt      = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" // section 6.1
)

func settings(t testing.TB, p policy.Proof) *dpop.Settings {
	t.Helper()
	s, err := dpop.NewSettings(&policy.Issuer{Proof: &p}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func thumbprint(t testing.TB, text string) [32]byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return [32]byte(b)
}

func TestExamplesOfRFC9449(t *testing.T) {
	t.Parallel()
	if _, no := dpop.Parse(figure2); no.Reason != decision.BadProof || no.Cause.String() != "the proof has no ath" {
		t.Errorf("figure 2: %v %v", no.Reason, no.Cause)
	}
	p, no := dpop.Parse(figure12)
	if no.Refused() {
		t.Fatal(no.Cause)
	}
	if no := p.Fits(dpop.Use{Method: "GET", Token: figure13, Key: thumbprint(t, jkt)}); no.Refused() {
		t.Error(no.Cause)
	}
	if no := p.Signed(); no.Refused() {
		t.Error(no.Cause)
	}
	s := settings(t, policy.Proof{DPoP: policy.BindingRequired, PublicURLs: []string{"https://resource.example.org"}})
	for at, good := range map[int64]bool{1562262618: true, 1562262618 + 90: true, 1562262618 + 91: false, 1562262618 - 31: false} {
		if no := s.Check(p, "/protectedresource", time.Unix(at, 0)); no.Refused() == good {
			t.Errorf("at %d: %v", at, no.Cause)
		}
	}
	changed, no := dpop.Parse(figure12[:len(figure12)-8] + "AAAAAAAA")
	if no.Refused() || !changed.Signed().Refused() {
		t.Error("a changed signature verifies")
	}
}

func TestPublicURLs(t *testing.T) {
	t.Parallel()
	alice := gatetest.NewProver("alice")
	now := time.Unix(1_800_000_000, 0)
	for _, tt := range []struct {
		public, path, htu string
		want              bool
	}{
		{"https://a.example", "/x", "https://a.example/x", true},
		{"https://a.example/", "/x", "https://a.example/x", true},
		{"https://a.example", "/", "https://a.example", true},
		{"https://a.example/", "/", "https://a.example/", true},
		{"https://a.example:443", "/x", "https://A.example/x", true},
		{"http://a.example:80", "/x", "http://a.example:/x", true},
		{"https://a.example:80", "/x", "https://a.example/x", false},
		{"https://a.example/shop", "/x", "https://a.example/shop/x", true},
		{"https://a.example/shop", "/x", "https://a.example/x", false},
		{"https://a.example/shop", "/x", "https://a.example/shop/../x", false},
		{"https://a.example/shop", "/../x", "https://a.example/x", false},
		{"https://a.example/shop/", "/", "https://a.example/shop", true},
		{"https://a.example/shop/", "/", "https://a.example/shop/", true},
		{"https://a.example/shop", "/", "https://a.example/shopping", false},
		{"https://[2001:DB8::1]:8443", "/x", "https://[2001:db8::1]:8443/x", true},
		{"https://a.example", "/a//b", "https://a.example/a//b", true},
		{"https://a.example", "/a//b", "https://a.example/a/b", false},
		{"https://a.example", "/a%2Fb", "https://a.example/a%2fb", true},
		{"https://a.example", "/a%2Fb", "https://a.example/a/b", false},
		{"https://a.example", "/a/..", "https://a.example/", true},
		{"https://a.example", "/%2e%2e/x", "https://a.example/x", true},
		{"https://a.example", "/a~b", "https://a.example/a%7Eb", true},
		{"https://a.example", "/x", "https://a.example/x%", false},
		{"https://a.example", "/x", "https://a.example\\@b.example/x", false},
		{"https://a.example", "/x", "https://a.example%2fb/x", false},
		{"https://a.example", "/x", "ftp://a.example/x", false},
		{"https://a.example", "/x", "https:/a.example/x", false},
		{"https://a.example", "/x", "//a.example/x", false},
		{"https://a.example", "/x", "https://", false},
		{"https://a.example", "/x", "https://a.example:x/x", false},
		{"https://a.example", "/x", "https://a.example/x\u00e4", false},
	} {
		p, no := dpop.Parse(alice.Proof(gatetest.Made{Method: "GET", URL: tt.htu, ID: "1", At: now}))
		if no.Refused() {
			t.Fatal(no.Cause)
		}
		s := settings(t, policy.Proof{DPoP: policy.BindingIfBound, PublicURLs: []string{tt.public}})
		if no := s.Check(p, tt.path, now); no.Refused() == tt.want {
			t.Errorf("%s with path %s, htu %s: %v", tt.public, tt.path, tt.htu, no.Cause)
		}
	}
}

func TestCausesTellWhatIsWanted(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	p, _ := dpop.Parse(gatetest.NewProver("alice").Proof(gatetest.Made{Method: "GET", URL: "https://gateway.internal/x", ID: "1", At: now}))
	no := settings(t, policy.Proof{DPoP: policy.BindingIfBound, PublicURLs: []string{"https://api.example.com/v1/"}}).Check(p, "/x", now)
	const text, detail = "htu is not the URL of the request; want https://api.example.com/v1 and the request's path",
		`htu is not the URL of the request: it is "https://gateway.internal/x"; want https://api.example.com/v1 and the request's path`
	if no.Cause.String() != text || no.Cause.Detail() != detail {
		t.Errorf("%s\n%s", no.Cause, no.Cause.Detail())
	}
}

// One client that fills the memory pushes out its own proofs.
func TestMemoryIsShared(t *testing.T) {
	t.Parallel()
	const most = 100
	now := time.Unix(1_800_000_000, 0)
	m := dpop.NewMemory(most)
	s := settings(t, policy.Proof{DPoP: policy.BindingIfBound, PublicURLs: []string{"https://a.example"}})
	proof := func(by *gatetest.Prover, id int) *dpop.Proof {
		p, no := dpop.Parse(by.Proof(gatetest.Made{Method: "GET", URL: "https://a.example/x", ID: fmt.Sprint(id), At: now}))
		if no.Refused() {
			t.Fatal(no.Cause)
		}
		return p
	}
	victim, other, flood := gatetest.NewProver("victim"), gatetest.NewProver("other"), gatetest.NewProver("flood")
	for i := range 10 {
		if !m.Take(proof(victim, i), s, now) || !m.Take(proof(other, i), s, now) {
			t.Fatal("a new proof is not taken")
		}
	}
	for i := range 5 * most {
		if !m.Take(proof(flood, i), s, now) {
			t.Fatal("who floods is refused, and so may others be")
		}
	}
	for i := range 10 {
		if m.Take(proof(victim, i), s, now) || m.Take(proof(other, i), s, now) {
			t.Errorf("proof %d of another client was pushed out by a flood", i)
		}
	}
	if n, forgotten := m.Stats(); n != most || forgotten != 4*most+20 {
		t.Errorf("%d proofs, %d forgotten", n, forgotten)
	}
	if m.Take(proof(flood, 5*most-1), s, now) {
		t.Error("the last proof of the flood is not remembered")
	}
	now = now.Add(91 * time.Second)
	if !m.Take(proof(victim, 1000), s, now) {
		t.Error("nothing is taken any more")
	}
	if n, _ := m.Stats(); n != 1 {
		t.Errorf("%d proofs are kept beyond their time", n)
	}
}

func FuzzParse(f *testing.F) {
	alice := gatetest.NewProver("alice")
	now := time.Unix(1_800_000_000, 0)
	f.Add(figure2, "/protectedresource")
	f.Add(figure12, "/protectedresource")
	f.Add(alice.Proof(gatetest.Made{Method: "GET", URL: "https://a.example/%7e/../x", ID: "1", At: now, Token: "t"}), "/x")
	f.Add("e30.e30.e30", "/%2e")
	s := settings(f, policy.Proof{DPoP: policy.BindingIfBound, PublicURLs: []string{"https://a.example", "https://resource.example.org"}})
	f.Fuzz(func(t *testing.T, raw, path string) {
		p, no := dpop.Parse(raw)
		if no.Refused() {
			if no.Reason != decision.BadProof || no.Cause == nil || no.Cause.String() == "" || no.Cause.Detail() == "" || p != nil {
				t.Errorf("%q is refused with %s: %v", raw, no.Reason, no.Cause)
			}
			return
		}
		if len(raw) > dpop.MaxBytes || strings.Count(raw, ".") != 2 {
			t.Errorf("%q is taken", raw)
		}
		if path != "" {
			s.Check(p, path, now)
		}
		_ = p.Fits(dpop.Use{Method: "GET", Token: "t"})
		p.Signed()
	})
}

// FuzzURL holds the normal form to itself: what is normal stays as it is.
func FuzzURL(f *testing.F) {
	for _, s := range []string{"https://A.example:443/%7e/../x?y#z", "http://[::1]:8080", "https://a/./", "https://a//..//b", "https://u@a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, url string) {
		once, ok := dpop.Normal(url)
		if !ok {
			return
		}
		if twice, ok := dpop.Normal(once); !ok || twice != once {
			t.Errorf("%q is %q and then %q", url, once, twice)
		}
		if strings.ContainsAny(once, "?#@ ") && !strings.Contains(once[len("https://"):], "/") {
			t.Errorf("%q is %q", url, once)
		}
	})
}
