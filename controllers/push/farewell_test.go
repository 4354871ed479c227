package push_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/controllers/compile"
	"github.com/bearerguard/bearerguard/controllers/push"
	"github.com/bearerguard/bearerguard/controllers/push/reportv1"
)

func TestSidecarsAreToldWhenToComeBack(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		age         time.Duration
		then        func(t *testing.T, r *replica)
		least, most time.Duration
	}{
		"at once when the stream is old": {age: 200 * time.Millisecond, then: func(*testing.T, *replica) {}},
		"later when the only replica stops": {
			then: func(_ *testing.T, r *replica) { r.stop() }, least: 2 * time.Second, most: 3 * time.Second,
		},
		"soon when one of several replicas stops": {
			then: func(t *testing.T, r *replica) {
				t.Helper()
				rpc, err := reportv1.NewReportsClient(r.dial(t)).Report(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				err = rpc.Send(&reportv1.Change{Replica: "other", Sidecars: []*reportv1.Sidecar{{Namespace: "shop", Pod: "b", Uid: "uid-b"}}})
				if err != nil {
					t.Fatal(err)
				}
				r.until(t, "the other replica reports", func(m map[string]push.Sidecar) bool { return m["uid-b"].UID != "" })
				r.stop()
			},
			least: 200 * time.Millisecond, most: time.Second,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startReplica(t, newCertificate(t), func(p *push.Config) { p.MaxStreamAge = c.age })
			v1 := newBundle("v1", 1)
			r.give(map[string]*compile.Bundle{"a": v1, "b": v1})
			s := r.connect(t, r.tokens.mint("a", tomorrow(), nil), "")
			s.expect(v1)
			c.then(t, r)
			err := s.ends()
			told := s.rpc.Trailer().Get(bundle.WaitTrailer)
			if len(told) != 1 {
				t.Fatalf("told %q, ended with %v; want one number", told, err)
			}
			ms, err := strconv.Atoi(told[0])
			if wait := time.Duration(ms) * time.Millisecond; err != nil || wait < c.least || wait > c.most {
				t.Errorf("told to wait %s, %v; want %s to %s", wait, err, c.least, c.most)
			}
		})
	}
}
