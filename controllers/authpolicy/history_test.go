package authpolicy

import (
	"testing"

	"github.com/bearerguard/bearerguard/controllers/compile"
	"github.com/bearerguard/bearerguard/controllers/push"
)

// made is a result in which one pod is given a version, and that has these revocations.
func made(version string, revocations ...compile.RevocationRef) compile.Result {
	r := compile.Result{Bundles: map[string]*compile.Bundle{"uid": {Ref: &compile.Ref{Version: version}}}}
	for _, ref := range revocations {
		r.Revocations = append(r.Revocations, compile.RevocationOutcome{Ref: ref})
	}
	return r
}

func uses(version string) push.Sidecar {
	return push.Sidecar{UID: "uid", Acked: &compile.Ref{Version: version}}
}

func TestWhichRevocationsAVersionHas(t *testing.T) {
	t.Parallel()
	a, b := compile.RevocationRef{Name: "a", UID: "1", Generation: 1}, compile.RevocationRef{Name: "b", UID: "2", Generation: 1}
	b2 := b
	b2.Generation = 2
	full := made("none", a, b)
	full.Bundles["uid"].Unrevoked = true
	tests := map[string]struct {
		made []compile.Result
		uses []string // the last one counts
		ref  compile.RevocationRef
		want bool
	}{
		"what came before it":                      {[]compile.Result{made("v1", a)}, []string{"v1"}, a, true},
		"not what came after it":                   {[]compile.Result{made("v1", a), made("v2", a, b)}, []string{"v1"}, b, false},
		"what it has while others change":          {[]compile.Result{made("v1", a), made("v2", a, b), made("v3", a, b2)}, []string{"v1"}, a, true},
		"not an older generation":                  {[]compile.Result{made("v1", b), made("v2", b2)}, []string{"v1"}, b2, false},
		"a change that no sidecar sees":            {[]compile.Result{made("v1", b), made("v1", b2)}, []string{"v1"}, b2, true},
		"a version that is made again":             {[]compile.Result{made("v1", a), made("v2", a, b), made("v1", a)}, []string{"v1"}, a, true},
		"one made anew as it was":                  {[]compile.Result{made("v2", a, b), made("v1", a), made("v2", a, b2)}, []string{"v2"}, b2, true},
		"an unknown version of another replica":    {[]compile.Result{made("v1", a), made("v3", a, b)}, []string{"v1", "v2"}, a, true},
		"an unknown version, for what came since":  {[]compile.Result{made("v1", a), made("v3", a, b)}, []string{"v1", "v2"}, b, false},
		"an unknown version and nothing before it": {[]compile.Result{made("v1", a)}, []string{"v0"}, a, false},
		"not where there was no room":              {[]compile.Result{full}, []string{"none"}, a, false},
		"nothing yet":                              {[]compile.Result{made("v1", a)}, nil, a, false},
	}
	for name, tc := range tests {
		h := &history{}
		for _, r := range tc.made {
			h.note(r)
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
		h.note(made(string(rune('a'+i%26))+string(rune(i)), compile.RevocationRef{Name: "a", Generation: int64(i)}))
	}
	h.reach(uses("a\x00"))
	if len(h.versions) > maxVersions+1 || len(h.since) != 1 {
		t.Errorf("%d versions and %d revocations are kept", len(h.versions), len(h.since))
	}
	h.note(compile.Result{})
	if len(h.reached) != 0 || len(h.since) != 0 {
		t.Errorf("%d pods and %d revocations that are gone are kept", len(h.reached), len(h.since))
	}
	if _, ok := h.came(compile.RevocationRef{Name: "a"}); ok {
		t.Error("a revocation that is gone is known")
	}
}
