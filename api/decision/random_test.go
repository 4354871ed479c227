package decision_test

import (
	"math/rand/v2"
	"net/http"
	"net/netip"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/decision/randompolicy"
)

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 2)) }

func randomRequest(rnd *rand.Rand) *decision.Request {
	r := &decision.Request{
		Method: randompolicy.OneOf(rnd, "GET", "PUT", "POST", "DELETE", "HEAD"),
		Host:   randompolicy.OneOf(rnd, "a.example", "b.example", "c.example", "x.a.example", "y.x.a.example", "example", "ann"),
		Path:   randompolicy.Path(rnd, []string{"a", "b", "c", "d", "ab", "a.b", "aab", "bc", "ann"}, []string{"", "/"}),
		Port:   8080 + rnd.IntN(2), Header: http.Header{}, Remote: netip.MustParseAddr(randompolicy.OneOf(rnd, "10.1.2.3", "10.2.0.1", "192.0.2.1", "fd00::1")),
		Now: time.Date(2026, 11, 25, 5+rnd.IntN(2), 30, 0, 0, time.UTC),
	}
	for range rnd.IntN(3) {
		r.Header.(http.Header).Add(randompolicy.OneOf(rnd, "X-A", "X-B"), randompolicy.OneOf(rnd, "a", "b", "ab", "abc", "", "a, b", "a,ab", "x"))
	}
	if rnd.IntN(3) == 0 {
		r.ClientCert = &decision.ClientCert{Subject: "CN=a", SANs: []string{"spiffe://a"}}
	}
	return r
}
