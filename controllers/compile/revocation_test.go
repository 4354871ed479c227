package compile_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/controllers/compile"
)

// object is a TokenRevocation of these jti.
func object(name string, created time.Duration, expires *policy.Time, jti ...string) compile.Revocation {
	r := policy.Revocation{Issuer: "https://idp.example"}
	for _, j := range jti {
		r.Entries = append(r.Entries, policy.RevocationEntry{JTI: j, ExpiresAt: expires})
	}
	return compile.Revocation{Name: name, UID: "uid-" + name, Generation: 1, Created: start.Add(created), Entries: revoked.ListOf(&r)}
}

func has(s *revoked.Set, jti string) bool {
	return s.Revokes(revoked.KeyOf(revoked.JTI, "https://idp.example", jti), 0, start.Unix())
}

func TestTheSetFollowsItsObjects(t *testing.T) {
	t.Parallel()
	a, b := object("a", 0, nil, "1", "2", "3"), object("b", 0, nil, "3", "4")
	changed := object("a", 0, nil, "1", "5")
	changed.Generation, changed.Problem = 2, errors.New("spec.entries[2]: bad")
	var r compile.Revocations
	for i, step := range []struct {
		objects []compile.Revocation
		want    string
	}{
		{nil, ""}, {[]compile.Revocation{a}, "123"}, {[]compile.Revocation{a, b}, "1234"}, {[]compile.Revocation{changed, b}, "1345"},
		{[]compile.Revocation{b}, "34"}, {[]compile.Revocation{b, a}, "1234"}, {nil, ""},
	} {
		set, outcomes, next := r.Update(step.objects, start)
		got := ""
		for _, jti := range strings.Split("12345", "") {
			if has(set, jti) {
				got += jti
			}
		}
		if got != step.want || set.Len() != len(got) || len(outcomes) != len(step.objects) || !next.IsZero() {
			t.Errorf("step %d: %q, want %q; %d entries, %d outcomes", i, got, step.want, set.Len(), len(outcomes))
		}
		for _, o := range outcomes {
			if (o.Problem != nil) != (o.Ref.Generation == 2) {
				t.Errorf("step %d: %s has the problem %v", i, o.Ref.Name, o.Problem)
			}
		}
	}
}

func TestRevocationsEndByThemselves(t *testing.T) {
	t.Parallel()
	at := func(d time.Duration) *policy.Time { return &policy.Time{Time: start.Add(d)} }
	objects := []compile.Revocation{
		object("over", 0, at(0), "over"), object("soon", 0, at(90*time.Second), "soon"), object("late", 0, at(time.Hour), "late"), object("always", 0, nil, "always"),
	}
	var r compile.Revocations
	set, outcomes, next := r.Update(objects, start)
	if set.Len() != 3 || has(set, "over") || outcomes[2].Entries != 0 {
		t.Errorf("%d entries, %+v", set.Len(), outcomes)
	}
	if !next.Equal(start.Add(2 * time.Minute)) {
		t.Errorf("next look at %s, want at the full minute", next)
	}
	if set, _, next = r.Update(objects, next); set.Len() != 2 || has(set, "soon") || !next.Equal(start.Add(time.Hour)) {
		t.Errorf("%d entries, next look at %s", set.Len(), next)
	}
}

func TestOldObjectsHaveTheirRoomFirst(t *testing.T) {
	t.Parallel()
	var objects []compile.Revocation
	for i := range 101 {
		list := make(revoked.List, 10_000)
		for j := range list {
			n := uint32(i*10_000 + j)
			copy(list[j][:], []byte{byte(j >> 8), byte(j), byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
			copy(list[j][12:], "\xff\xff\xff\xff\xff\xff\xff\xff")
		}
		objects = append(objects, compile.Revocation{Name: fmt.Sprintf("r%03d", 100-i), UID: fmt.Sprint(i), Created: start.Add(time.Duration(-i) * time.Hour), Entries: list})
	}
	var r compile.Revocations
	set, outcomes, _ := r.Update(objects, start)
	if set.Len() != revoked.Most {
		t.Errorf("%d entries are in force", set.Len())
	}
	for _, o := range outcomes {
		if newest := o.Ref.Name == "r100"; (o.Problem != nil) != newest || newest && (o.Entries != 0 || !strings.Contains(o.Problem.Error(), "have 1010000 entries")) {
			t.Errorf("%s: %d entries, problem %v", o.Ref.Name, o.Entries, o.Problem)
		}
	}
	if set, outcomes, _ = r.Update(slices.Delete(objects, 50, 51), start); set.Len() != revoked.Most || outcomes[len(outcomes)-1].Problem != nil {
		t.Errorf("there is room again, and %d entries are in force, problem %v", set.Len(), outcomes[len(outcomes)-1].Problem)
	}
}
