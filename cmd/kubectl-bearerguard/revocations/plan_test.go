package revocations

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

const issuer = "https://login.example.com"

var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func at(hours int) *policy.Time { return &policy.Time{Time: now.Add(time.Duration(hours) * time.Hour)} }

// object is one that the command wrote, or somebody else.
func written(name, manager string, entries ...policy.RevocationEntry) v1alpha1.TokenRevocation {
	return v1alpha1.TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: map[string]string{Label: manager}},
		Spec:       policy.Revocation{Issuer: issuer, Entries: entries},
	}
}

func TestLongListsAreSplit(t *testing.T) {
	t.Parallel()
	var entries []policy.RevocationEntry
	for i := range 25_000 {
		entries = append(entries, policy.RevocationEntry{JTI: fmt.Sprintf("token-%06d", i)})
	}
	for i := range 2000 {
		entries = append(entries, policy.RevocationEntry{Subject: strings.Repeat("s", 1000) + fmt.Sprint(i)})
	}
	p := Add("shop", nil, issuer, append(entries, entries[0]), now)
	total := 0
	for _, o := range p.Create {
		bytes := 0
		for i := range o.Spec.Entries {
			bytes += size(&o.Spec.Entries[i])
		}
		total += len(o.Spec.Entries)
		if len(o.Spec.Entries) > mostEntries || bytes > mostBytes || o.Labels[Label] != Manager {
			t.Errorf("an object of %d entries and %d bytes", len(o.Spec.Entries), bytes)
		}
	}
	if total != len(entries) || p.Changed != len(entries) || len(p.Create) < 3 {
		t.Errorf("%d objects with %d entries, want %d", len(p.Create), total, len(entries))
	}
	for i := range p.Create {
		p.Create[i].Name = fmt.Sprint("revoked-", i)
	}
	if again := Add("shop", p.Create, issuer, entries, now); !again.Empty() || again.Changed != 0 {
		t.Errorf("the same list once more writes %d, %d", len(again.Create), len(again.Update))
	}
}

func TestWhatIsTakenBackStaysSo(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ old, add, want policy.RevocationEntry }{
		"for ever, and then before a time":   {policy.RevocationEntry{Subject: "alice"}, policy.RevocationEntry{Subject: "alice", IssuedBefore: at(0)}, policy.RevocationEntry{Subject: "alice"}},
		"before a later time":                {policy.RevocationEntry{Subject: "alice", IssuedBefore: at(-5)}, policy.RevocationEntry{Subject: "alice", IssuedBefore: at(0)}, policy.RevocationEntry{Subject: "alice", IssuedBefore: at(0)}},
		"before an earlier time":             {policy.RevocationEntry{Subject: "alice", IssuedBefore: at(0)}, policy.RevocationEntry{Subject: "alice", IssuedBefore: at(-5)}, policy.RevocationEntry{Subject: "alice", IssuedBefore: at(0)}},
		"for longer":                         {policy.RevocationEntry{JTI: "a", ExpiresAt: at(1)}, policy.RevocationEntry{JTI: "a", ExpiresAt: at(9), Reason: "leak"}, policy.RevocationEntry{JTI: "a", ExpiresAt: at(9), Reason: "leak"}},
		"for ever, and then until a time":    {policy.RevocationEntry{JTI: "a"}, policy.RevocationEntry{JTI: "a", ExpiresAt: at(9)}, policy.RevocationEntry{JTI: "a"}},
		"a session beside a jti of its name": {policy.RevocationEntry{JTI: "a"}, policy.RevocationEntry{Session: "a"}, policy.RevocationEntry{JTI: "a"}},
	}
	for name, tt := range tests {
		p := Add("shop", []v1alpha1.TokenRevocation{written("r", Manager, tt.old)}, issuer, []policy.RevocationEntry{tt.add}, now)
		got := tt.old
		if len(p.Update) == 1 {
			got = p.Update[0].Spec.Entries[0]
		}
		if text(&got) != text(&tt.want) || len(p.Create)+len(p.Delete) != 0 {
			t.Errorf("%s: %s, want %s", name, text(&got), text(&tt.want))
		}
	}
}

func TestUndoAndPrune(t *testing.T) {
	t.Parallel()
	objects := []v1alpha1.TokenRevocation{
		written("a", Manager, policy.RevocationEntry{JTI: "1"}, policy.RevocationEntry{JTI: "2", ExpiresAt: at(-1)}, policy.RevocationEntry{JTI: "3"}),
		written("b", Manager, policy.RevocationEntry{Subject: "alice"}),
		written("c", "flux", policy.RevocationEntry{Subject: "alice"}, policy.RevocationEntry{JTI: "old", ExpiresAt: at(-1)}),
	}
	p := Remove("shop", objects, issuer, []policy.RevocationEntry{{Subject: "alice"}, {JTI: "1"}}, now)
	if p.Changed != 2 || len(p.Update) != 1 || len(p.Update[0].Spec.Entries) != 1 || len(p.Delete) != 1 || p.Delete[0].Name != "b" || len(p.Elsewhere) != 1 || p.Elsewhere[0] != "c" {
		t.Errorf("undone: %+v", p)
	}
	if p := Remove("shop", objects, "https://other.example", []policy.RevocationEntry{{Subject: "alice"}}, now); p.Changed != 0 || !p.Empty() {
		t.Errorf("of another issuer: %+v", p)
	}
	if p := Prune(objects, now); p.Pruned != 1 || len(p.Update) != 1 || p.Update[0].Name != "a" || len(p.Delete) != 0 {
		t.Errorf("pruned: %+v", p)
	}
}
