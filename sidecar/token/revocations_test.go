package token

import (
	"strconv"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/revoked"
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
			m := MarksOf(&tc.token)
			if got := Revoked(revoked.SetOf(tc.list...), &m, now.Add(tc.later)).Refused(); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
	m := MarksOf(&tok)
	if Revoked(nil, &m, now).Refused() {
		t.Error("no set revokes")
	}
}

// million is a set of a million entries over three issuers.
func million() *revoked.Set {
	var list []policy.Revocation
	for i := range 100 {
		r := policy.Revocation{Issuer: "https://login.example.com/" + strconv.Itoa(i%3)}
		for j := range 10000 {
			r.Entries = append(r.Entries, policy.RevocationEntry{JTI: strconv.Itoa(i*10000 + j), ExpiresAt: at(time.Hour)})
		}
		list = append(list, r)
	}
	return revoked.SetOf(list...)
}

func TestMillionEntries(t *testing.T) {
	t.Parallel()
	r := million()
	if r.Len() != 1000000 {
		t.Fatalf("%d entries", r.Len())
	}
	for i := range 1000000 {
		v := Verified{Issuer: "https://login.example.com/" + strconv.Itoa(i/10000%3), JTI: strconv.Itoa(i)}
		if m := MarksOf(&v); !Revoked(r, &m, now).Refused() {
			t.Fatalf("entry %d is not found", i)
		}
		v.Subject, v.JTI = v.JTI, "other"
		if m := MarksOf(&v); Revoked(r, &m, now).Refused() {
			t.Fatalf("entry %d is found as a subject", i)
		}
	}
}

func BenchmarkRevokedOfAMillion(b *testing.B) {
	r := million()
	hit := MarksOf(&Verified{Issuer: "https://login.example.com/0", JTI: "5"})
	miss := MarksOf(&Verified{Issuer: "https://login.example.com/0", JTI: "5f2b6a3e-0000-4000-8000-000000000000"})
	b.Run("hit", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Revoked(r, &hit, now)
		}
	})
	b.Run("miss", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Revoked(r, &miss, now)
		}
	})
}
