package decision_test

import (
	"net/netip"
	"testing"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
)

// counted is a claim that counts how often it is compared.
type counted struct {
	types.String
	times *int
}

func (c counted) Equal(other ref.Val) ref.Val {
	*c.times++
	return c.String.Equal(other)
}

// TestWhenOfClaimsIsSettledOnce holds that an expression over claims alone is evaluated once a token, and never again
// for a request; one that looks at the request is evaluated for each.
func TestWhenOfClaimsIsSettledOnce(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		when          string
		bind, request int
	}{
		"claims alone":       {`claims.sub == "ann"`, 1, 0},
		"claims and issuer":  {`claims.sub == "ann" && issuer != "x"`, 1, 0},
		"claims and request": {`claims.sub == "ann" && request.method == "GET"`, 0, 1},
		"claims and a name":  {`claims.sub == "ann" && path.x != "y"`, 0, 1},
		"claims and time":    {`claims.sub == "ann" && now > timestamp("2020-01-01T00:00:00Z")`, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := compile(t, corp+"rules: [{name: r, match: [{paths: ['/{x}']}], allow: {when: '"+test.when+"'}}]")
			times := 0
			s := p.Bind(decision.Claims{"iss": "i", "sub": counted{"ann", &times}}, 1)
			if times != test.bind {
				t.Errorf("Bind evaluates it %d times, want %d", times, test.bind)
			}
			times = 0
			for range 10 {
				if d := p.Decide(request(t, "GET /x"), s); !d.Allowed {
					t.Fatal(d.Reason)
				}
			}
			if times != 10*test.request {
				t.Errorf("10 times Decide evaluates it %d times, want %d", times, 10*test.request)
			}
		})
	}
}

func TestWhenSeesTheClientCertificate(t *testing.T) {
	t.Parallel()
	p := compile(t, `
rules:
- {name: peer, match: [{paths: [/peer]}], allow: {anonymous: true, when: '"spiffe://cluster.local/ns/a/sa/b" in request.tls.san'}}
- {name: subject, match: [{paths: [/subject]}], allow: {anonymous: true, when: 'request.tls.subject == "CN=b"'}}
- {name: none, match: [{paths: [/none]}], allow: {anonymous: true, when: 'request.tls.subject == "" && request.tls.san == []'}}
`)
	cert := &decision.ClientCert{Subject: "CN=b", SANs: []string{"b.example", "spiffe://cluster.local/ns/a/sa/b"}}
	for line, want := range map[string][2]bool{"GET /peer": {false, true}, "GET /subject": {false, true}, "GET /none": {true, false}} {
		for i, c := range []*decision.ClientCert{nil, cert} {
			r := request(t, line)
			r.ClientCert = c
			if d := decide(t, p, r, nil); d.Allowed != want[i] {
				t.Errorf("%s with %v: %s", line, c, d.Reason)
			}
		}
	}
}

// TestPeers holds a rule on addresses against odd forms of them, and no address at all.
func TestPeers(t *testing.T) {
	t.Parallel()
	const block = "[10.0.0.0/8, 'fd00::/8']"
	for name, test := range map[string]struct {
		remote  netip.Addr
		in, out bool // whether allow remoteIPs, and allow notRemoteIPs, fit
	}{
		"an address of the block":     {netip.MustParseAddr("10.1.2.3"), true, false},
		"another address":             {netip.MustParseAddr("11.1.2.3"), false, true},
		"an IPv4 address in IPv6":     {netip.MustParseAddr("::ffff:10.1.2.3"), true, false},
		"an IPv6 address with a zone": {netip.MustParseAddr("fd00::1").WithZone("eth0"), true, false},
		"no address opens nothing":    {netip.Addr{}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for field, fits := range map[string]bool{"remoteIPs": test.in, "notRemoteIPs": test.out} {
				r := request(t, "GET /")
				r.Remote = test.remote
				allow := compile(t, "rules: [{name: r, match: [{"+field+": "+block+"}], allow: {anonymous: true}}]")
				if d := decide(t, allow, r, nil); d.Allowed != fits {
					t.Errorf("allow %s: %s", field, d.Reason)
				}
				deny := compile(t, "rules: [{name: all, allow: {anonymous: true}}, {name: r, match: [{"+field+": "+block+"}], deny: {}}]")
				if d := decide(t, deny, r, nil); d.Allowed != (test.remote.IsValid() && !fits) {
					t.Errorf("deny %s: %s", field, d.Reason)
				}
			}
		})
	}
}

func TestMaxBody(t *testing.T) {
	t.Parallel()
	const rules = `
rules:
- {name: small, allow: {anonymous: true, maxBody: 1Ki}}
- {name: tiny, allow: {anonymous: true, maxBody: '7'}}
- {name: large, match: [{paths: ['/large/**', '/any/**']}], allow: {anonymous: true, maxBody: 2Mi}}
- {name: any, match: [{paths: ['/any/**']}], allow: {authenticated: true}}
- {name: off, match: [{paths: [/off]}], deny: {}}
`
	p := compile(t, corp+rules, "mode: Audit\nrules: [{name: other, allow: {anonymous: true, maxBody: 1Gi}}]")
	token := p.Bind(claims(t, `{"sub":"ann"}`), 1)
	for line, want := range map[string][2]int64{ // without and with a token
		"GET /": {1 << 10, 1 << 10}, "GET /large/x": {2 << 20, 2 << 20}, "GET /any/x": {2 << 20, 0}, "GET /off": {0, 0},
	} {
		for i, s := range []*decision.Subject{nil, token} {
			if d := decide(t, p, request(t, line), s); d.MaxBody != want[i] {
				t.Errorf("%s: MaxBody %d, want %d", line, d.MaxBody, want[i])
			}
		}
	}
}

func TestRequestReads(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		`request.port == 80 && request.tls.subject == ""`: {"port", "tls"},
		`has(claims.a) ? .request.port > 1 : false`:       {"port"},
		"request // a remark\n . port == 80":              {"port"},
		`["a"].exists(x, x in request.tls.san)`:           {"tls"},
		`claims.request.port == 1 || claims.port == 1`:    nil,
		`"request.port" == ""`:                            nil,
		`request.`:                                        nil,
		``:                                                nil,
	} {
		if diff := cmp.Diff(want, decision.RequestReads(text)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}
