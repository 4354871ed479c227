package push

import (
	"strconv"
	"testing"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/revoked"
)

// growing is a set of n entries, which has all of the sets that are smaller.
func growing(n int) *revoked.Set {
	r := policy.Revocation{Issuer: "https://idp.example"}
	for i := range n {
		r.Entries = append(r.Entries, policy.RevocationEntry{JTI: strconv.Itoa(i)})
	}
	return revoked.SetOf(r)
}

// While a set grows, a stream that is slow is sent what it lacks and not all of it again; nobody else makes steps be kept.
func TestAStreamThatIsSlowWhileASetGrows(t *testing.T) {
	t.Parallel()
	const each, times = 30_000, 12
	for name, tc := range map[string]struct {
		slow bool
		want int // entries that are sent to who is at the first set
	}{
		"a stream is at the first set": {true, (times - 1) * each},
		"no stream is":                 {false, times * each},
	} {
		var r revocations
		first := growing(each)
		at := map[revoked.Version]bool{}
		if tc.slow {
			at[first.Version()] = true
		}
		for i := range times {
			r.set(growing((i+1)*each), at)
			if r.size > max(maxSteps, r.current.Len()*revoked.Size) {
				t.Fatalf("%s: steps have %d bytes", name, r.size)
			}
		}
		messages, to := r.from(first.Version())
		sent := 0
		for _, m := range messages {
			sent += len(m.GetRevocations().GetAdded()) / revoked.Size
		}
		if sent != tc.want || to != r.current.Version() {
			t.Errorf("%s: %d entries are sent, want %d", name, sent, tc.want)
		}
		r.set(growing(times*each+1), nil)
		if r.size > maxSteps {
			t.Errorf("%s: once nobody needs them, steps have %d bytes", name, r.size)
		}
	}
}
