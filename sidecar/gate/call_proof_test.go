package gate_test

import (
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// A request to an MCP server is judged before its body is read and after that, which must not make its proof a replay.
func TestAProofIsTakenOnceForARequestThatIsJudgedTwice(t *testing.T) {
	t.Parallel()
	alice := gatetest.NewProver("alice")
	spec := server()
	spec.Issuers[0].Proof = &policy.Proof{DPoP: policy.BindingIfBound, PublicURLs: []string{public}}
	g := newGate(t, gatetest.Policy("server", spec))
	token := bound(alice, map[string]any{"scope": "tools.read"})
	ask := func(id string, body *gate.Body) gate.Verdict {
		proof := alice.Proof(gatetest.Made{Method: "POST", URL: public + "/mcp", Token: token, ID: id, At: start})
		r := message("", "Authorization", "DPoP "+token, "Dpop", proof)
		r.Body = body
		return g.Judge(r)
	}
	body := &gate.Body{Data: []byte(tool("get_user")), Whole: true}
	for _, id := range []string{"jti-1", "jti-2"} {
		if v := ask(id, nil); v.WantBody == 0 || v.Forward {
			t.Errorf("%s, before its body: %+v", id, v)
		}
		if v := ask(id, body); !v.Forward {
			t.Errorf("%s: %s %v", id, v.Reason, v.Cause)
		}
		if v := ask(id, body); v.Reason != decision.ProofReplayed {
			t.Errorf("%s again: %s %v", id, v.Reason, v.Cause)
		}
	}
}

// A request that is slow to bring its body must not be judged by the time at which it came: what remembers proofs has gone on.
func TestAnOldTimeBringsNoProofBack(t *testing.T) {
	t.Parallel()
	alice, bob := gatetest.NewProver("alice"), gatetest.NewProver("bob")
	g := newGate(t, gatetest.Policy("orders", proofs(dpopIfBound())))
	ask := func(by *gatetest.Prover, id string, made, at time.Time) decision.Reason {
		r := attempt{token: bound(by, nil), by: by, made: gatetest.Made{ID: id, At: made}}.request()
		r.Time = at
		return g.Judge(r).Reason
	}
	for i, c := range []struct {
		by       *gatetest.Prover
		id       string
		made, at time.Time
		want     decision.Reason
	}{
		{alice, "1", start, start, decision.Allowed},
		{bob, "2", start.Add(100 * time.Second), start.Add(100 * time.Second), decision.Allowed},
		{alice, "1", start, start.Add(5 * time.Second), decision.ProofReplayed},
	} {
		if got := ask(c.by, c.id, c.made, c.at); got != c.want {
			t.Errorf("%d: %s, want %s", i, got, c.want)
		}
	}
}
