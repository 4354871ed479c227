package token

import (
	"strconv"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/policy"
)

func at(d time.Duration) *policy.Time { return &policy.Time{Time: now.Add(d)} }

func TestRevoked(t *testing.T) {
	t.Parallel()
	const iss = "https://login.example.com"
	list := func(e ...policy.RevocationEntry) []policy.Revocation {
		return []policy.Revocation{{Issuer: iss, Entries: e}}
	}
	tok := Verified{Issuer: iss, JTI: "j", Subject: "s", Session: "i", IssuedAt: now.Add(-time.Hour)}
	tests := map[string]struct {
		list  []policy.Revocation
		token Verified
		later time.Duration
		want  bool
	}{
		"nothing revoked":                      {nil, tok, 0, false},
		"by jti":                               {list(policy.RevocationEntry{JTI: "j"}), tok, 0, true},
		"by subject":                           {list(policy.RevocationEntry{Subject: "s"}), tok, 0, true},
		"by session":                           {list(policy.RevocationEntry{Session: "i"}), tok, 0, true},
		"another jti":                          {list(policy.RevocationEntry{JTI: "j2"}), tok, 0, false},
		"the jti as a subject":                 {list(policy.RevocationEntry{Subject: "j"}, policy.RevocationEntry{Session: "j"}), tok, 0, false},
		"another issuer's jti":                 {[]policy.Revocation{{Issuer: iss + "/", Entries: []policy.RevocationEntry{{JTI: "j"}}}}, tok, 0, false},
		"issuer and value do not run together": {[]policy.Revocation{{Issuer: iss + "x", Entries: []policy.RevocationEntry{{JTI: ""}, {JTI: "j"}}}}, tok, 0, false},
		"issued before":                        {list(policy.RevocationEntry{Subject: "s", IssuedBefore: at(-time.Minute)}), tok, 0, true},
		"issued after":                         {list(policy.RevocationEntry{Subject: "s", IssuedBefore: at(-2 * time.Hour)}), tok, 0, false},
		"issued at that second":                {list(policy.RevocationEntry{Subject: "s", IssuedBefore: at(-time.Hour)}), tok, 0, false},
		"no iat":                               {list(policy.RevocationEntry{Subject: "s", IssuedBefore: at(-2 * time.Hour)}), Verified{Issuer: iss, Subject: "s"}, 0, true},
		"past its expiry when compiled":        {list(policy.RevocationEntry{JTI: "j", ExpiresAt: at(0)}), tok, 0, false},
		"before its expiry":                    {list(policy.RevocationEntry{JTI: "j", ExpiresAt: at(time.Minute)}), tok, time.Minute - 1, true},
		"at its expiry":                        {list(policy.RevocationEntry{JTI: "j", ExpiresAt: at(time.Minute)}), tok, time.Minute, false},
		"a second entry with the same subject": {list(policy.RevocationEntry{Subject: "s", IssuedBefore: at(-2 * time.Hour)}, policy.RevocationEntry{Subject: "s", ExpiresAt: at(time.Minute)}), tok, 0, true},
		"a token without any of the claims":    {list(policy.RevocationEntry{JTI: "j"}), Verified{Issuer: iss}, 0, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := NewRevocations(tc.list, now)
			if got := r.Revoked(r.Marks(&tc.token), now.Add(tc.later)).Refused(); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
	none := (*Revocations)(nil)
	if none.Revoked(none.Marks(&tok), now).Refused() {
		t.Error("no table revokes")
	}
}

func TestEntriesThatSayNothingMore(t *testing.T) {
	t.Parallel()
	var e []policy.RevocationEntry
	for i := range 1000 {
		e = append(e, policy.RevocationEntry{Subject: "s", IssuedBefore: at(time.Duration(i) * time.Second)})
	}
	r := NewRevocations([]policy.Revocation{{Issuer: "i", Entries: e}}, now)
	if r.Len() != 1 {
		t.Errorf("%d entries for one subject, want the widest one", r.Len())
	}
}

// million is a table of a million entries over three issuers.
func million() *Revocations {
	var list []policy.Revocation
	for i := range 100 {
		r := policy.Revocation{Issuer: "https://login.example.com/" + strconv.Itoa(i%3)}
		for j := range 10000 {
			r.Entries = append(r.Entries, policy.RevocationEntry{JTI: strconv.Itoa(i*10000 + j), ExpiresAt: at(time.Hour)})
		}
		list = append(list, r)
	}
	return NewRevocations(list, now)
}

func TestMillionEntries(t *testing.T) {
	t.Parallel()
	r := million()
	if r.Len() != 1000000 {
		t.Fatalf("%d entries", r.Len())
	}
	if perEntry := float64(r.Bytes()) / float64(r.Len()); perEntry > 20.1 {
		t.Errorf("%.1f bytes an entry", perEntry)
	}
	for i := range 1000000 {
		v := Verified{Issuer: "https://login.example.com/" + strconv.Itoa(i/10000%3), JTI: strconv.Itoa(i)}
		if !r.Revoked(r.Marks(&v), now).Refused() {
			t.Fatalf("entry %d is not found", i)
		}
		v.Subject, v.JTI = v.JTI, "other"
		if r.Revoked(r.Marks(&v), now).Refused() {
			t.Fatalf("entry %d is found as a subject", i)
		}
	}
}

func BenchmarkRevokedOfAMillion(b *testing.B) {
	r := million()
	hit := r.Marks(&Verified{Issuer: "https://login.example.com/0", JTI: "5"})
	miss := r.Marks(&Verified{Issuer: "https://login.example.com/0", JTI: "5f2b6a3e-0000-4000-8000-000000000000"})
	b.Run("hit", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r.Revoked(hit, now)
		}
	})
	b.Run("miss", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r.Revoked(miss, now)
		}
	})
}
