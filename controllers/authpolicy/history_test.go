package authpolicy

import (
	"crypto/sha256"
	"strconv"
	"testing"

	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/controllers/compile"
	"github.com/bearerguard/bearerguard/controllers/push"
)

// step is a set that a namespace is given, and the revocations that it has.
type step struct {
	version  revoked.Version
	outcomes []compile.RevocationOutcome
}

func made(version string, revocations ...compile.RevocationRef) step {
	s := step{version: sha256.Sum256([]byte(version))}
	for _, ref := range revocations {
		s.outcomes = append(s.outcomes, compile.RevocationOutcome{Ref: ref})
	}
	return s
}

func uses(version string) push.Sidecar {
	return push.Sidecar{UID: "uid", Revocations: push.Revocations{Acked: sha256.Sum256([]byte(version))}}
}

func TestWhichRevocationsAVersionHas(t *testing.T) {
	t.Parallel()
	a, b := compile.RevocationRef{Name: "a", UID: "1", Generation: 1}, compile.RevocationRef{Name: "b", UID: "2", Generation: 1}
	b2 := b
	b2.Generation = 2
	tests := map[string]struct {
		made []step
		uses []string // the last one counts
		ref  compile.RevocationRef
		want bool
	}{
		"what came before it":                      {[]step{made("v1", a)}, []string{"v1"}, a, true},
		"not what came after it":                   {[]step{made("v1", a), made("v2", a, b)}, []string{"v1"}, b, false},
		"what it has while others change":          {[]step{made("v1", a), made("v2", a, b), made("v3", a, b2)}, []string{"v1"}, a, true},
		"not an older generation":                  {[]step{made("v1", b), made("v2", b2)}, []string{"v1"}, b2, false},
		"a change that no sidecar sees":            {[]step{made("v1", b), made("v1", b2)}, []string{"v1"}, b2, true},
		"a version that is made again":             {[]step{made("v1", a), made("v2", a, b), made("v1", a)}, []string{"v1"}, a, true},
		"one made anew as it was":                  {[]step{made("v2", a, b), made("v1", a), made("v2", a, b2)}, []string{"v2"}, b2, true},
		"an unknown version of another replica":    {[]step{made("v1", a), made("v3", a, b)}, []string{"v1", "v2"}, a, true},
		"an unknown version, for what came since":  {[]step{made("v1", a), made("v3", a, b)}, []string{"v1", "v2"}, b, false},
		"an unknown version and nothing before it": {[]step{made("v1", a)}, []string{"v0"}, a, false},
		"nothing yet":                              {[]step{made("v1", a)}, nil, a, false},
	}
	for name, tc := range tests {
		h := &history{}
		for _, r := range tc.made {
			h.note(r.outcomes, r.version)
		}
		acked, _ := h.reach(push.Sidecar{UID: "uid"})
		for _, v := range tc.uses {
			acked, _ = h.reach(uses(v))
		}
		came, ok := h.came(tc.ref)
		if got := acked >= came; !ok || got != tc.want {
			t.Errorf("%s: %v, want %v (came in step %d, uses %d)", name, got, tc.want, came, acked)
		}
	}
}

func TestAHistoryForgets(t *testing.T) {
	t.Parallel()
	h := &history{}
	for i := range 3 * maxVersions {
		s := made(strconv.Itoa(i), compile.RevocationRef{Name: "a", Generation: int64(i)})
		h.note(s.outcomes, s.version)
	}
	h.reach(uses("5"))
	if len(h.versions) > maxVersions+1 || len(h.since) != 1 {
		t.Errorf("%d versions and %d revocations are kept", len(h.versions), len(h.since))
	}
	h.note(nil, revoked.Version{})
	h.retain(nil)
	if len(h.reached) != 0 || len(h.since) != 0 {
		t.Errorf("%d pods and %d revocations that are gone are kept", len(h.reached), len(h.since))
	}
	if _, ok := h.came(compile.RevocationRef{Name: "a"}); ok {
		t.Error("a revocation that is gone is known")
	}
}
